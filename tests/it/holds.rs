//! Runs that a guard holds: looked at, approved as they were found, discarded, replaced, expired; and kills in the midst of that.

use crate::crash::marks;
use crate::support::{Destination, Home, Served, job_file, says};
use chrono::TimeDelta;
use nightmark::store::sqlite::SqliteStore;
use nightmark::store::{RunRecord, RunStore};
use serde_json::{Value, json};
use std::path::PathBuf;

const GUARD: &str = "[guard]\nmax_changed = { share = 0.4, floor = 0 }";

/// A job whose guard holds what changes two of its three orgs; all three are known as `free`.
fn home(destination: &Destination, guard: &str) -> Home {
    let home = Home::new();
    let to = format!("url = \"http://{}/\"\nretry = {{ attempts = 1, base = \"1ms\" }}", destination.address);
    home.write("jobs/orgs.toml", &job_file("", &to, &format!("preset = \"flat\"\n{guard}")));
    extract(&home, ["free"; 3]);
    home.job("orgs", 0);
    destination.take();
    home
}

fn extract(home: &Home, plans: [&str; 3]) {
    let rows: Vec<String> = plans.iter().enumerate().map(|(n, plan)| format!("ws_{},{plan}", n + 1)).collect();
    home.write("orgs.csv", &format!("workspace_id,plan_id\n{}\n", rows.join("\n")));
}

fn json_of(home: &Home, args: &[&str], code: i32) -> Value {
    home.run(&[args, &["--json"]].concat()).expect(code).json()
}

fn run(home: &Home, run: &str) -> Value {
    json_of(home, &["runs", "show", run], 0)
}

/// What the destination has been sent: org and plan, in the order of orgs.
fn sent(destination: &Destination) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut sent: Vec<_> =
        destination.take().iter().map(|seen| (seen.org().to_owned(), text(&seen.body["plan_id"]))).collect();
    sent.sort();
    sent
}

fn pair(org: &str, plan: &str) -> (String, String) {
    (org.to_owned(), plan.to_owned())
}

/// The folders of runs that wait for a decision.
fn held_folders(home: &Home) -> Vec<PathBuf> {
    home.files().into_iter().filter(|file| file.ends_with("held.json")).collect()
}

#[test]
fn what_is_approved_is_what_could_be_looked_at() {
    let destination = Destination::start();
    let home = home(&destination, GUARD);
    extract(&home, ["pro", "pro", "free"]);
    let held = home.run(&["run", "orgs"]).expect(3);
    says(
        &held,
        &[
            "HELD, nothing was sent",
            "nightmark preview orgs --held",
            "nightmark approve orgs",
            "nightmark discard orgs",
        ],
    );
    let id = json_of(&home, &["runs", "orgs"], 0)[0]["id"].as_str().unwrap().to_owned();

    // The source goes on; what is held does not.
    extract(&home, ["team", "team", "team"]);
    let shown = json_of(&home, &["preview", "orgs", "--held"], 3);
    assert_eq!((&shown["run"], shown["changes"].as_array().unwrap().len()), (&json!(id), 2), "{shown}");
    let first = &shown["changes"][0];
    assert_eq!((&first["before"]["plan_id"], &first["after"]["plan_id"]), (&json!("free"), &json!("pro")));
    assert_eq!(first["body"], json!({"workspace_id": "ws_1", "plan_id": "pro"}));
    says(
        &home.run(&["preview", "orgs", "--held"]).expect(3),
        &["free", "pro", "max_changed", &id, "nightmark approve"],
    );
    let file = home.path("held.parquet");
    home.run(&["preview", "orgs", "--held", "--output", file.to_str().unwrap()]).expect(3);
    assert!(std::fs::metadata(&file).unwrap().len() > 0);
    let ids: Vec<Value> =
        shown["changes"].as_array().unwrap().iter().map(|change| change["webhook_id"].clone()).collect();

    let approved = json_of(&home, &["approve", &id, "--by", "Zoë"], 0);
    assert_eq!(
        (&approved["run"], &approved["acknowledged"], &approved["state"]),
        (&json!(id), &json!(2), &json!("finished"))
    );
    let seen = destination.take();
    let mut told: Vec<Value> = seen.iter().map(|seen| json!(seen.headers["webhook-id"])).collect();
    told.sort_by_key(|id| ids.iter().position(|known| known == id));
    assert_eq!(told, ids, "under the ids that were shown");
    let steps = json_of(&home, &["runs", "show", &id], 0)["steps"].clone();
    let approval = steps.as_array().unwrap().iter().find(|step| step["state"] == "published").unwrap();
    let reason = approval["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("approved by Zoë (command line); it was held: ") && reason.contains("max_changed"),
        "{reason}"
    );
    says(&home.run(&["runs", "show", &id]).expect(0), &["published: approved by Zoë (command line); it was held: "]);
    assert!(held_folders(&home).is_empty());

    // The next night is compared with what was approved.
    let next = json_of(&home, &["run", "orgs", "--approve"], 0);
    assert_eq!(next["changed"], json!(3));
    assert_eq!(destination.take().len(), 3);
    let again = home.run(&["approve", &id]).expect(2);
    says(&again, &["is not held", "finished"]);
}

