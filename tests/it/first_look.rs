//! What there is to see before a first run: `preview` and `check` when there is no snapshot.

use crate::support::{Home, job_file, says};
use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use serde_json::{Value, json};
use std::io::Read;
use std::process::Stdio;
use std::sync::Arc;

const NOWHERE: &str = "url = \"http://127.0.0.1:9/\"";

fn home(csv: &str, diff: &str) -> Home {
    let home = Home::new();
    home.write("orgs.csv", csv);
    home.write("jobs/orgs.toml", &job_file(diff, NOWHERE, "preset = \"flat\""));
    home
}

const CSV: &str =
    "workspace_id,plan,note,last_seen\nws_1,pro,,2026-11-01\nws_2,free,\"\",2026-11-02\nws_3,pro,\"a\nb\",2026-11-03\n";

#[test]
fn the_first_preview_shows_rows_types_and_the_key() {
    let home = home(CSV, "ignore = [\"note\"]");
    let ran = home.run(&["preview", "orgs"]).expect(0);
    says(
        &ran,
        &[
            "there is no snapshot yet",
            "last_seen     text  compared",
            "note          text  ignored",
            "workspace_id  text  key",
        ],
    );
    says(&ran, &["key workspace_id: none of 3 rows is NULL or empty, none stands twice"]);
    says(&ran, &["`last_seen` moves by itself", "add it to `ignore` in jobs/orgs.toml:", "3 added", "--twice"]);
    // NULL, the empty text, and nothing that would repaint the screen.
    says(&ran, &["NULL", "\"\"", "a\\nb"]);
    let sample = home.run(&["preview", "orgs", "--json"]).expect(0).json()["sample"].clone();
    assert_eq!(sample["columns"][0], json!({ "name": "workspace_id", "type": "text", "purpose": "key" }));
    assert_eq!(
        sample["rows"][2],
        json!({ "workspace_id": "ws_3", "plan": "pro", "note": "a\nb", "last_seen": "2026-11-03" })
    );
    assert_eq!((&sample["rows"][0]["note"], &sample["key"]["bad"]), (&Value::Null, &json!(0)));
    assert_eq!((&sample["volatile"][0]["column"], &sample["looked_twice"]), (&json!("last_seen"), &Value::Null));
    // Twenty rows and no more.
    let many: String = (0..50).map(|n| format!("org_{n},pro\n")).collect();
    home.write("orgs.csv", &format!("workspace_id,plan\n{many}"));
    home.write("jobs/orgs.toml", &job_file("", NOWHERE, "preset = \"flat\""));
    assert_eq!(
        home.run(&["preview", "orgs", "--json"]).expect(0).json()["sample"]["rows"].as_array().unwrap().len(),
        20
    );
}

#[test]
fn once_there_is_a_snapshot_the_differences_are_shown() {
    let destination = crate::support::Destination::start();
    let home = home(CSV, "");
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &job.replace("127.0.0.1:9", &destination.address.to_string()));
    home.job("orgs", 0);
    home.write("orgs.csv", &CSV.replace("free", "team"));
    let ran = home.run(&["preview", "orgs"]).expect(0);
    assert!(!ran.stdout.contains("no snapshot yet"), "{}", ran.stdout);
    says(&ran, &["1 changed", "free", "team"]);
    assert!(home.run(&["preview", "orgs", "--json"]).expect(0).json().get("sample").is_none());
}

