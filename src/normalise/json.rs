//! Canonical JSON: keys sorted, no white space, numbers by value, so that equal text means equal structure.
//!
//! It is made as text, not through a tree: a tree would round what does not fit its number types.

use crate::row::{Column, Decimal, Kind, RowRef, Schema};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
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

/// A nested Arrow value as canonical JSON; `None` if it holds something that JSON has no form for.
pub(super) fn from_nested(array: &ArrayRef, row: usize) -> Option<String> {
    let mut out = String::new();
    write_nested(array, row, &mut out)?;
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

fn write_members<V>(
    members: impl Iterator<Item = (String, V)>,
    out: &mut String,
    mut value: impl FnMut(V, &mut String) -> Option<()>,
) -> Option<()> {
    out.push('{');
    for (index, (name, member)) in members.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write!(out, "{}:", serde_json::Value::from(name)).ok()?;
        value(member, out)?;
    }
    out.push('}');
    Some(())
}

fn write_items<V>(
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

fn write_nested(array: &ArrayRef, row: usize, out: &mut String) -> Option<()> {
    if array.is_null(row) {
        out.push_str("null");
        return Some(());
    }
    match array.data_type() {
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let members: BTreeMap<String, &ArrayRef> =
                fields.iter().map(|f| f.name().clone()).zip(columns.iter()).collect();
            write_members(members.into_iter(), out, |column, out| write_nested(column, row, out))
        }
        DataType::List(_) => write_list(&array.as_list::<i32>().value(row), out),
        DataType::LargeList(_) => write_list(&array.as_list::<i64>().value(row), out),
        DataType::ListView(_) => write_list(&array.as_list_view::<i32>().value(row), out),
        DataType::LargeListView(_) => write_list(&array.as_list_view::<i64>().value(row), out),
        DataType::FixedSizeList(_, _) => write_list(&array.as_fixed_size_list().value(row), out),
        DataType::Map(_, _) => write_map(&array.as_map().value(row), out),
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            write_nested(dictionary.values(), dictionary.normalized_keys().get(row).copied()?, out)
        }
        _ => write_leaf(array, row, out),
    }
}

fn write_list(items: &ArrayRef, out: &mut String) -> Option<()> {
    write_items(0..items.len(), out, |index, out| write_nested(items, index, out))
}

/// Keys of a map are text in JSON, whatever they are in the extract.
fn write_map(entries: &arrow::array::StructArray, out: &mut String) -> Option<()> {
    let (keys, values) = (entries.column(0), entries.column(1));
    let mut members = BTreeMap::new();
    for index in 0..entries.len() {
        let mut key = String::new();
        write_nested(keys, index, &mut key)?;
        let key = serde_json::from_str::<String>(&key).unwrap_or(key);
        members.insert(key, index);
    }
    write_members(members.into_iter(), out, |index, out| write_nested(values, index, out))
}

/// A leaf goes the way that a column of its type goes.
fn write_leaf(array: &ArrayRef, row: usize, out: &mut String) -> Option<()> {
    let kind = super::kinds::kind_of(array.data_type()).ok()?;
    let one = super::convert::convert(&array.slice(row, 1), kind).ok()?;
    if !one.failures.is_empty() {
        return None;
    }
    let schema = Schema { columns: vec![Column { name: String::new(), kind }] };
    let batch = RecordBatch::try_new(schema.arrow(), vec![one.array]).ok()?;
    let mut text = String::new();
    RowRef { schema: &schema, batch: &batch, row: 0 }.value(0).write_json(&mut text);
    match kind {
        Kind::Int | Kind::Decimal { .. } | Kind::Float if text != "null" => {
            out.push_str(&Decimal::parse(&text)?.canonical());
        }
        _ => out.push_str(&text),
    }
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
