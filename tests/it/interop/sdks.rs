//! Segment's and RudderStack's SDKs for Node and Python call our receiver: nothing but the host is changed in them.

use super::{GUIDE_EVENT, RUDDERSTACK_CALL, Receiver, SEGMENT_CALL};
use crate::support::{node, pipe, python, ran};
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// A call that can never be stored, behind the guide's.
const BAD_CALL: &str = "group(\"ws_bad\", { mrr: \"not a number\" });";

fn segment(host: &str, key: &str) -> Command {
    let mut command = node("interop/segment.cjs");
    command.args([host, key]);
    command
}

fn rudderstack(host: &str, key: &str, packing: &str) -> Command {
    let mut command = node("interop/rudderstack.cjs");
    command.args([host, key, packing]);
    command
}

/// Points an SDK at the receiver. `call` makes a command of host and key; `input` is its standard input.
#[track_caller]
fn check(call: impl Fn(&str, &str) -> Command, input: &str) {
    let receiver = Receiver::start(&[]);
    let host = format!("http://{}", receiver.served.receiver);
    // With the slash that people leave at the end.
    for host in [&host, &format!("{host}/")] {
        let report = pipe(call(host, &receiver.key), input);
        assert_eq!((&report["requests"], &report["failed"]), (&json!(1), &json!([])), "{report}");
    }
    receiver.has_the_guides_org();
    assert_eq!(receiver.orgs(), ["ws_abc123"], "no other event makes an org, and a bad one takes no other down");

    // A wrong key is told at once: it is not tried again and again.
    let report = pipe(call(&host, "sk_wrong"), input);
    assert_eq!(report["requests"], json!(1), "{report}");
    assert_ne!(report["failed"], json!([]), "{report}");

    // What an SDK was told is delivered is on the disk.
    let home = receiver.kill();
    home.run(&["orgs", "show", "ws_abc123"]).expect(0);
}

/// While the state store is locked the receiver says 503; the SDK keeps its events and sends them again.
#[track_caller]
fn check_again(call: impl Fn(&str, &str) -> Command, input: &str) {
    let receiver = Receiver::start(&[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let file = SqliteConnectOptions::new().filename(receiver.home.path("nightmark.db"));
    let mut lock = runtime.block_on(file.connect()).unwrap();
    runtime.block_on(sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut lock)).unwrap();

    let mut command = call(&format!("http://{}", receiver.served.receiver), &receiver.key);
    let program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let mut statuses = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(statuses.next().unwrap().unwrap(), "503");
    runtime.block_on(sqlx::raw_sql("ROLLBACK").execute(&mut lock)).unwrap();
    assert_eq!(statuses.map(Result::unwrap).last().as_deref(), Some("200"));
    let report = ran(child.wait_with_output().unwrap()).expect(0).json();
    assert_eq!(report["failed"], json!([]), "{report}");
    receiver.has_the_guides_org();
}

#[test]
fn what_is_answered_503_is_sent_again() {
    check_again(segment, SEGMENT_CALL);
    check_again(|host, key| rudderstack(host, key, "gzip"), RUDDERSTACK_CALL);
}

fn script(name: &str, args: [&str; 3]) -> Command {
    let traits = serde_json::from_str::<Value>(GUIDE_EVENT).unwrap()["traits"].to_string();
    let mut command = python();
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name));
    command.args(args).args(["ws_abc123", &traits]).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn segment_for_node() {
    check(segment, &format!("{SEGMENT_CALL}\nanalytics.{BAD_CALL}"));
}

#[test]
fn rudderstack_for_node() {
    for packing in ["gzip", "plain"] {
        check(|host, key| rudderstack(host, key, packing), &format!("{RUDDERSTACK_CALL}\nrudderanalytics.{BAD_CALL}"));
    }
}

#[test]
fn segment_for_python() {
    for packing in ["gzip", "plain"] {
        check(|host, key| script("segment_sdk.py", [host, key, packing]), "");
    }
}

#[test]
fn rudderstack_for_python() {
    for packing in ["gzip", "plain"] {
        check(|host, key| script("rudderstack_sdk.py", [host, key, packing]), "");
    }
}
