//! What a report says of an answer, or of none. Pure; secrets are taken out later (`redact`).

use super::verdict::{Answer, Attempt, FaultKind};
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::{Map, Value};

/// What to say of a row whose `attempts` requests ended with `last`, which said `detail`: how often it was tried, and
/// what helps. `address`: the field of the job file that the address comes from. How often comes first where the destination's own words, which may be long, come last.
pub(super) fn so_far(last: &Attempt, detail: &str, attempts: u32, address: &str) -> String {
    let times = if attempts == 1 { String::new() } else { format!(" after {attempts} attempts") };
    match last {
        Attempt::Failed(fault) if fault.kind == FaultKind::Connect => {
            format!("{detail}{times}; check that the destination is up and that {address} names it")
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
    if let Some(message) = object(answer).as_ref().and_then(message) {
        return message.to_owned();
    }
    let text = String::from_utf8_lossy(&answer.body);
    let text = text.trim();
    if text.is_empty() { "the answer has no body".to_owned() } else { text.to_owned() }
}

/// The body, if it is a JSON object. Of one that is longer than what is read: the entries that stand whole before the cut.
pub(super) fn object(answer: &Answer) -> Option<Map<String, Value>> {
    let mut entries = Map::new();
    let mut json = serde_json::Deserializer::from_slice(&answer.body);
    match json.deserialize_map(Entries(&mut entries)).and_then(|()| json.end()) {
        Ok(()) => Some(entries),
        Err(error) if answer.truncated && error.is_eof() => Some(entries),
        Err(_) => None,
    }
}

/// Keeps the entries of an object, one by one, so that those before an error are there.
struct Entries<'a>(&'a mut Map<String, Value>);

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry()? {
            self.0.insert(key, value);
        }
        Ok(())
    }
}

fn message(body: &Map<String, Value>) -> Option<&str> {
    let error = body.get("error");
    let candidates = [body.get("message"), error.and_then(|e| e.get("message")), error, body.get("detail")];
    candidates.into_iter().flatten().find_map(Value::as_str).filter(|text| !text.trim().is_empty())
}

/// What was said of one row in a list of them.
pub(super) fn in_a_list(row: &Map<String, Value>) -> String {
    message(row).unwrap_or("the destination says \"success\": false of this row").to_owned()
}

/// What our receiver says of an event that it rejects, if it is among those that it explains.
pub(super) fn rejection(said: &Map<String, Value>, index: usize) -> Option<String> {
    let is_it = |one: &&Value| one.get("index").and_then(Value::as_u64) == Some(index as u64);
    let found = said.get("rejections")?.as_array()?.iter().find(is_it)?;
    message(found.as_object()?).map(str::to_owned)
}

/// A status that says yes needs to be told apart from a body that says no.
pub(super) fn taken_back(answer: &Answer, body: &Map<String, Value>) -> String {
    let status = answer.status;
    if body.get("success") != Some(&Value::Bool(false)) {
        return format!("answered {status}, and rejected the event: {}", describe(answer));
    }
    let said = if body.len() == 1 { String::new() } else { format!(": {}", describe(answer)) };
    format!("answered {status} with \"success\": false{said}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::verdict::Fault;

    #[test]
    fn of_a_body_that_is_cut_the_whole_entries_count() {
        for (body, whole, cut) in [
            (r#"{"a": 1, "b": false}"#, Some("a b"), Some("a b")),
            (r#"{"a": 1, "b": false"#, None, Some("a b")),
            (r#"{"a": 1, "b": fals"#, None, Some("a")),
            (r#"{"a": [{"c": "x"}], "b": {"c": 1, "d": "cu"#, None, Some("a")),
            ("{\"a\": 1, \"b\": \"\u{e9}", None, Some("a")),
            (r#"{"a": 1, "#, None, Some("a")),
            ("{", None, Some("")),
            ("", None, Some("")),
            (r#"{"a": 1, b"#, None, None),
            (r#"{"a": 1} x"#, None, None),
            (r#"[{"a": 1"#, None, None),
            ("<html>", None, None),
        ] {
            for (truncated, expected) in [(false, whole), (true, cut)] {
                let found = object(&Answer { truncated, ..Answer::of(200, body) });
                let found = found.map(|entries| entries.keys().cloned().collect::<Vec<_>>().join(" "));
                assert_eq!(found.as_deref(), expected, "{body}, cut: {truncated}");
            }
        }
        // In the middle of a sign.
        let cut = Answer { truncated: true, body: b"{\"a\": 1, \"b\": \"\xc3".to_vec(), ..Answer::of(200, "") };
        assert_eq!(object(&cut).map(|entries| entries.len()), Some(1));
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
            assert_eq!(describe(&Answer::of(400, body)), expected);
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
            assert_eq!(taken_back(&Answer::of(200, body), &object), expected);
        }
    }

    #[test]
    fn how_often_a_row_was_tried_and_what_helps() {
        let failed = |kind| Attempt::Failed(Fault { kind, text: "why".to_owned() });
        let answered = |status| Attempt::Answered(Answer::of(status, ""));
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
            assert_eq!(so_far(&last, "why", attempts, "destination.url"), expected);
        }
    }
}
