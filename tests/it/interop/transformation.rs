//! The guide's RudderStack transformation, unchanged, as fixtures/guide/rudderstack_transformation.js has it.

use super::{GUIDE_EVENT, Vendor, group_calls, other_events, sender};
use crate::support::{Destination, node, pipe};
use serde_json::{Value, json};
use std::path::Path;

/// The events that the transformation lets through.
pub fn transformed(events: &[Value]) -> Vec<Value> {
    let code = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/guide/rudderstack_transformation.js");
    let mut command = node("interop/transformation.cjs");
    command.arg(code);
    pipe(command, &json!(events).to_string()).as_array().unwrap().clone()
}

#[test]
fn only_groups_remain_and_they_are_unchanged() {
    let cdp = Destination::start();
    let calls = group_calls(&sender(Vendor::RudderStack, "single", &cdp), &cdp);
    let guides: Value = serde_json::from_str(GUIDE_EVENT).unwrap();
    let mut mixed = vec![guides.clone()];
    for (call, other) in calls.iter().zip(other_events().into_iter().cycle()) {
        mixed.extend([other, call.clone()]);
    }
    let expected: Vec<Value> = std::iter::once(guides).chain(calls).collect();
    assert_eq!(transformed(&mixed), expected);
    assert_eq!(transformed(&other_events()), Vec::<Value>::new());
}
