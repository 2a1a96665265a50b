//! A row's JSON in the format that the destination takes. Pure.

use crate::job::spec::BodyFormat;
use bytes::Bytes;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use url::form_urlencoded::Serializer;

/// `body`: one JSON value, or nothing, which stays nothing.
///
/// # Errors
/// What keeps the value from being written so.
pub(super) fn encode(format: BodyFormat, body: Bytes) -> Result<Bytes, String> {
    match format {
        BodyFormat::Json => Ok(body),
        _ if body.is_empty() => Ok(body),
        BodyFormat::Ndjson => Ok(on_one_line(body)),
        BodyFormat::Form => form(&body).map(Bytes::from),
    }
}

/// Without the white space between tokens. JSON has line breaks nowhere else, so that a body without one is left as it is.
fn on_one_line(body: Bytes) -> Bytes {
    if !body.contains(&b'\n') && !body.contains(&b'\r') {
        return body;
    }
    let (mut out, mut in_string, mut escaped) = (Vec::with_capacity(body.len()), false, false);
    for &byte in &body {
        if !in_string && matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            continue;
        }
        in_string ^= byte == b'"' && !escaped;
        escaped = in_string && byte == b'\\' && !escaped;
        out.push(byte);
    }
    Bytes::from(out)
}

/// `a=1&b[c]=2&d[0]=3`: members of objects and lists by brackets, as common web frameworks read them; NULL is empty.
fn form(body: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?;
    let Some(members) = members(text) else {
        return Err("a form is made of the members of an object, and the body is none".to_owned());
    };
    let mut out = Serializer::new(String::new());
    for (name, value) in members {
        field(&name, value.get(), &mut out)?;
    }
    Ok(out.finish())
}

fn field(name: &str, json: &str, out: &mut Serializer<'_, String>) -> Result<(), String> {
    let broken = || format!("the body's `{name}` is not JSON");
    match json.as_bytes().first() {
        Some(b'{') => {
            for (inner, value) in members(json).ok_or_else(broken)? {
                field(&format!("{name}[{inner}]"), value.get(), out)?;
            }
        }
        Some(b'[') => {
            let items: Vec<Box<RawValue>> = serde_json::from_str(json).map_err(|_| broken())?;
            for (at, value) in items.iter().enumerate() {
                field(&format!("{name}[{at}]"), value.get(), out)?;
            }
        }
        Some(b'"') => {
            let text: String = serde_json::from_str(json).map_err(|_| broken())?;
            out.append_pair(name, &text);
        }
        Some(b'n') => drop(out.append_pair(name, "")),
        // Numbers with all their digits, true and false.
        _ => drop(out.append_pair(name, json)),
    }
    Ok(())
}

type Member = (String, Box<RawValue>);

/// The members of an object, in order; `None`: it is none.
fn members(json: &str) -> Option<Vec<Member>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<Member>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Member>, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    let mut json = serde_json::Deserializer::from_str(json);
    let members = json.deserialize_map(Members).ok()?;
    json.end().ok().map(|()| members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: BodyFormat, body: &str, expected: Result<&str, &str>) {
        let encoded = encode(format, Bytes::copy_from_slice(body.as_bytes()));
        let encoded = encoded.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        assert_eq!(encoded.as_deref().map_err(String::as_str), expected, "{body}");
    }

    #[test]
    fn ndjson_is_one_line_and_the_same_value() {
        for (body, expected) in [
            (r#"{"a": 1, "b": "x y"}"#, r#"{"a": 1, "b": "x y"}"#),
            ("{\n  \"a\": \"x \\\" \\\\\",\r\n\t\"b\": [1, 2 ]\n}", r#"{"a":"x \" \\","b":[1,2]}"#),
            ("{\n\"a\": \"line\\nbreak\", \"c\": \"ä  b\"}", r#"{"a":"line\nbreak","c":"ä  b"}"#),
            ("", ""),
        ] {
            check(BodyFormat::Ndjson, body, Ok(expected));
            if !body.is_empty() {
                let value = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
                assert_eq!(value(body), value(expected));
            }
        }
    }

    #[test]
    fn a_form_has_every_member_and_every_digit() {
        for (body, expected) in [
            (
                r#"{"id": "a b&c=d", "n": 1.10, "big": 123456789012345678901234567890}"#,
                "id=a+b%26c%3Dd&n=1.10&big=123456789012345678901234567890",
            ),
            (
                r#"{"a": {"b": {"c": true}}, "d": ["x", {"e": null}]}"#,
                "a%5Bb%5D%5Bc%5D=true&d%5B0%5D=x&d%5B1%5D%5Be%5D=",
            ),
            (r#"{"name": "Å\n\"q\""}"#, "name=%C3%85%0A%22q%22"),
            ("{}", ""),
            ("", ""),
        ] {
            check(BodyFormat::Form, body, Ok(expected));
        }
        let none = "a form is made of the members of an object, and the body is none";
        for body in ["[1]", "1", "\"a\"", "null", "{} {}"] {
            check(BodyFormat::Form, body, Err(none));
        }
    }
}