#[test]
fn what_is_discarded_is_never_sent_and_found_again() {
    let destination = Destination::start();
    let home = home(&destination, GUARD);
    extract(&home, ["pro", "pro", "free"]);
    home.job("orgs", 3);
    assert_eq!(held_folders(&home).len(), 1);
    let said = home.run(&["discard", "orgs", "--by", "Zoë"]).expect(0);
    says(&said, &["is discarded", "Zoë"]);
    assert!(held_folders(&home).is_empty());
    says(&home.run(&["approve", "orgs"]).expect(2), &["no run of job `orgs` is held"]);
    says(&home.run(&["discard", "orgs"]).expect(2), &["no run of job `orgs` is held"]);
    says(&home.run(&["preview", "orgs", "--held"]).expect(2), &["no run of job `orgs` is held"]);
    assert_eq!(destination.take().len(), 0);
    assert_eq!(home.job("orgs", 3)["changed"], json!(2));
    home.run(&["approve", "orgs"]).expect(0);
    assert_eq!(sent(&destination), [pair("ws_1", "pro"), pair("ws_2", "pro")]);
}

#[test]
fn a_later_run_replaces_what_is_held() {
    let destination = Destination::start();
    let home = home(&destination, GUARD);
    extract(&home, ["pro", "pro", "free"]);
    let first = home.job("orgs", 3)["run"].as_str().unwrap().to_owned();
    // Held as well.
    extract(&home, ["team", "team", "free"]);
    let second = home.job("orgs", 3)["run"].as_str().unwrap().to_owned();
    let replaced = run(&home, &first);
    assert_eq!(replaced["state"], json!("superseded"));
    assert!(replaced["reason"].as_str().unwrap().contains(&format!("run {second} was held after it")), "{replaced}");
    assert_eq!(held_folders(&home).len(), 1, "of what cannot be approved nothing is kept");
    says(&home.run(&["approve", &first]).expect(2), &["is not held", "superseded"]);
    // Not held: then nothing is left to approve.
    extract(&home, ["pro", "free", "free"]);
    home.job("orgs", 0);
    assert_eq!(run(&home, &second)["state"], json!("superseded"));
    assert!(held_folders(&home).is_empty());
    says(&home.run(&["approve", &second]).expect(2), &["is not held"]);
    assert_eq!(sent(&destination), [pair("ws_1", "pro")]);
}

#[test]
fn what_has_been_sent_since_is_not_sent_again() {
    let destination = Destination::start();
    let home = home(&destination, GUARD);
    // One change is left over; it is part of what is held.
    destination.set("ws_1", 500);
    extract(&home, ["pro", "free", "free"]);
    home.job("orgs", 1);
    extract(&home, ["pro", "pro", "free"]);
    let held = home.job("orgs", 3);
    assert_eq!(held["changed"], json!(2));
    destination.clear();
    destination.take();
    home.run(&["retry", "orgs"]).expect(0);
    assert_eq!(sent(&destination), [pair("ws_1", "pro")]);
    says(&home.run(&["approve", "orgs"]).expect(2), &["cannot be approved any more", "`retry`", "nightmark run orgs"]);
    assert_eq!(destination.take().len(), 0);
    // It is still held, and may be looked at or given up.
    home.run(&["preview", "orgs", "--held"]).expect(3);
    home.run(&["discard", "orgs"]).expect(0);
}

