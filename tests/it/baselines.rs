//! `adopt` and `rollback`: what is known of the destination is set without sending anything; and kills in the midst of that.

use crate::support::{Destination, Home, job_file, says};
use serde_json::{Value, json};

fn home(destination: &Destination, more: &str) -> Home {
    let home = Home::new();
    let to = format!("url = \"http://{}/\"\nretry = {{ attempts = 1, base = \"1ms\" }}", destination.address);
    home.write("jobs/orgs.toml", &job_file("", &to, &format!("preset = \"flat\"\n{more}")));
    home
}

fn extract(home: &Home, plans: &[&str]) {
    let rows: Vec<String> = plans.iter().enumerate().map(|(n, plan)| format!("ws_{},{plan}\n", n + 1)).collect();
    home.write("orgs.csv", &format!("workspace_id,plan_id\n{}", rows.concat()));
}

fn json_of(home: &Home, args: &[&str], code: i32) -> Value {
    home.run(&[args, &["--json"]].concat()).expect(code).json()
}

fn sent(destination: &Destination) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let seen = destination.take();
    let mut sent: Vec<_> = seen.iter().map(|seen| (seen.org().to_owned(), text(&seen.body["plan_id"]))).collect();
    sent.sort();
    sent
}

fn pair(org: &str, plan: &str) -> (String, String) {
    (org.to_owned(), plan.to_owned())
}

fn published(home: &Home) -> Vec<String> {
    let runs = json_of(home, &["snapshot", "list", "orgs"], 0);
    runs.as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap().to_owned()).collect()
}

fn killed(home: &Home, mark: &str, args: &[&str]) -> bool {
    let output = home.command(args).env("FAILPOINTS", format!("{mark}=return")).output().unwrap();
    output.status.code().is_none()
}

/// Marks that every publication comes past.
const PUBLICATION: [&str; 9] = [
    "run.recorded",
    "draft.made",
    "base.written",
    "sidecar.written",
    "publish.synced",
    "manifest.copied",
    "manifest.before_rename",
    "manifest.renamed",
    "publish.recorded",
];

#[test]
fn a_baseline_is_taken_and_nothing_is_sent() {
    let destination = Destination::start();
    let home = home(&destination, "");
    extract(&home, &["free", "free", "pro"]);
    let asked = home.run(&["adopt", "orgs"]).expect(2);
    says(&asked, &["3 orgs of tonight's extract", "nothing would be sent", "--yes"]);
    assert!(published(&home).is_empty());

    let adopted = json_of(&home, &["adopt", "orgs", "--yes", "--by", "Zoë"], 0);
    assert_eq!((&adopted["adopted"], &adopted["state"]), (&json!(3), &json!("finished")), "{adopted}");
    let record = json_of(&home, &["runs", "show", adopted["run"].as_str().unwrap()], 0);
    assert!(record["reason"].as_str().unwrap().contains("taken as the baseline by Zoë"), "{record}");
    home.run(&["retry", "orgs"]).expect(0);
    assert_eq!(home.job("orgs", 0)["unchanged"], json!(3));
    assert!(destination.take().is_empty());
    extract(&home, &["free", "pro", "pro", "free"]);
    home.job("orgs", 0);
    assert_eq!(sent(&destination), [pair("ws_2", "pro"), pair("ws_4", "free")]);
    home.run(&["snapshot", "verify", "orgs"]).expect(0);
}

#[test]
fn a_snapshot_that_is_there_is_replaced_only_on_request() {
    let destination = Destination::start();
    let home = home(&destination, "");
    extract(&home, &["free", "free", "free"]);
    home.job("orgs", 0);
    // One change is left; another org is gone.
    destination.set("ws_1", 422);
    extract(&home, &["pro", "free"]);
    home.job("orgs", 1);
    destination.take();
    let first = published(&home);
    says(&home.run(&["adopt", "orgs", "--yes"]).expect(2), &["has a snapshot, of run", &first[0], "--replace"]);
    says(&home.run(&["adopt", "orgs"]).expect(2), &["has a snapshot, of run"]);
    let asked = home.run(&["adopt", "orgs", "--replace"]).expect(2);
    says(&asked, &["would be forgotten, with 1 change of it", "3 orgs", "2 orgs of tonight's"]);
    assert_eq!(published(&home), first);

    assert_eq!(json_of(&home, &["adopt", "orgs", "--replace", "--yes"], 0)["adopted"], json!(2));
    home.run(&["retry", "orgs"]).expect(0);
    let next = home.job("orgs", 0);
    assert_eq!((&next["unchanged"], &next["changed"]), (&json!(2), &json!(0)), "{next}");
    assert!(destination.take().is_empty());
    assert!(json_of(&home, &["dead-letters", "list", "orgs"], 0).as_array().unwrap().is_empty());
    // What was known before is still there to return to.
    assert!(published(&home).contains(&first[0]));
}

