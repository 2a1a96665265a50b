//! One event of an SDK: an update of an org, ignored, or rejected. Pure.

use super::answer::Rejection;
use crate::mapping::{PayloadTemplate, extract};
use crate::store::OrgPatch;
use serde_json::{Map, Value};

/// Characters of a messageId at most in an answer (Segment's own limit).
const MESSAGE_ID: usize = 100;

/// A batch's event. `None`: it is no group call.
///
/// # Errors
/// See [`Rejection`].
pub(super) fn of_batch(
    template: &PayloadTemplate,
    index: usize,
    event: Result<Map<String, Value>, String>,
) -> Result<Option<OrgPatch>, Rejection> {
    let event = event.map_err(|error| Rejection { index, message_id: None, error })?;
    match event.get("type") {
        Some(Value::String(kind)) if kind == "group" => of_group(template, index, &event).map(Some),
        Some(Value::String(_)) => Ok(None),
        _ => Err(reject(index, &event, "the event has no `type`".to_owned())),
    }
}

/// An event that is known to be a group call.
///
/// # Errors
/// See [`Rejection`].
pub(super) fn of_group(
    template: &PayloadTemplate,
    index: usize,
    event: &Map<String, Value>,
) -> Result<OrgPatch, Rejection> {
    extract(template, event).map_err(|error| reject(index, event, error))
}

fn reject(index: usize, event: &Map<String, Value>, error: String) -> Rejection {
    let id = event.get("messageId").and_then(Value::as_str);
    Rejection { index, message_id: id.map(|id| id.chars().take(MESSAGE_ID).collect()), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(event: Value) -> Result<Option<String>, Rejection> {
        let template = PayloadTemplate::preset("segment").expect("a preset");
        let Value::Object(event) = event else { panic!("an object") };
        of_batch(&template, 7, Ok(event)).map(|patch| patch.map(|patch| patch.product_org_id))
    }

    #[test]
    fn group_calls_are_told_from_others() {
        assert_eq!(run(json!({"type": "group", "groupId": "ws_1"})), Ok(Some("ws_1".to_owned())));
        for kind in ["track", "identify", "page", "screen", "alias", "Group", "something new"] {
            assert_eq!(run(json!({"type": kind, "groupId": "ws_1"})), Ok(None), "{kind}");
        }
        for event in [json!({"groupId": "a", "messageId": "m"}), json!({"type": 1, "messageId": "m"})] {
            let rejection = run(event).expect_err("no type");
            assert_eq!((rejection.index, rejection.message_id.as_deref()), (7, Some("m")));
            assert!(rejection.error.contains("no `type`"), "{}", rejection.error);
        }
    }

    #[test]
    fn a_rejection_names_the_event() {
        let rejection = run(json!({"type": "group", "traits": {}, "messageId": "é".repeat(200)})).expect_err("no id");
        assert!(rejection.error.contains("missing productOrgId"), "{}", rejection.error);
        assert_eq!(rejection.message_id, Some("é".repeat(100)));
        let rejection = run(json!({"type": "group", "groupId": "a", "traits": {"mrr": "x"}, "messageId": 5}));
        let rejection = rejection.expect_err("a bad field");
        assert_eq!((rejection.message_id, rejection.error.contains("`traits.mrr`")), (None, true));
    }
}
