//! What Segment and RudderStack take for a group event (WIRE.md). Pure.

use super::{Place, RenderError};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Bytes of one event, in both systems.
pub(super) const EVENT_LIMIT: usize = 32 * 1024;
/// A message id has fewer characters than this.
pub(super) const MESSAGE_ID_LIMIT: usize = 100;

/// The parts of an event that decide whether it is taken. What else it has is not looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'e> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'e RawValue>,
    #[serde(borrow)]
    group_id: Option<&'e RawValue>,
    #[serde(borrow)]
    user_id: Option<&'e RawValue>,
    #[serde(borrow)]
    anonymous_id: Option<&'e RawValue>,
    #[serde(borrow)]
    message_id: Option<&'e RawValue>,
}

/// Whether `body` is one group event that is taken: Segment answers 200 also to one that it then drops, and RudderStack refuses a
/// whole batch for one.
///
/// # Errors
/// The first thing that keeps it from being taken.
pub fn check_event(body: &str) -> Result<(), RenderError> {
    if body.len() > EVENT_LIMIT {
        return Err(too_large(body.len()));
    }
    let parsed = serde_json::from_str::<Event<'_>>(body).ok();
    // A list of five would be read as the five fields.
    let Some(event) = parsed.filter(|_| body.trim_start().starts_with('{')) else {
        let error = RenderError::new(Place::Payload, "the body is no group event: one JSON object, each field once");
        return Err(error.hint("use preset = \"group\", or a template of one event"));
    };
    if text(event.kind).as_deref() != Some("group") {
        return Err(RenderError::field("type", "it is not `group`").hint("only group events are sent"));
    }
    let has = |field| text(field).is_some_and(|id| !id.is_empty());
    if !has(event.group_id) {
        let error = RenderError::field("groupId", "it is missing, empty or not a text");
        return Err(error.hint("every org needs an id: filter such rows in the query"));
    }
    if !has(event.user_id) && !has(event.anonymous_id) {
        let error = RenderError::field("anonymousId", "neither it nor `userId` is a text that is not empty");
        return Err(error.hint("make one up of the org's id, such as \"nightmark:{{row.id}}\""));
    }
    let is_id = |id: String| (1..MESSAGE_ID_LIMIT).contains(&id.chars().count());
    match event.message_id {
        Some(id) if !text(Some(id)).is_some_and(is_id) => {
            let error = RenderError::field("messageId", "it is not a text of 1 to 99 characters");
            Err(error.hint("leave it out, or write \"{{message_id}}\""))
        }
        _ => Ok(()),
    }
}

/// The value of a field that is a text.
fn text(field: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(field?.get()).ok()
}

/// A body beyond what the APIs take.
pub(super) fn too_large(bytes: usize) -> RenderError {
    RenderError::new(Place::Payload, format!("the event has {bytes} bytes, more than the {EVENT_LIMIT} that are taken"))
        .hint("map fewer or shorter columns as traits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Option<&str>) {
        let found = check_event(body).err().map(|error| error.to_string());
        match (&found, expected) {
            (None, None) => {}
            (Some(found), Some(expected)) => assert!(found.contains(expected), "{body}: {found}"),
            _ => panic!("{body}: {found:?}"),
        }
    }

    #[test]
    fn only_events_that_are_taken_pass() {
        let event = |rest: &str| format!(r#"{{"type":"group","groupId":"a"{rest}}}"#);
        check(&event(r#","userId":"u""#), None);
        check(&event(r#","anonymousId":"n\"q","messageId":"m","traits":{"groupId":1}"#), None);
        check(&event(""), Some("neither it nor `userId`"));
        check(&event(r#","userId":null,"anonymousId":"""#), Some("neither it nor `userId`"));
        check(&event(r#","userId":7"#), Some("neither it nor `userId`"));
        check(&event(r#","userId":"u","messageId":7"#), Some("messageId"));
        check(&event(&format!(r#","userId":"u","messageId":"{}""#, "m".repeat(100))), Some("messageId"));
        check(&event(&format!(r#","userId":"u","messageId":"{}""#, "ä".repeat(99))), None);
        check(r#"{"type":"track","groupId":"a","userId":"u"}"#, Some("it is not `group`"));
        check(r#"{"type":"group","groupId":"","userId":"u"}"#, Some("groupId"));
        check(r#"{"type":"group","groupId":4,"userId":"u"}"#, Some("groupId"));
        check(r#"{"type":"group","userId":"u"}"#, Some("groupId"));
        check(r#"["group","a","u","u","m"]"#, Some("no group event"));
        check(r#"{"type":"group","groupId":"a","groupId":"b","userId":"u"}"#, Some("no group event"));
        check("[]", Some("no group event"));
        check("", Some("no group event"));
        let long = |bytes: usize| {
            let frame = event(r#","userId":"""#).len();
            event(&format!(r#","userId":"{}""#, "u".repeat(bytes - frame)))
        };
        check(&long(EVENT_LIMIT), None);
        check(&long(EVENT_LIMIT + 1), Some("the event has 32769 bytes, more than the 32768 that are taken"));
    }
}
