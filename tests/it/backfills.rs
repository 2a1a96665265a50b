//! `nightmark backfill`: orgs are sent once more while the nights go on; and kills in the midst of that. The real binary.

use crate::crash::marks;
use crate::support::{Destination, Home, Ran, Seen, job_file, ran, says, signal};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Stdio};

fn home_with(destination: &Destination, more: &str) -> Home {
    let home = Home::new();
    let to = format!("url = \"http://{}/\"\nretry = {{ attempts = 1, base = \"1ms\" }}", destination.address);
    home.write("jobs/orgs.toml", &job_file("", &to, &format!("preset = \"flat\"\n{more}")));
    home
}

fn extract(home: &Home, plans: &[&str]) {
    let rows: Vec<String> = plans.iter().enumerate().map(|(n, plan)| format!("ws_{},{plan}\n", n + 1)).collect();
    home.write("orgs.csv", &format!("workspace_id,plan_id\n{}", rows.concat()));
}

/// So many orgs that the destination has.
fn known(destination: &Destination, orgs: usize) -> Home {
    let home = home_with(destination, "");
    extract(&home, &vec!["free"; orgs]);
    home.job("orgs", 0);
    destination.take();
    home
}

fn json_of(home: &Home, args: &[&str], code: i32) -> Value {
    home.run(&[args, &["--json"]].concat()).expect(code).json()
}

fn status(home: &Home) -> Value {
    json_of(home, &["backfill", "orgs", "--status"], 0)
}

fn pair(org: &str, plan: &str) -> (String, String) {
    (org.to_owned(), plan.to_owned())
}

fn sent(seen: &[Seen]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut sent: Vec<_> = seen.iter().map(|seen| (seen.org().to_owned(), text(&seen.body["plan_id"]))).collect();
    sent.sort();
    sent
}

fn names(orgs: std::ops::RangeInclusive<usize>) -> BTreeSet<String> {
    orgs.map(|n| format!("ws_{n}")).collect()
}

/// The nights after a backfill have nothing to do with it.
#[track_caller]
fn nothing_is_left(home: &Home, destination: &Destination, orgs: usize) {
    destination.take();
    home.run(&["retry", "orgs"]).expect(0);
    let night = home.job("orgs", 0);
    assert_eq!((&night["unchanged"], &night["added"]), (&json!(orgs), &json!(0)), "{night}");
    assert!(destination.take().is_empty());
    home.run(&["snapshot", "verify", "orgs"]).expect(0);
}

fn folders(home: &Home) -> Vec<String> {
    let entries = std::fs::read_dir(home.path("snapshots/orgs")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("backfill-")).collect()
}

fn start(home: &Home, args: &[&str]) -> Child {
    home.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child) -> Ran {
    ran(child.wait_with_output().unwrap())
}

fn killed(home: &Home, mark: &str, args: &[&str]) -> bool {
    let output = home.command(args).env("FAILPOINTS", format!("{mark}=return")).output().unwrap();
    output.status.code().is_none()
}

#[test]
fn every_org_is_sent_once_more_and_nothing_unasked() {
    let destination = Destination::start();
    let home = home_with(&destination, "");
    extract(&home, &["free", "free", "pro"]);
    let first = home.run(&["backfill", "orgs", "--yes"]).expect(2);
    says(&first, &["nothing is known yet", "nightmark run", "nightmark adopt"]);
    home.job("orgs", 0);
    let before: BTreeSet<String> = destination.take().iter().map(|seen| seen.headers["webhook-id"].clone()).collect();

    let host = destination.address.to_string();
    let asked = home.run(&["backfill", "orgs", "--rate", "50/s"]).expect(2);
    says(&asked, &["3 orgs would be sent to", &host, "every org", "at most 50/s", "--yes"]);
    let counted = json_of(&home, &["backfill", "orgs", "--dry-run"], 0);
    assert_eq!((&counted["orgs"], &counted["differing"], &counted["host"]), (&json!(3), &json!(0), &json!(host)));
    assert!(destination.take().is_empty() && folders(&home).is_empty());
    assert_eq!(status(&home), Value::Null);

    let done = json_of(&home, &["backfill", "orgs", "--yes"], 0);
    assert_eq!((&done["state"], &done["acknowledged"], &done["pending"]), (&json!("finished"), &json!(3), &json!(0)));
    let seen = destination.take();
    assert_eq!(sent(&seen), [pair("ws_1", "free"), pair("ws_2", "free"), pair("ws_3", "pro")]);
    assert!(
        seen.iter().all(|seen| !before.contains(&seen.headers["webhook-id"])),
        "a destination must not take them for repeats"
    );
    assert_eq!(status(&home)["state"], json!("finished"));
    says(
        &home.run(&["backfill", "orgs", "--status"]).expect(0),
        &["is finished: every org to", "3 orgs: 3 acknowledged"],
    );
    assert!(json_of(&home, &["runs", "orgs"], 0).as_array().unwrap().len() == 1, "a backfill is no run");
    assert!(folders(&home).is_empty());
    nothing_is_left(&home, &destination, 3);
}

