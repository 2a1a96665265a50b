//! Segment's and RudderStack's SDKs for Node and Python call our receiver: nothing but the host is changed in them.

use super::{GUIDE_EVENT, RUDDERSTACK_CALL, Receiver, SEGMENT_CALL};
use crate::support::{node, pipe, python};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// A call that can never be stored, behind the guide's.
const BAD_CALL: &str = "group(\"ws_bad\", { mrr: \"not a number\" });";

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

fn script(name: &str, args: [&str; 3]) -> Command {
    let traits = serde_json::from_str::<Value>(GUIDE_EVENT).unwrap()["traits"].to_string();
    let mut command = python();
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name));
    command.args(args).args(["ws_abc123", &traits]).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn segment_for_node() {
    let call = |host: &str, key: &str| {
        let mut command = node("interop/segment.cjs");
        command.args([host, key]);
        command
    };
    check(call, &format!("{SEGMENT_CALL}\nanalytics.{BAD_CALL}"));
}

#[test]
fn rudderstack_for_node() {
    for packing in ["gzip", "plain"] {
        let call = |host: &str, key: &str| {
            let mut command = node("interop/rudderstack.cjs");
            command.args([host, key, packing]);
            command
        };
        check(call, &format!("{RUDDERSTACK_CALL}\nrudderanalytics.{BAD_CALL}"));
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