#[test]
fn a_guard_keeps_a_poor_extract_from_becoming_the_baseline() {
    let destination = Destination::start();
    let home = home(&destination, "[guard]\nmin_rows = 3");
    extract(&home, &["free"]);
    says(&home.run(&["adopt", "orgs", "--yes"]).expect(2), &["not taken as the baseline", "min_rows", "--approve"]);
    assert!(published(&home).is_empty());
    assert_eq!(json_of(&home, &["adopt", "orgs", "--yes", "--approve"], 0)["adopted"], json!(1));
}

#[test]
fn a_kill_at_every_mark_of_an_adoption() {
    for mark in PUBLICATION {
        for replaces in [false, true] {
            let destination = Destination::start();
            let home = home(&destination, "");
            extract(&home, &["free", "free"]);
            let known = if replaces {
                home.job("orgs", 0);
                destination.take();
                extract(&home, &["pro", "free"]);
                published(&home)
            } else {
                Vec::new()
            };
            assert!(killed(&home, mark, &["adopt", "orgs", "--yes", "--replace"]), "no process came past `{mark}`");
            assert!(destination.take().is_empty(), "{mark}");
            let now = published(&home);
            if now == known {
                // As if it had not been asked for: once more.
                home.run(&["adopt", "orgs", "--yes", "--replace"]).expect(0);
            }
            home.run(&["retry", "orgs"]).expect(0);
            let next = home.job("orgs", 0);
            assert_eq!((&next["unchanged"], &next["changed"]), (&json!(2), &json!(0)), "{mark}: {next}");
            assert!(destination.take().is_empty(), "{mark}");
            home.run(&["snapshot", "verify", "orgs"]).expect(0);
        }
    }
}

/// Three nights: the third org comes in the second, and `ws_1` is refused then.
fn nights(destination: &Destination) -> (Home, Vec<String>) {
    let home = home(destination, "");
    extract(&home, &["free", "free"]);
    home.job("orgs", 0);
    destination.set("ws_1", 422);
    extract(&home, &["pro", "pro", "free"]);
    home.job("orgs", 1);
    destination.clear();
    extract(&home, &["team", "team", "free"]);
    home.job("orgs", 0);
    destination.take();
    let mut runs = published(&home);
    runs.reverse();
    assert_eq!(runs.len(), 3);
    (home, runs)
}

#[test]
fn an_earlier_snapshot_is_in_force_again() {
    let destination = Destination::start();
    let (home, runs) = nights(&destination);
    let asked = home.run(&["rollback", "orgs", "--to", &runs[0]]).expect(2);
    // The destination had two orgs on `free`, and now three differ: one is new.
    says(&asked, &["would send 3 webhooks: 1 added, 2 changed, 0 removed", &runs[0], &runs[2], "--yes"]);
    says(
        &home.run(&["rollback", "orgs", "--to", &runs[1], "--dry-run"]).expect(0),
        &["2 webhooks", "nothing was changed"],
    );
    assert_eq!(home.job("orgs", 0)["unchanged"], json!(3), "nothing was changed");

    // That run has made the first one the oldest but three: it is not kept any more.
    says(&home.run(&["rollback", "orgs", "--to", &runs[0], "--yes"]).expect(2), &["is not kept here", "snapshot list"]);
    let back = json_of(&home, &["rollback", "orgs", "--to", &runs[1], "--yes", "--by", "Zoë"], 0);
    assert_eq!((&back["orgs"], &back["unacknowledged"]), (&json!(3), &json!(1)), "{back}");
    assert_eq!(back["next_run"]["changed"], json!(2));
    let record = json_of(&home, &["runs", "show", back["run"].as_str().unwrap()], 0);
    assert_eq!(record["state"], json!("finished"));
    assert!(record["reason"].as_str().unwrap().contains(&format!("back to the snapshot of run {} by Zoë", runs[1])));
    home.run(&["snapshot", "verify", "orgs"]).expect(0);
    home.run(&["retry", "orgs"]).expect(0);
    assert!(destination.take().is_empty());
    // `ws_1` was never acknowledged in that run: it is known as `free`, and its before-value says so.
    let preview = json_of(&home, &["preview", "orgs"], 0);
    let before = |org: &str| {
        let change = preview["changes"].as_array().unwrap().iter().find(|c| c["key"] == json!(org)).unwrap();
        change["before"]["plan_id"].clone()
    };
    assert_eq!((before("ws_1"), before("ws_2")), (json!("free"), json!("pro")), "{preview}");
    home.job("orgs", 0);
    assert_eq!(sent(&destination), [pair("ws_1", "team"), pair("ws_2", "team")]);
    assert_eq!(home.job("orgs", 0)["unchanged"], json!(3));
    assert!(destination.take().is_empty());
}