#[test]
fn what_was_adopted_is_filled_in_at_leisure() {
    let destination = Destination::start();
    let home = home_with(&destination, "");
    extract(&home, &["free", "pro"]);
    home.run(&["adopt", "orgs", "--yes"]).expect(0);
    home.run(&["backfill", "orgs", "--yes", "--rate", "6000/m"]).expect(0);
    assert_eq!(sent(&destination.take()), [pair("ws_1", "free"), pair("ws_2", "pro")]);
    nothing_is_left(&home, &destination, 2);
}

#[test]
fn what_differs_goes_by_a_run_and_nothing_is_removed() {
    let destination = Destination::start();
    let home = home_with(&destination, "[guard]\nmax_changed = { share = 0.1, floor = 0 }");
    let text = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    let text = text.replace("[diff]\n", "[diff]\non = [\"added\", \"changed\", \"removed\"]\n");
    let template =
        "template = '{\"workspace_id\": {{row.workspace_id}}, \"plan_id\": {{row.plan_id}}, \"op\": \"{{op}}\"}'";
    home.write("jobs/orgs.toml", &text.replace("preset = \"flat\"", template));
    extract(&home, &["free"; 4]);
    home.job("orgs", 0);
    destination.take();
    home.write("orgs.csv", "workspace_id,plan_id\nws_1,pro\nws_2,free\nws_3,free\nws_5,free\n");
    let asked = home.run(&["backfill", "orgs"]).expect(2);
    says(
        &asked,
        &[
            "4 orgs would be sent",
            "2 that differ",
            "2 as the destination has them",
            "A guard would hold a run: 1 of 4 known orgs have changed",
            "max_changed",
        ],
    );
    let done = json_of(&home, &["backfill", "orgs", "--yes"], 0);
    assert_eq!((&done["differing"], &done["orgs"], &done["acknowledged"]), (&json!(2), &json!(2), &json!(2)), "{done}");
    let expected = [pair("ws_1", "pro"), pair("ws_2", "free"), pair("ws_3", "free"), pair("ws_5", "free")];
    assert_eq!(sent(&destination.take()), expected);
    let run = json_of(&home, &["runs", "show", done["run"].as_str().unwrap()], 0);
    assert_eq!(
        (&run["counts"]["added"], &run["counts"]["changed"], &run["counts"]["removed"]),
        (&json!(1), &json!(1), &json!(0)),
        "{run}"
    );
    // The org that is gone is for a night to remove.
    let night = home.job("orgs", 0);
    assert_eq!((&night["unchanged"], &night["removed"]), (&json!(4), &json!(1)), "{night}");
}