#[test]
fn keys_that_are_none_are_counted_and_listed() {
    let twice: String = (0..25).map(|n| format!("org_{n},pro\norg_{n},free\n")).collect();
    let home = home(&format!("workspace_id,plan\n,pro\n\"\",pro\n{twice}"), "");
    let ran = home.run(&["preview", "orgs"]).expect(2);
    says(&ran, &["2 are NULL or empty, 25 stand in several rows", "row 1: the key is NULL", "row 2: the key is empty"]);
    says(&ran, &["`org_0` stands in 2 rows (first in row 3)", "… and 7 more", "nothing was sent"]);
    let told = home.run(&["preview", "orgs", "--json"]).expect(2).json();
    let key = &told["sample"]["key"];
    assert_eq!((&key["bad"], &key["missing"], &key["duplicate"]), (&json!(27), &json!(2), &json!(25)), "{told}");
    assert_eq!(key["listed"].as_array().unwrap().len(), 20);
    assert_eq!(told["state"], json!("failed"));
    // `check` says the same of the rows that it reads.
    let check = home.run(&["check", "orgs"]).expect(2);
    says(
        &check,
        &["diff.key = workspace_id is no key: 27 bad values in the first 52 rows", "`org_0` stands in 2 rows"],
    );
    // What is quarantined is no problem, and is said.
    home.write("jobs/orgs.toml", &job_file("on_bad_key = \"quarantine\"", NOWHERE, "preset = \"flat\""));
    says(&home.run(&["check", "orgs"]).expect(0), &["is no key: 27 bad values", "left out"]);
}

#[test]
fn two_looks_show_what_moves() {
    let home = home("workspace_id,plan,score\na,pro,1\nb,pro,2\nc,pro,3\n", "");
    let args = ["preview", "orgs", "--json", "--twice", "--wait", "20s"];
    let mut child = home.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut told, mut byte) = (Vec::new(), [0]);
    let mut stderr = child.stderr.take().unwrap();
    while !String::from_utf8_lossy(&told).contains("looking again") {
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&told));
        told.push(byte[0]);
    }
    // One org is new, one is gone: two are in both.
    home.write("orgs.csv", "workspace_id,plan,score\na,pro,1\nb,pro,9\nd,pro,3\n");
    let sample = crate::support::ran(child.wait_with_output().unwrap()).expect(0).json()["sample"].clone();
    let expected =
        json!([{ "column": "score", "changed": 1, "by_name": false, "remedy": sample["volatile"][0]["remedy"] }]);
    assert_eq!((&sample["volatile"], &sample["looked_twice"]["orgs"]), (&expected, &json!(2)), "{sample}");
    assert!(
        sample["volatile"][0]["remedy"].as_str().unwrap().contains("`ignore = [\"score\"]` below [diff]"),
        "{sample}"
    );
    says(&home.run(&["preview", "orgs", "--wait", "1s"]).expect(2), &["--twice"]);
}

/// Everything that is wrong between a job and its extract, in one go.
#[test]
fn check_tells_everything_at_once() {
    let home = Home::new();
    let text = |values: [&'static str; 2]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let bytes = || Arc::new(BinaryArray::from(vec![b"a" as &[u8], b"b"])) as ArrayRef;
    let columns =
        [("workspace_id", text(["a", "b"])), ("plan", text(["x", "y"])), ("photo", bytes()), ("icon", bytes())];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = std::fs::File::create(home.path("orgs.parquet")).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let diff = "compare = [\"plan\", \"seats\"]\nignore = [\"seen_at\"]\n[diff.columns.plan]\nround = 2";
    let destination = "url = \"http://127.0.0.1:9/${NOT_THERE}\"";
    let payload = "preset = \"flat\"\n[payload.fields]\nid = \"workspace_id\"\nowner = \"owner_id\"";
    home.write("jobs/orgs.toml", &job_file(diff, destination, payload).replace("orgs.csv", "orgs.parquet"));
    let check = home.run(&["check", "orgs", "--json"]).expect(2).json();
    let problems: Vec<&str> = check[0]["problems"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    for part in [
        "NOT_THERE",
        "column `photo` has the type",
        "column `icon` has the type",
        "diff.compare names `seats`",
        "diff.ignore names `seen_at`",
        "owner_id",
        "diff.columns.plan",
    ] {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:#?}");
    }
    says(&home.run(&["check", "orgs"]).expect(2), &["photo", "icon", "seats", "seen_at", "owner_id", "NOT_THERE"]);
}
