//! Bodies with many events: taken apart so that a bad event never takes its neighbours down.
//!
//! The body as a whole is only looked at for where each event begins and ends. Each event is then read as strictly as a
//! body of its own would be, within the limits of one: so a key that stands twice, or too deep a nesting, is the fault of
//! one event.

use super::answer::Refusal;
use super::body::MAX_BODY;
use crate::mapping::json;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt;

/// Events of one body at most. Segment's batches have 2,500, and none of a sender's usual size has this many in 4 MB.
pub const MAX_EVENTS: usize = 10_000;

/// A JSON array's elements, unread.
///
/// # Errors
/// 400 if it is no JSON array, 413 for more than [`MAX_EVENTS`].
pub(super) fn split(body: &[u8]) -> Result<Vec<&RawValue>, Refusal> {
    serde_json::from_slice::<Elements>(body).map_err(bad_json)?.all()
}

/// The elements of an array, unread, and of more than [`MAX_EVENTS`] the first: `[0,0,…]` of 4 MB has two million, each of which would
/// take eight times the room that it has in the body.
pub(super) struct Elements<'a> {
    first: Vec<&'a RawValue>,
    /// Whether there are more. They were looked at all the same: what is no JSON is 400 however long it is.
    more: bool,
}

impl<'a> Elements<'a> {
    /// # Errors
    /// 413 for more than [`MAX_EVENTS`].
    pub(super) fn all(self) -> Result<Vec<&'a RawValue>, Refusal> {
        match self.more {
            true => Err(Refusal::TooMany(MAX_EVENTS)),
            false => Ok(self.first),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Collector)
    }
}

struct Collector;

impl<'de> Visitor<'de> for Collector {
    type Value = Elements<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As a Vec says it.
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<Elements<'de>, A::Error> {
        let mut elements = Elements { first: Vec::new(), more: false };
        while let Some(event) = events.next_element()? {
            match elements.first.len() < MAX_EVENTS {
                true => elements.first.push(event),
                false => elements.more = true,
            }
        }
        Ok(elements)
    }
}

/// What a body that cannot be read is answered.
pub(super) fn bad_json(error: serde_json::Error) -> Refusal {
    Refusal::Bad(format!("the body is not valid JSON: {error}"))
}

/// One event of many.
///
/// # Errors
/// Text for the sender.
pub(super) fn read(event: &RawValue) -> Result<Map<String, Value>, String> {
    if event.get().len() > MAX_BODY {
        return Err(format!("it is larger than {} KB", MAX_BODY / 1024));
    }
    match json::parse_as("it", event.get().as_bytes())? {
        Value::Object(event) => Ok(event),
        _ => Err("it must be a JSON object".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_event_is_bad_alone() {
        let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BODY));
        let body = format!(
            "[{{\"a\":1,\"a\":2}}, {}, {}, {large}, 7, {{\"a\":99999999999999999999}}, {{\"a\":\"\\u0000\"}}, {{}}]",
            deep(json::MAX_DEPTH),
            deep(30_000),
        );
        let events = split(body.as_bytes()).expect("JSON");
        let found: Vec<String> = events.iter().map(|event| read(event).err().unwrap_or_default()).collect();
        let expected =
            ["stands twice", "", "deeper than 32", "larger than 256 KB", "must be a JSON object", "64 bits", "NUL", ""];
        for (found, part) in found.iter().zip(expected) {
            assert!(found.contains(part) && found.is_empty() == part.is_empty(), "{part}: {found}");
        }
        assert_eq!(found.len(), expected.len());
    }

    #[test]
    fn what_is_no_array_is_refused() {
        for body in ["", "[", "[1,]", "[{}] x", "{\"a\":1}"] {
            assert!(matches!(split(body.as_bytes()), Err(Refusal::Bad(_))), "{body}");
        }
        let many = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        assert_eq!(split(many(MAX_EVENTS).as_bytes()).map(|events| events.len()), Ok(MAX_EVENTS));
        assert_eq!(
            split(many(MAX_EVENTS + 1).as_bytes()).map(|events| events.len()),
            Err(Refusal::TooMany(MAX_EVENTS))
        );
    }

    #[test]
    fn no_more_are_held_than_may_be() {
        let body = |end: &str| format!("[{}0{end}", "0,".repeat(super::super::MAX_BATCH_BODY / 2 - 2));
        let whole = body("]");
        let elements: Elements = serde_json::from_str(&whole).expect("JSON");
        assert!(elements.more && elements.first.capacity() <= 2 * MAX_EVENTS, "{}", elements.first.capacity());
        assert_eq!(split(whole.as_bytes()).err(), Some(Refusal::TooMany(MAX_EVENTS)));
        assert!(matches!(split(body(",]").as_bytes()), Err(Refusal::Bad(_))), "what is no JSON stays 400");
    }
}
