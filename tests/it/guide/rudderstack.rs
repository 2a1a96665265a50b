//! "Rudderstack": the webhook destination sends all events, the transformation leaves the group calls, and Segment's mapping
//! table reads them.

use crate::interop::{Receiver, Vendor, group_calls, other_events, sender, transformed};
use crate::support::Destination;
use serde_json::json;
use std::process::Command;

#[test]
fn group_calls_pass_the_transformation_and_arrive_by_segments_mapping() {
    let data_plane = Destination::start();
    let home = sender(Vendor::RudderStack, "batch", &data_plane);
    let calls = group_calls(&home, &data_plane);
    let kept = transformed(&[other_events(), calls.clone(), other_events()].concat());
    assert_eq!(kept, calls);

    // RudderStack's webhook destination: the full event by POST, as JSON, with the header that was set up.
    let receiver = Receiver::start(&["--with-secret"]);
    for event in &kept {
        let output = Command::new("curl")
            .args(["-sSf", "-A", "RudderLabs", "-H", "Content-Type: application/json", "-H"])
            .args([&format!("X-Api-Secret: {}", receiver.secret), "-d", &event.to_string(), &receiver.webhook()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    receiver.has_the_guides_org();
    assert_eq!(receiver.orgs(), ["ws_abc123", "ws_def456", "ws_ghi789", "ws_jkl012"]);
    // Without a user: an anonymousId stands in, the same every night, so that no batch is sunk by its event.
    let without_user = &calls[2];
    assert_eq!(without_user["userId"], json!(null));
    assert_eq!(without_user["anonymousId"], json!("nightmark:ws_ghi789"));
}