#[test]
fn a_first_run_can_be_held_and_approved() {
    let destination = Destination::start();
    let home = home(&destination, "[guard]\nmin_rows = 3");
    std::fs::remove_dir_all(home.path("snapshots/orgs")).unwrap();
    std::fs::remove_file(home.path("nightmark.db")).unwrap();
    home.write("orgs.csv", "workspace_id,plan_id\nws_1,free\n");
    home.job("orgs", 3);
    assert_eq!(destination.take().len(), 0);
    home.run(&["approve", "orgs"]).expect(0);
    assert_eq!(sent(&destination), [pair("ws_1", "free")]);
}

#[test]
fn a_hold_without_a_change_set_cannot_be_approved() {
    let destination = Destination::start();
    let home = home(&destination, GUARD);
    home.write("orgs.csv", "workspace_id,plan\nws_1,free\n");
    home.job("orgs", 3);
    says(
        &home.run(&["approve", "orgs"]).expect(2),
        &["nothing that could be approved", "nightmark schema", "nightmark run orgs"],
    );
    home.run(&["discard", "orgs"]).expect(0);
}

#[test]
fn damage_to_what_is_held_is_found() {
    let destination = Destination::start();
    let home = home(&destination, GUARD);
    for name in ["changes.parquet", "base.parquet", "sidecar.parquet", "held.json"] {
        extract(&home, ["pro", "pro", "free"]);
        home.job("orgs", 3);
        let held = held_folders(&home).remove(0);
        let file = home.path("").join(held.parent().unwrap()).join(name);
        let mut content = std::fs::read(&file).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 0x10;
        std::fs::write(&file, content).unwrap();
        says(&home.run(&["approve", "orgs"]).expect(2), &[name, "is damaged"]);
        assert_eq!(destination.take().len(), 0, "{name}");
    }
    // Whatever is damaged, a run goes on from what is published.
    assert_eq!(home.job("orgs", 3)["changed"], json!(2));
}

/// The store as the command sees it, for what a test cannot wait for.
fn in_store<T>(home: &Home, does: impl AsyncFnOnce(SqliteStore) -> T) -> T {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { does(SqliteStore::open(&home.path("nightmark.db")).await.unwrap()).await })
}

#[test]
fn a_hold_expires() {
    let destination = Destination::start();
    let home = home(&destination, &format!("{GUARD}\nhold_expires = \"12h\""));
    extract(&home, ["pro", "pro", "free"]);
    let id = home.job("orgs", 3)["run"].as_str().unwrap().to_owned();
    let age = |hours: i64| {
        in_store(&home, async |store| {
            let record: RunRecord = store.run(&id).await.unwrap().unwrap();
            let held_at = chrono::Utc::now() - TimeDelta::hours(hours);
            store.put_run(&RunRecord { finished_at: Some(held_at), ..record }, held_at).await.unwrap();
        });
    };
    age(11);
    home.run(&["preview", "orgs", "--held"]).expect(3);
    age(13);
    says(&home.run(&["approve", "orgs"]).expect(2), &["longer than guard.hold_expires", "nightmark run orgs"]);
    assert!(held_folders(&home).is_empty());
    let record = run(&home, &id);
    assert_eq!(record["state"], json!("discarded"));
    assert!(record["reason"].as_str().unwrap().contains("nobody decided"), "{record}");
    assert_eq!(destination.take().len(), 0);
    for wrong in ["\"0s\"", "\"soon\"", "7"] {
        home.write(
            "jobs/bad.toml",
            &job_file(
                "",
                "url = \"http://127.0.0.1:9/\"",
                &format!("preset = \"flat\"\n[guard]\nhold_expires = {wrong}"),
            ),
        );
        says(&home.run(&["check", "bad"]).expect(2), &["hold_expires"]);
    }
}

