//! JSON as strict as the wire format asks for.
//!
//! `serde_json::Value` alone keeps the last of two equal keys and turns integers beyond 64 bits into floats; either would
//! store something that the sender did not say. Limits: WIRE.md, "Receiver limits".

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

/// Objects and arrays inside one another, the outermost included.
pub const MAX_DEPTH: usize = 32;

/// Parses a body.
///
/// # Errors
/// Text for the sender: bad JSON, with line and column; nested deeper than [`MAX_DEPTH`]; a key twice in an object; NUL in
/// a string; an integer beyond 64 bits.
pub fn parse(body: &[u8]) -> Result<Value, String> {
    parse_as("the body", body)
}

/// The same for a part of a body, with what the sender calls it.
///
/// # Errors
/// As [`parse`].
pub fn parse_as(what: &str, json: &[u8]) -> Result<Value, String> {
    let wide = Cell::new(false);
    body_by(what, json, Strict { keep: Keep::All, depth: 0, wide: &wide }, &wide)
}

/// Reads a body by a seed that has the flag `wide` of [`Strict`].
pub(super) fn body_by<'b, S: DeserializeSeed<'b>>(
    what: &str,
    json: &'b [u8],
    seed: S,
    wide: &Cell<bool>,
) -> Result<S::Value, String> {
    let value = by_seed(json, seed).map_err(|error| format!("{what} is not valid JSON: {error}"))?;
    match wide.get() && has_wide_integers(json) {
        true => Err(format!("{what} has an integer that does not fit in 64 bits")),
        false => Ok(value),
    }
}

/// The same for text that is no body, and integers of any size.
pub(super) fn read(text: &[u8]) -> Result<Value, serde_json::Error> {
    by_seed(text, Strict { keep: Keep::All, depth: 0, wide: &Cell::new(false) })
}

/// Reads a whole text by a seed.
pub(super) fn by_seed<'b, S: DeserializeSeed<'b>>(text: &'b [u8], seed: S) -> Result<S::Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// What is kept of a value that is read. It is checked all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// All of it.
    All,
    /// What it is, and its text or number; nothing of what an array or object holds.
    Kind,
    /// Nothing: it reads as null.
    Nothing,
}

/// Reads a value below `depth` containers.
#[derive(Clone, Copy)]
pub(super) struct Strict<'c> {
    pub(super) keep: Keep,
    pub(super) depth: usize,
    /// Becomes true when a number was met that may be an integer past 64 bits.
    pub(super) wide: &'c Cell<bool>,
}

impl Strict<'_> {
    /// For what stands in a container.
    pub(super) fn enter<E: Error>(self) -> Result<Self, E> {
        match self.depth {
            MAX_DEPTH => Err(E::custom(format!("nested deeper than {MAX_DEPTH} levels"))),
            depth => Ok(Strict { depth: depth + 1, ..self }),
        }
    }

    /// For what a container holds that is kept so.
    fn inner<E: Error>(self) -> Result<Self, E> {
        let keep = if self.keep == Keep::All { Keep::All } else { Keep::Nothing };
        Ok(Strict { keep, ..self.enter()? })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        if may_be_wide(value) {
            self.wide.set(true);
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        no_nul(value)?;
        Ok(if self.keep == Keep::Nothing { Value::Null } else { Value::String(value.to_owned()) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            if self.keep == Keep::All {
                array.push(item);
            }
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        let mut keys = Keys::default();
        while let Some(key) = entries.next_key_seed(Key)? {
            if self.keep == Keep::All {
                if object.contains_key(key.as_ref()) {
                    return Err(twice(&key));
                }
                let value = entries.next_value_seed(inner)?;
                object.insert(key.into_owned(), value);
            } else {
                keys.insert(key)?;
                entries.next_value_seed(inner)?;
            }
        }
        Ok(Value::Object(object))
    }
}

/// Reads an object's key, borrowed from the text where it has no escapes.
pub(super) struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        no_nul(key)?;
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        no_nul(key)?;
        Ok(Cow::Owned(key.to_owned()))
    }
}

