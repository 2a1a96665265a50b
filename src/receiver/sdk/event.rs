//! One event of an SDK: an update of an org, ignored, or rejected. Pure.

use super::answer::Rejection;
use crate::mapping::{PayloadTemplate, Reading, Update, extract, is_message_id};
use chrono::{DateTime, SubsecRound, Utc};
use serde_json::{Map, Value};

/// Characters of a messageId at most in an answer (Segment's own limit).
const MESSAGE_ID: usize = 100;

/// A batch's event.
///
/// # Errors
/// See [`Rejection`].
pub(super) fn of_batch(
    template: &PayloadTemplate,
    index: usize,
    event: Result<Map<String, Value>, String>,
) -> Result<Reading, Rejection> {
    let event = event.map_err(|error| Rejection { index, message_id: None, error })?;
    match event.get("type") {
        Some(Value::String(kind)) if kind == "group" => of_group(template, index, &event),
        Some(Value::String(_)) => Ok(Reading::Ignored),
        _ => Err(reject(index, &event, "the event has no `type`".to_owned())),
    }
}

/// An event that is known to be a group call. What the key's template says of time and message id comes first; then, what
/// SDKs call them: Segment's and RudderStack's SDKs post other names than their webhooks deliver.
///
/// # Errors
/// See [`Rejection`].
pub(super) fn of_group(
    template: &PayloadTemplate,
    index: usize,
    event: &Map<String, Value>,
) -> Result<Reading, Rejection> {
    let reading = extract(template, event).map_err(|error| reject(index, event, error))?;
    Ok(match reading {
        Reading::Ignored => Reading::Ignored,
        Reading::Update(update) => Reading::Update(Update {
            event_at: update.event_at.or_else(|| happened(event)),
            message_id: update.message_id.or_else(|| called(event)),
            ..update
        }),
    })
}

/// As far as it can be read: the template does not ask for it, so it is no reason to reject the event.
fn happened(event: &Map<String, Value>) -> Option<DateTime<Utc>> {
    let time = |name| DateTime::parse_from_rfc3339(event.get(name)?.as_str()?).ok();
    let time = time("timestamp").or_else(|| time("originalTimestamp"))?;
    Some(time.to_utc().trunc_subsecs(6))
}

fn called(event: &Map<String, Value>) -> Option<String> {
    event.get("messageId")?.as_str().filter(|id| is_message_id(id)).map(str::to_owned)
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
        let reading = of_batch(&template, 7, Ok(event))?;
        Ok(reading.update().map(|update| update.patch.product_org_id))
    }

    #[test]
    fn time_and_name_come_from_the_template_or_else_from_where_sdks_have_them() {
        let run = |toml: &str, event: Value| {
            let template = PayloadTemplate::from_toml_text(&format!("product_org_id = \"groupId\"\n{toml}"));
            let Value::Object(mut event) = event else { panic!("an object") };
            event.extend([("type".to_owned(), json!("group")), ("groupId".to_owned(), json!("a"))]);
            let update = of_batch(&template.expect("valid"), 0, Ok(event)).expect("fits").update().expect("an update");
            (update.event_at.map(|at| at.to_rfc3339()), update.message_id)
        };
        let at = |second: u8| format!("2026-01-15T10:30:0{second}+00:00");
        let both =
            json!({"timestamp": at(1), "originalTimestamp": at(2), "messageId": "m", "own": {"at": at(3), "id": "o"}});
        assert_eq!(run("", both.clone()), (Some(at(1)), Some("m".to_owned())));
        let own = "timestamp = \"own.at\"\nmessage_id = \"own.id\"";
        assert_eq!(run(own, both), (Some(at(3)), Some("o".to_owned())));
        assert_eq!(
            run(own, json!({"originalTimestamp": at(2), "messageId": "m"})),
            (Some(at(2)), Some("m".to_owned()))
        );
        assert_eq!(run("", json!({"timestamp": "now", "messageId": "a\nb"})), (None, None));
        assert_eq!(run("", json!({"timestamp": 5, "originalTimestamp": at(4), "messageId": 5})), (Some(at(4)), None));
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
