//! Canonical JSON: keys sorted, no white space, numbers by value, so that equal text means equal structure.
//!
//! It is made as text, not through a tree: a tree would round what does not fit its number types.

use crate::row::Decimal;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Deeper nesting is refused: every reader of the body would have to follow it down.
const MAX_DEPTH: usize = 128;

/// Parses and canonicalises; `None` if the text is not JSON, or nested deeper than 128 levels. Of a key that stands twice
/// in an object the last value counts, as for every JSON reader.
pub(super) fn canonical_text(text: &str) -> Option<String> {
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    let mut out = String::with_capacity(text.len());
    write_raw(raw, MAX_DEPTH, &mut out)?;
    Some(out)
}

fn write_raw(raw: &RawValue, depth: usize, out: &mut String) -> Option<()> {
    let text = raw.get();
    let deeper = depth.checked_sub(1)?;
    match text.as_bytes().first()? {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            write_members(members.into_iter(), out, |value, out| write_raw(value, deeper, out))
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            write_items(items.into_iter(), out, |value, out| write_raw(value, deeper, out))
        }
        b'"' => write!(out, "{}", serde_json::Value::from(serde_json::from_str::<String>(text).ok()?)).ok(),
        b't' | b'f' | b'n' => {
            out.push_str(text);
            Some(())
        }
        _ => {
            out.push_str(&Decimal::parse(text)?.canonical());
            Some(())
        }
    }
}

/// An object of members in their order.
pub(super) fn write_members<V>(
    members: impl Iterator<Item = (impl AsRef<str>, V)>,
    out: &mut String,
    mut value: impl FnMut(V, &mut String) -> Option<()>,
) -> Option<()> {
    out.push('{');
    for (index, (name, member)) in members.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write!(out, "{}:", serde_json::Value::from(name.as_ref())).ok()?;
        value(member, out)?;
    }
    out.push('}');
    Some(())
}

/// An array of items in their order.
pub(super) fn write_items<V>(
    items: impl Iterator<Item = V>,
    out: &mut String,
    mut value: impl FnMut(V, &mut String) -> Option<()>,
) -> Option<()> {
    out.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        value(item, out)?;
    }
    out.push(']');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_canonical_and_keeps_every_digit() {
        for (text, canonical) in [
            (r#"{ "b": [1, 2.0], "a": null }"#, r#"{"a":null,"b":[1,2]}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#""\u0041\n""#, r#""A\n""#),
            ("12345678901234567890.10", "12345678901234567890.1"),
            ("[9007199254740993, 9007199254740992.0]", "[9007199254740993,9007199254740992]"),
            ("[]", "[]"),
            ("{}", "{}"),
        ] {
            assert_eq!(canonical_text(text).as_deref(), Some(canonical), "{text}");
        }
        for text in ["", "{", "[1,]", "nul", "1 2", &("[".repeat(129) + &"]".repeat(129))] {
            assert_eq!(canonical_text(text), None, "{text}");
        }
        assert!(canonical_text(&("[".repeat(127) + &"]".repeat(127))).is_some());
    }
}