#[test]
fn some_orgs_by_what_they_say_and_by_key() {
    let destination = Destination::start();
    let home = known(&destination, 3);
    // One of each: as known, changed, new. `ws_2` is changed, and nobody asks for it.
    home.write("orgs.csv", "workspace_id,plan_id\nws_1,free\nws_2,team\nws_3,pro\nws_4,pro\nws_5,team\n");
    home.run(&["backfill", "orgs", "--where", "row.plan_id == 'pro'", "--yes"]).expect(0);
    assert_eq!(sent(&destination.take()), [pair("ws_3", "pro"), pair("ws_4", "pro")]);
    home.write("some.txt", "ws_1\n\n  ws_4 \nws_9\n");
    says(
        &home.run(&["backfill", "orgs", "--keys", "some.txt", "--dry-run"]).expect(0),
        &["2 orgs to send", "1 of the keys have no org"],
    );
    home.run(&["backfill", "orgs", "--keys", "some.txt", "--yes"]).expect(0);
    assert_eq!(sent(&destination.take()), [pair("ws_1", "free"), pair("ws_4", "pro")]);
    home.run(&["backfill", "orgs", "--keys", "some.txt", "--where", "row.plan_id == \"free\"", "--yes"]).expect(0);
    assert_eq!(sent(&destination.take()), [pair("ws_1", "free")]);
    // The others are as they were: one has changed, and one is new.
    let night = home.job("orgs", 0);
    assert_eq!((&night["added"], &night["changed"], &night["unchanged"]), (&json!(1), &json!(1), &json!(3)), "{night}");
    assert_eq!(sent(&destination.take()), [pair("ws_2", "team"), pair("ws_5", "team")]);
    nothing_is_left(&home, &destination, 5);

    says(&home.run(&["backfill", "orgs", "--where", "row.plan == 'pro'", "--yes"]).expect(2), &["--where", "plan"]);
    says(&home.run(&["backfill", "orgs", "--where", "row.plan_id ==", "--yes"]).expect(2), &["--where"]);
    says(&home.run(&["backfill", "orgs", "--keys", "none.txt", "--yes"]).expect(2), &["none.txt"]);
    says(&home.run(&["backfill", "orgs", "--rate", "fast", "--yes"]).expect(2), &["`fast` is not a rate", "`50/s`"]);
    let none = json_of(&home, &["backfill", "orgs", "--where", "row.plan_id == 'gold'", "--yes"], 0);
    assert_eq!(none["orgs"], json!(0));
    assert!(destination.take().is_empty() && folders(&home).is_empty());
}

#[test]
fn columns_with_a_form_are_sent_as_tonight_has_them() {
    let destination = Destination::start();
    let home = home_with(&destination, "");
    let text = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &text.replace("[diff]\n", "[diff]\ncolumns.mrr = { tolerance = 5 }\n"));
    home.write("orgs.csv", "workspace_id,mrr\nws_1,100\nws_2,100\nws_3,100\n");
    home.job("orgs", 0);
    destination.take();
    // Within the tolerance; as it was; beyond.
    home.write("orgs.csv", "workspace_id,mrr\nws_1,103\nws_2,100\nws_3,200\n");
    let done = json_of(&home, &["backfill", "orgs", "--yes"], 0);
    assert_eq!((&done["orgs"], &done["differing"]), (&json!(2), &json!(1)), "{done}");
    let mut sent: Vec<_> =
        destination.take().iter().map(|seen| (seen.org().to_owned(), seen.body["mrr"].clone())).collect();
    sent.sort_by_key(|(org, _)| org.clone());
    assert_eq!(sent, [("ws_1".into(), json!(103)), ("ws_2".into(), json!(100)), ("ws_3".into(), json!(200))]);
}

#[test]
fn only_what_failed_and_what_was_sent_since() {
    let destination = Destination::start();
    let home = known(&destination, 4);
    destination.set("ws_1", 422);
    extract(&home, &["pro", "pro", "free", "free"]);
    let run = home.job("orgs", 1)["run"].as_str().unwrap().to_owned();
    destination.clear();
    destination.take();
    extract(&home, &["team", "pro", "team", "free"]);
    home.run(&["backfill", "orgs", "--only-failed", "--yes"]).expect(0);
    assert_eq!(sent(&destination.take()), [pair("ws_1", "team")], "with its newest value");
    // `ws_3` differs, and no run has sent it.
    home.run(&["backfill", "orgs", "--since", &run, "--yes"]).expect(0);
    assert_eq!(sent(&destination.take()), [pair("ws_1", "team"), pair("ws_2", "pro")]);
    says(
        &home.run(&["backfill", "orgs", "--since", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "--yes"]).expect(2),
        &["is not kept", &run],
    );
    home.job("orgs", 0);
    assert_eq!(sent(&destination.take()), [pair("ws_3", "team")]);
    nothing_is_left(&home, &destination, 4);
}

