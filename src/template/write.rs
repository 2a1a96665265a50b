//! Values into JSON text. The hot path of the presets: one pass, no tree, mostly no allocation.

use crate::row::Value;

/// Appends `text` as a JSON string.
pub(super) fn string(text: &str, out: &mut String) {
    out.push('"');
    escaped(text, out);
    out.push('"');
}

/// Appends `text` as it reads within a JSON string, without the quotes.
pub(super) fn escaped(text: &str, out: &mut String) {
    let plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    if text.as_bytes().iter().all(plain) {
        out.push_str(text);
    } else {
        let quoted = serde_json::Value::from(text).to_string();
        out.push_str(&quoted[1..quoted.len() - 1]);
    }
}

/// Appends a value as JSON.
pub(super) fn value(value: Value<'_>, out: &mut String) {
    match value {
        Value::Text(text) => string(text, out),
        other => other.write_json(out),
    }
}

/// Appends a value as it reads within a JSON string: NULL and what is no number as nothing, a JSON column's string as
/// that string, its other values as their JSON text.
pub(super) fn within_string(value: Value<'_>, out: &mut String) {
    match value {
        Value::Null => {}
        Value::Text(text) => escaped(text, out),
        Value::Float(number) if !number.is_finite() => {}
        Value::Float(_) => value.write_json(out),
        Value::Json("null") => {}
        Value::Json(json) => match serde_json::from_str::<String>(json) {
            Ok(text) => escaped(&text, out),
            Err(_) => escaped(json, out),
        },
        other => escaped(&other.text(), out),
    }
}
