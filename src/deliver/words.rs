//! What a report says of an answer, or of none. Pure; secrets are taken out later (`redact`).

use super::verdict::{Answer, Attempt, FaultKind};
use serde_json::{Map, Value};

/// What to say of a row whose `attempts` requests ended with `last`, which said `detail`: how often it was tried, and
/// what helps. How often comes first where the destination's own words, which may be long, come last.
pub(super) fn so_far(last: &Attempt, detail: &str, attempts: u32) -> String {
    let times = if attempts == 1 { String::new() } else { format!(" after {attempts} attempts") };
    match last {
        Attempt::Failed(fault) if fault.kind == FaultKind::Connect => {
            format!("{detail}{times}; check that the destination is up and that destination.url names it")
        }
        Attempt::Failed(_) => format!("{detail}{times}"),
        Attempt::Answered(answer) if answer.status == 429 => {
            format!("too many requests{times} (lower destination.rate): {detail}")
        }
        Attempt::Answered(_) if attempts == 1 => detail.to_owned(),
        Attempt::Answered(_) => format!("still{times}: {detail}"),
    }
}

/// What the destination said: the message of its JSON if there is one, else the body as it is.
pub(super) fn describe(answer: &Answer) -> String {
    if let Some(message) = serde_json::from_slice(&answer.body).ok().as_ref().and_then(message) {
        return message.to_owned();
    }
    let text = String::from_utf8_lossy(&answer.body);
    let text = text.trim();
    if text.is_empty() { "the answer has no body".to_owned() } else { text.to_owned() }
}

fn message(body: &Value) -> Option<&str> {
    let error = body.get("error");
    let candidates = [body.get("message"), error.and_then(|e| e.get("message")), error, body.get("detail")];
    candidates.into_iter().flatten().find_map(Value::as_str).filter(|text| !text.trim().is_empty())
}

/// A status that says yes needs to be told apart from a body that says no.
pub(super) fn taken_back(answer: &Answer, body: &Map<String, Value>) -> String {
    let said = if body.len() == 1 { String::new() } else { format!(": {}", describe(answer)) };
    format!("answered {} with \"success\": false{said}", answer.status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::verdict::Fault;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, retry_after: Vec::new(), body: body.as_bytes().to_vec(), broken: None }
    }

    #[test]
    fn what_the_destination_said() {
        for (body, expected) in [
            (r#"{"message": "missing productOrgId"}"#, "missing productOrgId"),
            (r#"{"error": "bad plan"}"#, "bad plan"),
            (r#"{"error": {"message": "bad plan", "code": 3}}"#, "bad plan"),
            (r#"{"code": 3}"#, r#"{"code": 3}"#),
            ("  <h1>Bad</h1>\n", "<h1>Bad</h1>"),
            ("", "the answer has no body"),
        ] {
            assert_eq!(describe(&answer(400, body)), expected);
        }
    }

    #[test]
    fn a_success_taken_back_says_so() {
        for (body, expected) in [
            (r#"{"success": false, "error": "no such plan"}"#, r#"answered 200 with "success": false: no such plan"#),
            (r#"{"success": false}"#, r#"answered 200 with "success": false"#),
            (
                r#"{"success": false, "code": 3}"#,
                r#"answered 200 with "success": false: {"success": false, "code": 3}"#,
            ),
        ] {
            let Ok(Value::Object(object)) = serde_json::from_str(body) else { panic!("{body}") };
            assert_eq!(taken_back(&answer(200, body), &object), expected);
        }
    }

    #[test]
    fn how_often_a_row_was_tried_and_what_helps() {
        let failed = |kind| Attempt::Failed(Fault { kind, text: "why".to_owned() });
        let answered = |status| Attempt::Answered(answer(status, ""));
        for (last, attempts, expected) in [
            (failed(FaultKind::Connect), 1, "why; check that the destination is up and that destination.url names it"),
            (
                failed(FaultKind::Connect),
                2,
                "why after 2 attempts; check that the destination is up and that destination.url names it",
            ),
            (failed(FaultKind::Timeout), 3, "why after 3 attempts"),
            (answered(503), 1, "why"),
            (answered(503), 3, "still after 3 attempts: why"),
            (answered(429), 3, "too many requests after 3 attempts (lower destination.rate): why"),
        ] {
            assert_eq!(so_far(&last, "why", attempts), expected);
        }
    }
}