#[test]
fn what_a_backfill_could_not_deliver_is_tried_by_the_next() {
    let destination = Destination::start();
    let home = known(&destination, 3);
    destination.set("ws_2", 422);
    let done = json_of(&home, &["backfill", "orgs", "--yes"], 1);
    assert_eq!((&done["state"], &done["acknowledged"], &done["refused"]), (&json!("finished"), &json!(2), &json!(1)));
    assert_eq!(done["failures"][0]["key"], json!("ws_2"));
    assert_eq!(destination.take().len(), 3, "one attempt each");
    destination.clear();
    // What the destination is known to have is as ever.
    nothing_is_left(&home, &destination, 3);
    home.run(&["backfill", "orgs", "--only-failed", "--yes"]).expect(0);
    assert_eq!(sent(&destination.take()), [pair("ws_2", "free")]);
    assert!(
        json_of(&home, &["dead-letters", "list", "orgs", "--all"], 0)
            .as_array()
            .unwrap()
            .iter()
            .all(|dead| dead["count"] == json!(1))
    );
    home.job("orgs", 0);
    assert!(json_of(&home, &["dead-letters", "list", "orgs", "--all"], 0).as_array().unwrap().is_empty());
}

#[test]
fn it_rests_and_goes_on_and_each_org_is_sent_once() {
    let destination = Destination::start();
    let home = known(&destination, 30);
    let filling = start(&home, &["backfill", "orgs", "--yes", "--rate", "1/s", "--json"]);
    destination.wait_for(2);
    let now = status(&home);
    assert_eq!((&now["state"], &now["rate"], &now["orgs"]), (&json!("active"), &json!("1/s"), &json!(30)), "{now}");
    assert!(now["seconds_left"].as_u64().unwrap() > 0, "{now}");
    says(
        &home.run(&["backfill", "orgs", "--resume"]).expect(2),
        &["being run by another process", "sends its backfill"],
    );
    says(&home.run(&["backfill", "orgs", "--yes"]).expect(2), &["being run by another process"]);
    says(&home.run(&["backfill", "orgs", "--pause", "--by", "Zoë"]).expect(0), &["paused by Zoë"]);
    let rested = ended(filling).expect(1).json();
    assert_eq!(rested["state"], json!("paused"), "{rested}");
    let now = status(&home);
    assert_eq!(now["state"], json!("paused"));
    assert!(now["reason"].as_str().unwrap().contains("paused by Zoë"), "{now}");
    let left = now["pending"].as_u64().unwrap();
    assert!(left > 0 && left < 30, "{now}");
    says(&home.run(&["backfill", "orgs", "--yes"]).expect(2), &["is not at its end", "--resume", "--cancel"]);

    // SIGTERM has it rest as well.
    let filling = start(&home, &["backfill", "orgs", "--resume", "--json"]);
    let before = destination.take();
    destination.wait_for(1);
    signal(filling.id(), "TERM");
    assert_eq!(ended(filling).expect(1).json()["state"], json!("paused"));
    let done = json_of(&home, &["backfill", "orgs", "--resume", "--rate", "100000/s"], 0);
    assert_eq!((&done["state"], &done["acknowledged"]), (&json!("finished"), &json!(30)), "{done}");
    let all: Vec<Seen> = before.into_iter().chain(destination.take()).collect();
    assert_eq!(all.len(), 30, "each once");
    assert_eq!(all.iter().map(|seen| seen.org().to_owned()).collect::<BTreeSet<_>>(), names(1..=30));
    says(&home.run(&["backfill", "orgs", "--resume"]).expect(2), &["there is none that is not at its end"]);
    nothing_is_left(&home, &destination, 30);
}

