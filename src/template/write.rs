//! Values into JSON text. The hot path of the presets: one pass, no tree, mostly no allocation.

use crate::row::Value;
use chrono::{Datelike, NaiveDateTime, Timelike};
use std::fmt::Write;

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
        return out.push_str(text);
    }
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| !plain(byte)) {
        out.push_str(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            control => drop(write!(out, "\\u{control:04x}")),
        }
    }
    out.push_str(&text[from..]);
}

/// Appends a value as JSON.
pub(super) fn value(value: Value<'_>, out: &mut String) {
    match value {
        Value::Text(text) => string(text, out),
        Value::Decimal { .. } => text(value, out),
        Value::Timestamp(_) | Value::LocalTimestamp(_) => {
            out.push('"');
            text(value, out);
            out.push('"');
        }
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

/// Appends [`Value::text`]; decimals and timestamps several times as fast.
pub(super) fn text(value: Value<'_>, out: &mut String) {
    match value {
        Value::Text(text) => out.push_str(text),
        Value::Int(number) => drop(write!(out, "{number}")),
        Value::Decimal { unscaled, scale } => match (i64::try_from(unscaled), usize::try_from(scale)) {
            (Ok(unscaled), Ok(scale @ 0..=18)) => decimal(unscaled, scale, out),
            _ => out.push_str(&value.text()),
        },
        Value::Timestamp(time) => {
            moment(time.naive_utc(), out);
            out.push('Z');
        }
        Value::LocalTimestamp(time) => moment(time, out),
        other => out.push_str(&other.text()),
    }
}

fn decimal(unscaled: i64, scale: usize, out: &mut String) {
    let power = 10_u64.pow(scale as u32);
    let (whole, part) = (unscaled.unsigned_abs() / power, unscaled.unsigned_abs() % power);
    out.push_str(if unscaled < 0 { "-" } else { "" });
    let _ = write!(out, "{whole}");
    if part > 0 {
        let _ = write!(out, ".{part:0scale$}");
        out.truncate(out.trim_end_matches('0').len());
    }
}

fn moment(time: NaiveDateTime, out: &mut String) {
    let mut two = |number: u32, before: &str| {
        out.push_str(before);
        out.push(char::from(b'0' + (number / 10 % 10) as u8));
        out.push(char::from(b'0' + (number % 10) as u8));
    };
    match u32::try_from(time.year()) {
        Ok(year @ 0..=9999) => {
            two(year / 100, "");
            two(year, "");
        }
        _ => return out.push_str(&Value::LocalTimestamp(time).text()),
    }
    two(time.month(), "-");
    two(time.day(), "-");
    two(time.hour(), "T");
    two(time.minute(), ":");
    // A leap second is the 60th in chrono's text, too.
    let nanos = time.nanosecond();
    two(time.second() + nanos / 1_000_000_000, ":");
    let micros = nanos % 1_000_000_000 / 1000;
    let _ = if nanos.is_multiple_of(1_000_000) {
        write!(out, ".{:03}", micros / 1000)
    } else {
        write!(out, ".{micros:06}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: Value<'_>) -> String {
        let mut out = String::new();
        super::value(value, &mut out);
        out
    }

    proptest! {
        #[test]
        fn moments_read_as_their_text(micros in -99_999_999_999_999_999_i64..=99_999_999_999_999_999, whole in any::<bool>()) {
            let micros = if whole { micros / 1000 * 1000 } else { micros };
            let time = chrono::DateTime::from_timestamp_micros(micros).unwrap();
            prop_assert_eq!(written(Value::Timestamp(time)), format!("\"{}\"", Value::Timestamp(time).text()));
            let local = Value::LocalTimestamp(time.naive_utc());
            prop_assert_eq!(written(local), format!("\"{}\"", local.text()));
        }

        #[test]
        fn decimals_read_as_their_text(unscaled in any::<i64>(), small in -1000_i64..1000, scale in 0_i8..=38) {
            for unscaled in [unscaled, small, small * 1000].map(i128::from) {
                let value = Value::Decimal { unscaled, scale };
                prop_assert_eq!(written(value), value.text());
            }
        }

        #[test]
        fn strings_are_escaped_as_serde_escapes_them(text in ".*", control in 0_u8..0x30) {
            let text = format!("{text}{}{text}", char::from(control));
            prop_assert_eq!(written(Value::Text(&text)), serde_json::Value::from(text.as_str()).to_string());
        }
    }
}
