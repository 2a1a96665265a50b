//! JSON as strict as the wire format asks for.
//!
//! `serde_json::Value` alone keeps the last of two equal keys and turns integers beyond 64 bits into floats; either would
//! store something that the sender did not say. Limits: WIRE.md, "Receiver limits".

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
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
pub(super) fn parse_as(what: &str, json: &[u8]) -> Result<Value, String> {
    let value = read(json).map_err(|error| format!("{what} is not valid JSON: {error}"))?;
    match has_wide_integers(json) {
        true => Err(format!("{what} has an integer that does not fit in 64 bits")),
        false => Ok(value),
    }
}

/// The same for text that is no body, and integers of any size.
pub(super) fn read(text: &[u8]) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Builds a value below `depth` containers.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn enter<E: Error>(self) -> Result<Strict, E> {
        match self.depth {
            MAX_DEPTH => Err(E::custom(format!("nested deeper than {MAX_DEPTH} levels"))),
            depth => Ok(Strict { depth: depth + 1 }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
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
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        no_nul(value)?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        no_nul(&value)?;
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.enter()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.enter()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            no_nul(&key)?;
            if object.contains_key(&key) {
                let shown: String = key.chars().take(60).collect();
                return Err(A::Error::custom(format!("the key {shown:?} stands twice in one object")));
            }
            let value = entries.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

fn no_nul<E: Error>(text: &str) -> Result<(), E> {
    match text.contains('\0') {
        true => Err(E::custom("a string contains the NUL character")),
        false => Ok(()),
    }
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
