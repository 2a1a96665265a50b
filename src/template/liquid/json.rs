//! JSON text of columns, read only as deep as the template looks, and values written as JSON.

use super::number::Num;
use super::value::Val;
use crate::template::write;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A JSON text as a value; what is no JSON is taken for text.
pub(super) fn value(raw: &str) -> Val<'_> {
    let raw = raw.trim_matches([' ', '\t', '\n', '\r']);
    match raw.as_bytes().first() {
        Some(b'[' | b'{') => Val::Container(raw),
        Some(b'"') => serde_json::from_str::<Key<'_>>(raw).map_or(Val::Text(raw.into()), |text| Val::Text(text.0)),
        _ => match raw {
            "null" => Val::Nil,
            "true" => Val::Bool(true),
            "false" => Val::Bool(false),
            _ => Num::parse(raw).map_or(Val::Text(raw.into()), Val::Num),
        },
    }
}

/// The items of an array's text.
pub(super) fn items(raw: &str) -> Vec<Val<'_>> {
    let items = serde_json::from_str::<Vec<&RawValue>>(raw).unwrap_or_default();
    items.into_iter().map(|item| value(item.get())).collect()
}

/// The members of an object's text, in its order.
pub(super) fn members(raw: &str) -> Vec<(Cow<'_, str>, Val<'_>)> {
    let members = serde_json::from_str::<Members<'_>>(raw).map(|members| members.0).unwrap_or_default();
    members.into_iter().map(|(key, item)| (key, value(item.get()))).collect()
}

/// One member of an object's text.
pub(super) fn member<'a>(raw: &'a str, wanted: &str) -> Option<Val<'a>> {
    let members = serde_json::from_str::<Members<'a>>(raw).ok()?.0;
    let (_, found) = members.into_iter().rev().find(|(key, _)| key == wanted)?;
    Some(value(found.get()))
}

/// Whether a text is one JSON value.
pub(super) fn is_valid(raw: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(raw).is_ok()
}

/// Appends a value as JSON. Digits and the text of JSON columns are kept as they are.
///
/// # Errors
/// A column of kind JSON that holds none.
pub(super) fn write(value: &Val<'_>, out: &mut String) -> Result<(), String> {
    match value {
        Val::Undefined | Val::Nil => out.push_str("null"),
        Val::Empty | Val::Blank => out.push_str("\"\""),
        Val::Bool(v) => out.push_str(if *v { "true" } else { "false" }),
        Val::Num(Num::Float(v)) if !v.is_finite() => out.push_str("null"),
        Val::Num(number) => number.write(out),
        Val::Text(text) => write::string(text, out),
        Val::Json(text) => out.push_str(text),
        Val::Container(raw) if is_valid(raw) => out.push_str(raw),
        Val::Container(_) => return Err("a JSON column holds what is no JSON".to_owned()),
        Val::Array(_) | Val::Rows(..) => {
            out.push('[');
            for (at, item) in value.to_items().iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                nested(item, out)?;
            }
            out.push(']');
        }
        Val::Row(_) => {
            out.push('{');
            for (at, (key, member)) in value.members().unwrap_or_default().iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write::string(key, out);
                out.push(':');
                nested(member, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

/// Within an array or object, what `json` made is a text like any other.
fn nested(value: &Val<'_>, out: &mut String) -> Result<(), String> {
    match value {
        Val::Json(text) => write::string(text, out),
        other => return write(other, out),
    }
    Ok(())
}

/// A string, borrowed where it has no escapes.
#[derive(PartialEq)]
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The members of an object, not read any further.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.push((key.0, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
