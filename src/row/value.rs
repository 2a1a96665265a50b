//! One value of one row, borrowed from a canonical batch.

use super::{Kind, Schema};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

/// A value, typed by the kind of its column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// A truth value.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// `unscaled × 10^-scale`
    Decimal {
        /// The digits.
        unscaled: i128,
        /// Digits after the point.
        scale: i8,
    },
    /// A double.
    Float(f64),
    /// Any text.
    Text(&'a str),
    /// A calendar date.
    Date(NaiveDate),
    /// A time of day.
    Time(NaiveTime),
    /// An instant.
    Timestamp(DateTime<Utc>),
    /// A date and time without a zone.
    LocalTimestamp(NaiveDateTime),
    /// Canonical JSON text.
    Json(&'a str),
}

/// One row of a canonical batch. `batch` has the arrow schema of `schema`.
#[derive(Clone, Copy)]
pub struct RowRef<'a> {
    /// What the columns mean.
    pub schema: &'a Schema,
    /// The values.
    pub batch: &'a RecordBatch,
    /// The position within `batch`.
    pub row: usize,
}

impl<'a> RowRef<'a> {
    /// The value of a column by position in the schema. A date or time outside chrono's range reads as NULL; normalise
    /// rejects such rows before they get here.
    pub fn value(&self, column: usize) -> Value<'a> {
        let array = self.batch.column(column);
        if array.is_null(self.row) {
            return Value::Null;
        }
        let row = self.row;
        match self.schema.columns[column].kind {
            Kind::Bool => Value::Bool(array.as_boolean().value(row)),
            Kind::Int => Value::Int(array.as_primitive::<Int64Type>().value(row)),
            Kind::Decimal { scale } => {
                Value::Decimal { unscaled: array.as_primitive::<Decimal128Type>().value(row), scale }
            }
            Kind::Float => Value::Float(array.as_primitive::<Float64Type>().value(row)),
            Kind::Text => Value::Text(array.as_string_view().value(row)),
            Kind::Json => Value::Json(array.as_string_view().value(row)),
            Kind::Date => array.as_primitive::<Date32Type>().value_as_date(row).map_or(Value::Null, Value::Date),
            Kind::Time => {
                array.as_primitive::<Time64MicrosecondType>().value_as_time(row).map_or(Value::Null, Value::Time)
            }
            Kind::Timestamp => {
                DateTime::from_timestamp_micros(array.as_primitive::<TimestampMicrosecondType>().value(row))
                    .map_or(Value::Null, Value::Timestamp)
            }
            Kind::LocalTimestamp => array
                .as_primitive::<TimestampMicrosecondType>()
                .value_as_datetime(row)
                .map_or(Value::Null, Value::LocalTimestamp),
        }
    }
}