#[test]
fn there_is_a_way_back_from_a_return() {
    let destination = Destination::start();
    let (home, runs) = nights(&destination);
    home.run(&["rollback", "orgs", "--to", &runs[1], "--yes"]).expect(0);
    home.run(&["rollback", "orgs", "--to", &runs[2], "--yes"]).expect(0);
    assert_eq!(home.job("orgs", 0)["unchanged"], json!(3));
    assert!(destination.take().is_empty());
    let current = published(&home).remove(0);
    says(&home.run(&["rollback", "orgs", "--to", &current, "--yes"]).expect(2), &["it is the one that is in force"]);
}

#[test]
fn an_org_in_doubt_stays_in_doubt() {
    let destination = Destination::start();
    let home = home(&destination, "");
    extract(&home, &["free", "free"]);
    home.job("orgs", 0);
    destination.set("ws_1", 500);
    extract(&home, &["pro", "free"]);
    home.job("orgs", 1);
    destination.clear();
    let uncertain = published(&home)[0].clone();
    home.job("orgs", 0);
    home.run(&["rollback", "orgs", "--to", &uncertain, "--yes"]).expect(0);
    destination.take();
    // The source has gone back to what was acknowledged; whether the destination has `pro` is not known.
    extract(&home, &["free", "free"]);
    home.job("orgs", 0);
    assert_eq!(sent(&destination), [pair("ws_1", "free")]);
}

#[test]
fn damage_keeps_a_snapshot_from_being_returned_to() {
    let destination = Destination::start();
    let (home, runs) = nights(&destination);
    for name in ["base.parquet", "sidecar.parquet", "changes.parquet"] {
        let file = home.path(&format!("snapshots/orgs/{}/{name}", runs[1]));
        let content = std::fs::read(&file).unwrap();
        let mut damaged = content.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0x10;
        std::fs::write(&file, damaged).unwrap();
        says(&home.run(&["rollback", "orgs", "--to", &runs[1], "--yes"]).expect(2), &[name, "is damaged"]);
        std::fs::write(&file, content).unwrap();
        assert_eq!(published(&home)[0], runs[2]);
    }
}

#[test]
fn a_kill_at_every_mark_of_a_rollback() {
    let more = [
        "kept.before",
        "kept.written",
        "waiting.before",
        "waiting.written",
        "rollback.carried",
        "rollback.published",
        "retire.before",
    ];
    for mark in PUBLICATION.into_iter().chain(more) {
        let destination = Destination::start();
        let (home, runs) = nights(&destination);
        assert!(killed(&home, mark, &["rollback", "orgs", "--to", &runs[1], "--yes"]), "no process came past `{mark}`");
        assert!(destination.take().is_empty(), "{mark}");
        if published(&home)[0] == runs[2] {
            home.run(&["rollback", "orgs", "--to", &runs[1], "--yes"]).expect(0);
        }
        home.run(&["snapshot", "verify", "orgs"]).expect(0);
        home.run(&["retry", "orgs"]).expect(0);
        assert!(destination.take().is_empty(), "{mark}");
        home.job("orgs", 0);
        assert_eq!(sent(&destination), [pair("ws_1", "team"), pair("ws_2", "team")], "{mark}");
        assert_eq!(home.job("orgs", 0)["unchanged"], json!(3), "{mark}");
    }
}