#[test]
fn the_daemon_ends_a_hold_that_nobody_decides_on() {
    let destination = Destination::start();
    let home = home(&destination, &format!("{GUARD}\nhold_expires = \"12h\""));
    let text = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &text.replacen("version = 1\n", "version = 1\nschedule = \"0 0 29 2 *\"\n", 1));
    extract(&home, ["pro", "pro", "free"]);
    let id = home.job("orgs", 3)["run"].as_str().unwrap().to_owned();
    in_store(&home, async |store| {
        let record: RunRecord = store.run(&id).await.unwrap().unwrap();
        let held_at = chrono::Utc::now() - TimeDelta::hours(13);
        store.put_run(&RunRecord { finished_at: Some(held_at), ..record }, held_at).await.unwrap();
    });
    let served = Served::start(&home);
    // The bound is there only so that a broken build ends.
    let began = std::time::Instant::now();
    while run(&home, &id)["state"] != "discarded" {
        assert!(began.elapsed().as_secs() < 60, "{}", home.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(served.stop(), 0);
    assert!(held_folders(&home).is_empty() && destination.take().is_empty());
    assert!(home.log().contains("hold_expired"), "{}", home.log());
}

/// A kill at every mark on the way of a held run: after it, the run is either held still or published, and nothing is lost or sent twice.
#[test]
fn a_kill_at_every_mark_of_a_held_run() {
    let marks: Vec<String> = marks().into_iter().filter(|mark| mark.starts_with("held.")).collect();
    assert!(marks.len() >= 4, "{marks:?}");
    // Those of a publication, which an approval is.
    let more = ["manifest.copied", "manifest.before_rename", "manifest.renamed", "retire.before"].map(str::to_owned);
    for mark in marks.into_iter().chain(more) {
        let destination = Destination::start();
        let home = home(&destination, GUARD);
        extract(&home, ["pro", "pro", "free"]);
        let killed = |args: &[&str]| {
            let output = home.command(args).env("FAILPOINTS", format!("{mark}=return")).output().unwrap();
            output.status.code().is_none()
        };
        let at_hold = killed(&["run", "orgs"]);
        if at_hold {
            home.job("orgs", 3);
        }
        let at_decision = match mark.as_str() {
            "held.discarded" => killed(&["discard", "orgs"]),
            _ => killed(&["approve", "orgs"]),
        };
        assert!(at_hold || at_decision, "no process came past `{mark}`");
        assert_eq!(destination.take().len(), if at_decision { 0 } else { 2 }, "{mark}");
        if at_decision {
            // Whoever comes next finds the run held, or published with everything left to send, or discarded.
            extract(&home, ["pro", "pro", "free"]);
            home.run(&["run", "orgs", "--approve"]).expect(0);
            assert_eq!(sent(&destination), [pair("ws_1", "pro"), pair("ws_2", "pro")], "{mark}");
        }
        let last = home.job("orgs", 0);
        assert_eq!((&last["unchanged"], &last["changed"]), (&json!(3), &json!(0)), "{mark}");
        assert!(held_folders(&home).is_empty(), "{mark}");
        home.run(&["snapshot", "verify", "orgs"]).expect(0);
    }
}

/// An approval that was killed right after its publication is taken up by `retry`.
#[test]
fn an_approval_that_was_cut_off_is_taken_up() {
    for mark in ["manifest.renamed", "held.published", "held.approved"] {
        let destination = Destination::start();
        let home = home(&destination, GUARD);
        extract(&home, ["pro", "pro", "free"]);
        home.job("orgs", 3);
        let output = home.command(&["approve", "orgs"]).env("FAILPOINTS", format!("{mark}=return")).output().unwrap();
        assert!(output.status.code().is_none(), "{mark}");
        says(&home.run(&["approve", "orgs"]).expect(2), &["held"]);
        home.run(&["retry", "orgs"]).expect(0);
        assert_eq!(sent(&destination), [pair("ws_1", "pro"), pair("ws_2", "pro")], "{mark}");
        assert_eq!(home.job("orgs", 0)["changed"], json!(0));
    }
}