#[test]
fn nights_go_on_meanwhile_and_nothing_is_sent_twice() {
    let destination = Destination::start();
    let home = known(&destination, 30);
    let filling = start(&home, &["backfill", "orgs", "--yes", "--rate", "1/s", "--json"]);
    destination.wait_for(1);
    let mut plans = ["free"; 30];
    // One org changes, and back; one changes and cannot be delivered; one is in doubt, with the source back at what it was.
    destination.set("ws_29", 422);
    destination.set("ws_28", 500);
    (plans[29], plans[28], plans[27]) = ("pro", "pro", "pro");
    extract(&home, &plans);
    let night = home.job("orgs", 1);
    assert_eq!(
        (&night["acknowledged"], &night["refused"], &night["unknown"]),
        (&json!(1), &json!(1), &json!(1)),
        "{night}"
    );
    (plans[29], plans[27]) = ("free", "free");
    extract(&home, &plans);
    home.job("orgs", 1);
    assert_eq!(status(&home)["state"], json!("active"), "{}", status(&home));
    home.run(&["backfill", "orgs", "--pause"]).expect(0);
    ended(filling).expect(1);
    let done = json_of(&home, &["backfill", "orgs", "--resume", "--rate", "100000/s"], 0);
    assert_eq!(
        (&done["state"], &done["passed_over"], &done["acknowledged"]),
        (&json!("finished"), &json!(3), &json!(27)),
        "{done}"
    );
    let mut times: BTreeMap<(String, String), usize> = BTreeMap::new();
    sent(&destination.take()).into_iter().for_each(|pair| *times.entry(pair).or_default() += 1);
    for n in 1..=27 {
        assert_eq!(times.remove(&pair(&format!("ws_{n}"), "free")), Some(1), "ws_{n}");
    }
    // `pro`, then `free`, by the two nights; the others as often as nights tried.
    let nights = [
        (pair("ws_28", "free"), 1),
        (pair("ws_28", "pro"), 1),
        (pair("ws_29", "pro"), 2),
        (pair("ws_30", "free"), 1),
        (pair("ws_30", "pro"), 1),
    ];
    assert_eq!(times.into_iter().collect::<Vec<_>>(), nights);
    destination.clear();
    home.job("orgs", 0);
    assert_eq!(sent(&destination.take()), [pair("ws_28", "free"), pair("ws_29", "pro")]);
    nothing_is_left(&home, &destination, 30);
}

#[test]
fn the_run_that_it_begins_with_gives_way_as_well() {
    let destination = Destination::start();
    let home = known(&destination, 30);
    extract(&home, &["pro"; 30]);
    let filling = start(&home, &["backfill", "orgs", "--yes", "--rate", "1/s", "--json"]);
    destination.wait_for(2);
    // It sends what the other has not sent yet.
    let night = home.job("orgs", 0);
    assert!(night["acknowledged"].as_u64().unwrap() > 20, "{night}");
    let done = ended(filling).expect(0).json();
    assert_eq!(
        (&done["state"], &done["differing"], &done["orgs"]),
        (&json!("finished"), &json!(30), &json!(0)),
        "{done}"
    );
    let seen = destination.take();
    assert_eq!((seen.len(), sent(&seen).into_iter().collect::<BTreeSet<_>>().len()), (30, 30), "each once");
    nothing_is_left(&home, &destination, 30);
}

#[test]
fn a_new_column_is_not_adopted_with_some_orgs_alone() {
    let destination = Destination::start();
    let home = known(&destination, 2);
    let text = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &text.replace("[diff]\n", "[diff]\non_new_column = \"adopt\"\n"));
    home.write("orgs.csv", "workspace_id,plan_id,mrr\nws_1,free,1\nws_2,free,2\n");
    let refused = home.run(&["backfill", "orgs", "--where", "row.workspace_id == 'ws_1'", "--yes"]).expect(2);
    says(&refused, &["column `mrr`", "with the values of some orgs alone", "nightmark run orgs"]);
    assert!(destination.take().is_empty());
    home.run(&["backfill", "orgs", "--yes"]).expect(0);
    assert_eq!(destination.take().len(), 2);
    nothing_is_left(&home, &destination, 2);
}

