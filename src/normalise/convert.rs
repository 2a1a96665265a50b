//! One Arrow array to the canonical array of a kind.

use super::{json, kinds, parse};
use crate::row::{Column, Kind, RowRef, Schema};
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    PrimitiveArray, RecordBatch, StringViewArray, StringViewBuilder, Time64MicrosecondArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Date32Type, Time64MicrosecondType, TimestampMicrosecondType};
use arrow::error::ArrowError;
use chrono::{DateTime, NaiveDate, TimeDelta};
use std::sync::Arc;

/// A canonical array, and the rows that had a value which has no place in it (they read as NULL).
pub(super) struct Conversion {
    pub(super) array: ArrayRef,
    pub(super) failures: Vec<usize>,
}

/// `array` as the canonical type of `kind`.
pub(super) fn convert(array: &ArrayRef, kind: Kind) -> Result<Conversion, ArrowError> {
    let target = kind.arrow_type();
    if *array.data_type() == target && kind != Kind::Json {
        return Ok(in_calendar(array, kind));
    }
    if *array.data_type() == DataType::Null {
        return Ok(Conversion { array: new_null_array(&target, array.len()), failures: Vec::new() });
    }
    let own = kinds::kind_of(array.data_type()).ok();
    let converted: ArrayRef = match (own, kind) {
        (Some(Kind::Json), Kind::Json) => Arc::new(nested_to_json(array)),
        (Some(Kind::Text), Kind::Text) => cast(array, &target)?,
        (Some(Kind::Text), _) => from_text(cast(array, &DataType::Utf8View)?.as_string_view(), kind)?,
        (Some(own), _) if own == kind => cast(array, &target)?,
        // Another number type, or a lenient column that becomes text: by the text of each value, which is exact.
        (Some(own), _) => {
            let canonical = convert(array, own)?;
            from_text(&texts(&canonical.array, own)?, kind)?
        }
        (None, _) => new_null_array(&target, array.len()),
    };
    let converted = in_calendar(&converted, kind).array;
    let failures = if converted.null_count() == array.logical_null_count() {
        Vec::new()
    } else {
        let before = array.logical_nulls();
        let was_null = |row| before.as_ref().is_some_and(|n| n.is_null(row));
        (0..array.len()).filter(|&row| converted.is_null(row) && !was_null(row)).collect()
    };
    Ok(Conversion { array: converted, failures })
}

/// Dates and instants that no calendar text can be written for (Postgres' `infinity`, a damaged file) are failures: as
/// `null` they would clear the value at the destination.
fn in_calendar(array: &ArrayRef, kind: Kind) -> Conversion {
    let outside: Vec<usize> = match kind {
        Kind::Date => {
            let days = array.as_primitive::<Date32Type>();
            rows_where(days, |day| days_since_epoch(day).is_none())
        }
        Kind::Timestamp | Kind::LocalTimestamp => {
            let micros = array.as_primitive::<TimestampMicrosecondType>();
            rows_where(micros, |micros| DateTime::from_timestamp_micros(micros).is_none())
        }
        Kind::Time => {
            let micros = array.as_primitive::<Time64MicrosecondType>();
            rows_where(micros, |micros| !(0..86_400_000_000).contains(&micros))
        }
        _ => Vec::new(),
    };
    if outside.is_empty() {
        return Conversion { array: Arc::clone(array), failures: outside };
    }
    let mut mask = vec![false; array.len()];
    outside.iter().for_each(|&row| mask[row] = true);
    let mask = BooleanArray::from(mask);
    let array = arrow::compute::nullif(array, &mask).unwrap_or_else(|_| new_null_array(array.data_type(), mask.len()));
    Conversion { array, failures: outside }
}

fn days_since_epoch(days: i32) -> Option<NaiveDate> {
    NaiveDate::default().checked_add_signed(TimeDelta::try_days(i64::from(days))?)
}

fn rows_where<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, fails: impl Fn(T::Native) -> bool) -> Vec<usize> {
    let values = array.values().iter().enumerate();
    values.filter(|(row, value)| fails(**value) && array.is_valid(*row)).map(|(row, _)| row).collect()
}

/// A value as the source had it, for messages; cut at 80 characters.
pub(super) fn shown(array: &ArrayRef, row: usize) -> String {
    let text = kinds::kind_of(array.data_type())
        .ok()
        .and_then(|kind| convert(&array.slice(row, 1), kind).ok().map(|c| (c.array, kind)))
        .and_then(|(array, kind)| texts(&array, kind).ok())
        .filter(|texts| texts.is_valid(0))
        .map_or_else(|| "?".to_owned(), |texts| texts.value(0).to_owned());
    match text.char_indices().nth(80) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

/// Arrow's own cast; what overflows becomes NULL and is found by the caller.
fn cast(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array, target, &CastOptions { safe: true, ..CastOptions::default() })
}

fn nested_to_json(array: &ArrayRef) -> StringViewArray {
    if let Some(strings) = array.as_string_view_opt() {
        return strings.iter().map(|v| v.and_then(json::canonical_text)).collect();
    }
    let mut out = StringViewBuilder::with_capacity(array.len());
    for row in 0..array.len() {
        out.append_option(if array.is_null(row) { None } else { json::from_nested(array, row) });
    }
    out.finish()
}

/// Each value of a canonical array as [`Value::text`](crate::row::Value::text) writes it.
fn texts(canonical: &ArrayRef, kind: Kind) -> Result<StringViewArray, ArrowError> {
    let schema = Schema { columns: vec![Column { name: "value".to_owned(), kind }] };
    let batch = RecordBatch::try_new(schema.arrow(), vec![Arc::clone(canonical)])?;
    let text = |row| canonical.is_valid(row).then(|| RowRef { schema: &schema, batch: &batch, row }.value(0).text());
    Ok((0..canonical.len()).map(text).collect())
}

fn from_text(texts: &StringViewArray, kind: Kind) -> Result<ArrayRef, ArrowError> {
    let texts = texts.iter();
    Ok(match kind {
        Kind::Bool => Arc::new(texts.map(|v| v.and_then(parse::bool)).collect::<BooleanArray>()),
        Kind::Int => Arc::new(texts.map(|v| v.and_then(parse::int)).collect::<Int64Array>()),
        Kind::Decimal { scale } => Arc::new(
            texts
                .map(|v| v.and_then(|v| parse::decimal(v, scale)))
                .collect::<Decimal128Array>()
                .with_precision_and_scale(38, scale)?,
        ),
        Kind::Float => Arc::new(texts.map(|v| v.and_then(parse::float)).collect::<Float64Array>()),
        Kind::Text => Arc::new(texts.collect::<StringViewArray>()),
        Kind::Date => Arc::new(texts.map(|v| v.and_then(parse::date)).collect::<Date32Array>()),
        Kind::Time => Arc::new(texts.map(|v| v.and_then(parse::time)).collect::<Time64MicrosecondArray>()),
        Kind::Timestamp => Arc::new(
            texts.map(|v| v.and_then(parse::timestamp)).collect::<TimestampMicrosecondArray>().with_timezone("UTC"),
        ),
        Kind::LocalTimestamp => {
            Arc::new(texts.map(|v| v.and_then(parse::local_timestamp)).collect::<TimestampMicrosecondArray>())
        }
        Kind::Json => Arc::new(texts.map(|v| v.and_then(json::canonical_text)).collect::<StringViewArray>()),
    })
}
