//! Values in the form of the place where they are printed.

use super::json;
use super::value::Val;
use crate::row;
use crate::template::write;
use std::borrow::Cow;
use std::fmt::Write;

/// Appends a column's value as JSON.
///
/// # Errors
/// A column of kind JSON that holds none.
pub(super) fn column(value: row::Value<'_>, out: &mut String) -> Result<(), String> {
    match value {
        row::Value::Json(raw) if !json::is_valid(raw) => Err("a JSON column holds what is no JSON".to_owned()),
        row::Value::Json(raw) => {
            out.push_str(raw);
            Ok(())
        }
        other => {
            write::value(other, out);
            Ok(())
        }
    }
}

/// Appends a column's value to a JSON string, if its kind needs no looking into.
pub(super) fn column_in_string(value: row::Value<'_>, out: &mut String) -> bool {
    match value {
        row::Value::Null => {}
        row::Value::Text(text) => write::escaped(text, out),
        row::Value::Int(_)
        | row::Value::Decimal { .. }
        | row::Value::Timestamp(_)
        | row::Value::LocalTimestamp(_)
        | row::Value::Date(_) => write::text(value, out),
        _ => return false,
    }
    true
}

/// Hands on a value as text: NULL is nothing, an array or object its JSON.
///
/// # Errors
/// A column of kind JSON that holds none.
pub(super) fn plain(value: &Val<'_>, mut push: impl FnMut(&str)) -> Result<(), String> {
    push(&shown(value)?);
    Ok(())
}

fn shown<'v>(value: &'v Val<'_>) -> Result<Cow<'v, str>, String> {
    match value {
        Val::Text(text) | Val::Json(text) => Ok(Cow::Borrowed(text)),
        Val::Container(_) | Val::Array(_) | Val::Row(_) | Val::Rows(..) => {
            let mut out = String::new();
            json::write(value, &mut out)?;
            Ok(Cow::Owned(out))
        }
        other => Ok(other.text()),
    }
}

/// Appends a value to the path of a URL.
///
/// # Errors
/// An empty value: the address would be that of something else.
pub(super) fn path(value: &Val<'_>, out: &mut String) -> Result<(), String> {
    let text = shown(value)?;
    if text.is_empty() {
        return Err("the value is NULL or empty, and the URL would lead elsewhere".to_owned());
    }
    percent(&text, out);
    Ok(())
}

/// Appends a value behind the `?` of a URL.
///
/// # Errors
/// A column of kind JSON that holds none.
pub(super) fn query(value: &Val<'_>, out: &mut String) -> Result<(), String> {
    percent(&shown(value)?, out);
    Ok(())
}

/// All but what RFC 3986 calls unreserved, so that it stays one segment or one value.
fn percent(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

/// Appends a value to a header.
///
/// # Errors
/// A control character, or a column of kind JSON that holds none.
pub(super) fn header(value: &Val<'_>, out: &mut String) -> Result<(), String> {
    let text = shown(value)?;
    line(&text)?;
    out.push_str(&text);
    Ok(())
}

/// # Errors
/// A line break or another control character: it would end the header.
pub(super) fn line(text: &str) -> Result<(), String> {
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("the value has the control character U+{:04X}, which no header may have", c as u32)),
        None => Ok(()),
    }
}