#[test]
fn a_retry_and_an_approval_have_their_turn_as_well() {
    let destination = Destination::start();
    let home = home_with(&destination, "[guard]\nmax_changed = { share = 0.01, floor = 0 }");
    extract(&home, &["free"; 20]);
    home.job("orgs", 0);
    destination.take();
    let mut plans = ["free"; 20];
    plans[19] = "pro";
    extract(&home, &plans);
    home.job("orgs", 3);
    extract(&home, &["free"; 20]);
    let filling = start(&home, &["backfill", "orgs", "--yes", "--rate", "1/s", "--json"]);
    destination.wait_for(1);
    home.run(&["approve", "orgs"]).expect(0);
    home.run(&["retry", "orgs"]).expect(0);
    home.run(&["backfill", "orgs", "--pause"]).expect(0);
    ended(filling).expect(1);
    let done = json_of(&home, &["backfill", "orgs", "--resume", "--rate", "100000/s"], 0);
    assert_eq!(done["passed_over"], json!(1), "{done}");
    let all = sent(&destination.take());
    assert_eq!(all.len(), 20);
    assert!(all.contains(&pair("ws_20", "pro")) && !all.contains(&pair("ws_20", "free")));
}

#[test]
fn it_is_given_up() {
    let destination = Destination::start();
    let home = known(&destination, 30);
    let filling = start(&home, &["backfill", "orgs", "--yes", "--rate", "1/s", "--json"]);
    destination.wait_for(1);
    says(&home.run(&["backfill", "orgs", "--cancel", "--by", "Zoë"]).expect(0), &["is cancelled", "cancelled by Zoë"]);
    assert_eq!(ended(filling).expect(1).json()["state"], json!("cancelled"));
    assert!(folders(&home).is_empty());
    let before = destination.take().len();
    says(&home.run(&["backfill", "orgs", "--resume"]).expect(2), &["there is none"]);
    says(&home.run(&["backfill", "orgs", "--cancel"]).expect(2), &["there is none"]);
    assert!(before < 30);
    nothing_is_left(&home, &destination, 30);
    assert_eq!(json_of(&home, &["backfill", "orgs", "--yes"], 0)["acknowledged"], json!(30));
}

#[test]
fn a_destination_that_needs_mending_has_it_rest() {
    let destination = Destination::start();
    let home = known(&destination, 3);
    for org in ["ws_1", "ws_2", "ws_3"] {
        destination.set(org, 401);
    }
    let rested = json_of(&home, &["backfill", "orgs", "--yes"], 1);
    assert_eq!(rested["state"], json!("paused"), "{rested}");
    says(&home.run(&["backfill", "orgs", "--status"]).expect(0), &["is paused", "401"]);
    destination.clear();
    destination.take();
    assert_eq!(json_of(&home, &["backfill", "orgs", "--resume"], 0)["acknowledged"], json!(3));
    nothing_is_left(&home, &destination, 3);
}

#[test]
fn what_cannot_be_compared_any_more_is_not_gone_on_with() {
    let destination = Destination::start();
    let home = known(&destination, 3);
    assert!(killed(&home, "backfill.recorded", &["backfill", "orgs", "--yes"]));
    home.run(&["adopt", "orgs", "--replace", "--yes"]).expect(0);
    says(&home.run(&["backfill", "orgs", "--resume"]).expect(2), &["what is compared has changed", "--cancel"]);
    assert!(destination.take().is_empty());
    home.run(&["backfill", "orgs", "--cancel"]).expect(0);
    assert_eq!(json_of(&home, &["backfill", "orgs", "--yes"], 0)["acknowledged"], json!(3));
    // Its files are looked at before anything is sent.
    assert!(killed(&home, "backfill.recorded", &["backfill", "orgs", "--yes"]));
    destination.take();
    let file = home.path(&format!("snapshots/orgs/{}/changes.parquet", folders(&home)[0]));
    let mut content = std::fs::read(&file).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 0x10;
    std::fs::write(&file, content).unwrap();
    says(&home.run(&["backfill", "orgs", "--resume"]).expect(2), &["changes.parquet", "is damaged"]);
    assert!(destination.take().is_empty());
}

