//! Our sender's group calls, through Segment's own Webhooks (Actions) destination, into our receiver.

use super::{GUIDE_EVENT, Receiver, Vendor, group_calls, other_events, sender};
use crate::support::{Destination, node, pipe};
use serde_json::{Value, json};

/// What Segment signs with.
pub(super) const SHARED_SECRET: &str = "shared between Segment and the receiver";

/// The receiver checks it.
pub const SIGNED: [&str; 5] =
    ["--with-secret", "--signature", "segment", "--signing-secret", "${SEGMENT_SHARED_SECRET}"];

/// Sends events through the action to the receiver, one by one or in a batch, and returns the requests that it made. Each was
/// signed and answered 200.
#[track_caller]
pub fn through_webhooks_actions(receiver: &Receiver, events: &[Value], mode: &str) -> Vec<Value> {
    let mut command = node("interop/webhooks_actions.cjs");
    command.args([&receiver.webhook(), &receiver.secret, SHARED_SECRET, mode]);
    let requests = pipe(command, &json!(events).to_string()).as_array().unwrap().clone();
    for request in &requests {
        let headers = &request["headers"];
        assert_eq!(headers["user-agent"], json!("Segment (Actions)"));
        let hmac = request["hmac"].as_str().unwrap();
        assert_eq!((hmac.len(), &headers["x-signature"]), (40, &request["hmac"]), "hex HMAC-SHA1 of the body");
        assert_eq!((&request["status"], &request["answer"]["success"]), (&json!(200), &json!(true)), "{request}");
    }
    requests
}

#[track_caller]
fn check(vendor: Vendor, mode: &str) {
    let cdp = Destination::start();
    let home = sender(vendor, mode, &cdp);
    let calls = group_calls(&home, &cdp);
    assert_eq!(calls.len(), 4);

    // The source has other events as well; the mapping's trigger keeps them away.
    let events = [other_events(), calls.clone()].concat();
    let receiver = Receiver::start(&SIGNED);
    let requests = through_webhooks_actions(&receiver, &events, mode);
    let bodies: Vec<&Value> = match mode {
        "batch" => requests.iter().flat_map(|request| request["body"].as_array().unwrap()).collect(),
        _ => requests.iter().map(|request| &request["body"]).collect(),
    };
    assert_eq!(bodies, calls.iter().collect::<Vec<_>>(), "the full event, as we sent it");
    assert_eq!(requests.len(), if mode == "batch" { 1 } else { 4 });

    receiver.has_the_guides_org();
    assert_eq!(receiver.orgs(), ["ws_abc123", "ws_def456", "ws_ghi789", "ws_jkl012"]);
    let quoted = receiver.org("ws_def456");
    assert_eq!(quoted["name"], json!("Fjord \"North\" Logistics"));
    assert_eq!(receiver.org("ws_jkl012")["mrr"], Value::Null, "NULL stays NULL all the way");

    // The same night again: nothing differs, and nothing leaves.
    assert_eq!(group_calls(&home, &cdp), Vec::<Value>::new());
}

#[test]
fn segment_one_by_one() {
    check(Vendor::Segment, "single");
}

#[test]
fn segment_in_batches() {
    check(Vendor::Segment, "batch");
}

#[test]
fn rudderstack_one_by_one() {
    check(Vendor::RudderStack, "single");
}

#[test]
fn rudderstack_in_batches() {
    check(Vendor::RudderStack, "batch");
}

#[test]
fn the_guides_event_arrives_as_the_guide_shows() {
    let receiver = Receiver::start(&SIGNED);
    let event: Value = serde_json::from_str(GUIDE_EVENT).unwrap();
    let requests = through_webhooks_actions(&receiver, &[event], "single");
    assert_eq!(requests[0]["answer"]["productOrgId"], json!("ws_abc123"));
    receiver.has_the_guides_org();
}