impl Value<'_> {
    /// Appends the value as JSON: numbers as numbers (decimals with all their digits), dates and times as ISO 8601
    /// strings (milliseconds, or microseconds where the value has them), JSON columns as they are. What JSON has no
    /// number for (NaN, infinity) becomes `null`, as `JSON.stringify` does.
    pub fn write_json(&self, out: &mut String) {
        use std::fmt::Write;
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(v) => out.push_str(if *v { "true" } else { "false" }),
            Value::Int(v) => drop(write!(out, "{v}")),
            Value::Decimal { .. } => out.push_str(&self.text()),
            Value::Float(v) if !v.is_finite() => out.push_str("null"),
            // serde_json writes the shortest digits that read back as the same double; 3.0 is written as 3, since the
            // kind of a column is ours and not the reader's, who may want an integer.
            Value::Float(v) if *v == v.trunc() && v.abs() < 9.0e15 => drop(write!(out, "{}", *v as i64)),
            Value::Float(v) => out.push_str(&serde_json::Number::from_f64(*v).map_or("null".into(), |n| n.to_string())),
            Value::Json(v) => out.push_str(v),
            _ => out.push_str(&serde_json::Value::from(self.text()).to_string()),
        }
    }

    /// The value as plain text, without quotes; NULL is the empty string.
    pub fn text(&self) -> String {
        match self {
            Value::Null => String::new(),
            Value::Bool(v) => v.to_string(),
            Value::Int(v) => v.to_string(),
            Value::Decimal { unscaled, scale } => decimal_text(*unscaled, *scale),
            Value::Float(v) => v.to_string(),
            Value::Text(v) | Value::Json(v) => (*v).to_owned(),
            Value::Date(v) => v.format("%Y-%m-%d").to_string(),
            Value::Time(v) => v.format(fraction(v, "%H:%M:%S%.3f", "%H:%M:%S%.6f")).to_string(),
            Value::Timestamp(v) => {
                v.format(fraction(v, "%Y-%m-%dT%H:%M:%S%.3fZ", "%Y-%m-%dT%H:%M:%S%.6fZ")).to_string()
            }
            Value::LocalTimestamp(v) => {
                v.format(fraction(v, "%Y-%m-%dT%H:%M:%S%.3f", "%Y-%m-%dT%H:%M:%S%.6f")).to_string()
            }
        }
    }

    /// The value as a JSON tree, for reports and `--json`.
    pub fn to_json(&self) -> serde_json::Value {
        let mut text = String::new();
        self.write_json(&mut text);
        // A decimal of more digits than a double holds would be rounded by the tree, so it stays text there.
        if let Value::Decimal { unscaled, .. } = self
            && unscaled.unsigned_abs() > (1 << 53)
        {
            return serde_json::Value::String(text);
        }
        serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))
    }
}

fn fraction<'f>(time: &impl chrono::Timelike, millis: &'f str, micros: &'f str) -> &'f str {
    if time.nanosecond().is_multiple_of(1_000_000) { millis } else { micros }
}

fn decimal_text(unscaled: i128, scale: i8) -> String {
    let Ok(scale) = usize::try_from(scale) else { return unscaled.to_string() };
    if scale == 0 {
        return unscaled.to_string();
    }
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let part = part.trim_end_matches('0');
    let sign = if unscaled < 0 { "-" } else { "" };
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// A key as a person reads it: the value itself, or for a composite key the values joined by ` / `.
pub fn key_text(row: RowRef<'_>, key_columns: &[usize]) -> String {
    key_columns.iter().map(|&c| row.value(c).text()).collect::<Vec<_>>().join(" / ")
}

/// A key for machines: the JSON value itself, or for a composite key an object of its columns.
pub fn key_json(row: RowRef<'_>, key_columns: &[usize]) -> serde_json::Value {
    match key_columns {
        [only] => row.value(*only).to_json(),
        several => serde_json::Value::Object(
            several.iter().map(|&c| (row.schema.columns[c].name.clone(), row.value(c).to_json())).collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Value<'_>, json: &str) {
        let mut out = String::new();
        value.write_json(&mut out);
        assert_eq!(out, json);
    }

    #[test]
    fn values_are_written_as_json() {
        check(Value::Null, "null");
        check(Value::Bool(true), "true");
        check(Value::Int(i64::MIN), "-9223372036854775808");
        check(Value::Decimal { unscaled: 4990, scale: 2 }, "49.9");
        check(Value::Decimal { unscaled: -5, scale: 2 }, "-0.05");
        check(Value::Decimal { unscaled: 12_345_678_901_234_567_890_123, scale: 0 }, "12345678901234567890123");
        check(Value::Float(3.0), "3");
        check(Value::Float(0.1), "0.1");
        check(Value::Float(f64::NAN), "null");
        check(Value::Float(1e300), "1e+300");
        check(Value::Text("a \"b\"\n\u{1}"), r#""a \"b\"\n\u0001""#);
        check(Value::Json(r#"{"a":[1]}"#), r#"{"a":[1]}"#);
        check(Value::Date(NaiveDate::from_ymd_opt(2026, 1, 15).unwrap()), r#""2026-01-15""#);
        let instant = DateTime::from_timestamp_micros(1_768_473_000_000_000).unwrap();
        check(Value::Timestamp(instant), r#""2026-01-15T10:30:00.000Z""#);
        check(Value::Timestamp(instant + chrono::TimeDelta::microseconds(1)), r#""2026-01-15T10:30:00.000001Z""#);
    }
}