/// What may have been in flight at a kill is sent again, under the same ids; nothing else is, and no org is left out.
#[test]
fn a_kill_at_every_mark_of_a_backfill() {
    let marks: Vec<String> = marks().into_iter().filter(|mark| mark.starts_with("backfill.")).collect();
    assert!(marks.len() >= 11, "{marks:?}");
    let more = ["ledger.before_commit", "ledger.committed", "publish.recorded", "manifest.renamed"].map(str::to_owned);
    for mark in marks.into_iter().chain(more) {
        let destination = Destination::start();
        let home = known(&destination, 6);
        // One org differs: it goes by a run, which is accounted for.
        extract(&home, &["pro", "free", "free", "free", "free", "free"]);
        let begin = ["backfill", "orgs", "--yes"];
        let is_killed = match mark.as_str() {
            "backfill.cut_off" => {
                // The run's row has its word before the backfill's first is granted.
                assert!(killed(&home, "backfill.accounted", &begin));
                assert!(killed(&home, "ledger.committed", &["backfill", "orgs", "--resume"]));
                killed(&home, &mark, &["backfill", "orgs", "--resume"])
            }
            "backfill.cancelled" => {
                assert!(killed(&home, "backfill.accounted", &begin));
                killed(&home, &mark, &["backfill", "orgs", "--cancel"])
            }
            _ => killed(&home, &mark, &begin),
        };
        assert!(is_killed, "no process came past `{mark}`");
        let now = status(&home);
        match now["state"].as_str() {
            Some("paused") => home.run(&["backfill", "orgs", "--resume"]).expect(0),
            Some("finished") => home.run(&["backfill", "orgs", "--status"]).expect(0),
            _ => home.run(&begin).expect(0),
        };
        let mut ids: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        let seen = destination.take();
        for one in &seen {
            let plan = one.body["plan_id"].as_str().unwrap().to_owned();
            ids.entry((one.org().to_owned(), plan)).or_default().insert(one.headers["webhook-id"].clone());
        }
        // Whatever was done before the kill, a new backfill sends it anew.
        let most = if mark == "backfill.cancelled" { 2 } else { 1 };
        assert!(ids.values().all(|ids| ids.len() <= most), "{mark}: {ids:?}");
        let expected = (1..=6).map(|n| pair(&format!("ws_{n}"), if n == 1 { "pro" } else { "free" }));
        assert_eq!(ids.into_keys().collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{mark}");
        assert!(folders(&home).is_empty() || status(&home)["state"] == json!("finished"), "{mark}");
        nothing_is_left(&home, &destination, 6);
    }
}

/// A process that is killed while requests are at the destination.
#[test]
fn kills_while_it_sends_lose_nothing() {
    let destination = Destination::start();
    let home = known(&destination, 40);
    let mut seen: Vec<Seen> = Vec::new();
    let mut args = vec!["backfill", "orgs", "--yes", "--rate", "20/s", "--json"];
    for _ in 0..4 {
        let mut filling = start(&home, &args);
        destination.wait_for(3);
        filling.kill().unwrap();
        filling.wait().unwrap();
        seen.extend(destination.take());
        args = vec!["backfill", "orgs", "--resume", "--json"];
    }
    let done = json_of(&home, &["backfill", "orgs", "--resume", "--rate", "100000/s"], 0);
    assert_eq!(done["acknowledged"], json!(40), "{done}");
    seen.extend(destination.take());
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in &seen {
        ids.entry(one.org().to_owned()).or_default().insert(one.headers["webhook-id"].clone());
    }
    assert_eq!(ids.keys().cloned().collect::<BTreeSet<_>>(), names(1..=40));
    assert!(ids.values().all(|ids| ids.len() == 1), "a repeat has its first id");
    nothing_is_left(&home, &destination, 40);
}