/// The keys of one object so far.
#[derive(Default)]
pub(super) struct Keys<'de> {
    few: Vec<Cow<'de, str>>,
    /// Instead of `few` once there are many: an object of a thousand keys must not cost a million comparisons.
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Keys<'de> {
    const FEW: usize = 16;

    /// Takes a key in.
    pub(super) fn insert<E: Error>(&mut self, key: Cow<'de, str>) -> Result<(), E> {
        if self.many.is_empty() && self.few.len() < Self::FEW {
            if self.few.contains(&key) {
                return Err(twice(&key));
            }
            self.few.push(key);
            return Ok(());
        }
        self.many.extend(self.few.drain(..));
        match self.many.contains(&key) {
            true => Err(twice(&key)),
            false => {
                self.many.insert(key);
                Ok(())
            }
        }
    }
}

fn twice<E: Error>(key: &str) -> E {
    let shown: String = key.chars().take(60).collect();
    E::custom(format!("the key {shown:?} stands twice in one object"))
}

pub(super) fn no_nul<E: Error>(text: &str) -> Result<(), E> {
    match text.as_bytes().contains(&0) {
        true => Err(E::custom("a string contains the NUL character")),
        false => Ok(()),
    }
}

/// Whether a float may stand for an integer past 64 bits. Few do, so that the text need not be looked at again.
pub(super) fn may_be_wide(number: f64) -> bool {
    number >= 18_446_744_073_709_551_615.0 || number <= -9_223_372_036_854_775_808.0
}

/// A visitor cannot tell `1e30` from thirty digits, so the text is looked at. It is known to be valid JSON by now: outside
/// of strings, a digit or a minus begins a number.
fn has_wide_integers(json: &[u8]) -> bool {
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => at = string_end(json, at + 1),
            b'-' | b'0'..=b'9' => {
                let length = json[at..]
                    .iter()
                    .take_while(|b| matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
                    .count();
                if is_wide(&json[at..at + length]) {
                    return true;
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    false
}

/// The place behind the closing quote.
fn string_end(json: &[u8], mut at: usize) -> usize {
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

fn is_wide(number: &[u8]) -> bool {
    let text = String::from_utf8_lossy(number);
    let integer = !text.contains(['.', 'e', 'E']);
    integer && text.parse::<i64>().is_err() && text.parse::<u64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check_refused(body: &str, part: &str) {
        let error = parse(body.as_bytes()).expect_err(body);
        assert!(error.contains(part), "{body}: {error}");
    }

    #[track_caller]
    fn check_accepted(body: &str, expected: &Value) {
        assert_eq!(parse(body.as_bytes()).as_ref(), Ok(expected));
    }

    #[test]
    fn reads_what_json_is() {
        check_accepted(
            r#" {"a": [1, -2, 2.5, true, null, "x\n\"1\\"], "b": {}} "#,
            &json!({"a": [1, -2, 2.5, true, null, "x\n\"1\\"], "b": {}}),
        );
        check_accepted("18446744073709551615", &json!(u64::MAX));
        check_accepted("-9223372036854775808", &json!(i64::MIN));
        check_accepted(
            r#"["99999999999999999999999", "\\", "\"99999999999999999999999"]"#,
            &json!(["99999999999999999999999", "\\", "\"99999999999999999999999"]),
        );
        check_accepted("1e30", &json!(1e30));
    }

    #[test]
    fn refuses_what_would_be_stored_differently() {
        check_refused(r#"{"a": 1, "a": 2}"#, "\"a\" stands twice");
        check_refused(r#"{"x": {"a": 1, "\u0061": 2}}"#, "stands twice");
        check_refused(r#"{"a": "x\u0000y"}"#, "NUL");
        check_refused(r#"{"a\u0000": 1}"#, "NUL");
        check_refused("18446744073709551616", "64 bits");
        check_refused("[-9223372036854775809]", "64 bits");
        check_refused(r#"{"a": "\\", "b": 99999999999999999999999}"#, "64 bits");
        check_refused("1e999", "out of range");
    }

    #[test]
    fn refuses_what_is_not_json() {
        for body in ["", "{", "{} {}", "{'a': 1}", "nul", "[1,]", "\u{feff}{}", "01", "NaN"] {
            check_refused(body, "not valid JSON");
        }
        assert!(parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn depth_counts_every_container() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        check_refused(&nested(MAX_DEPTH + 1), "deeper than 32");
        check_refused(&"[".repeat(100_000), "deeper than 32");
        check_refused(&r#"{"a":"#.repeat(100_000), "deeper than 32");
    }
}
