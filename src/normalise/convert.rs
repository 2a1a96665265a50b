//! One Arrow array to the canonical array of a kind.

use super::{calendar, dictionary, json, kinds, nested, number, parse, temporal};
use crate::row::{Column, Kind, RowRef, Schema};
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray, RecordBatch, StringArrayType,
    StringViewArray, StringViewBuilder, new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
use std::fmt::Write;
use std::sync::Arc;

/// A canonical array, and the rows that had a value which has no place in it (they read as NULL), in ascending order.
#[derive(Debug)]
pub(super) struct Conversion {
    pub(super) array: ArrayRef,
    pub(super) failures: Vec<usize>,
}

impl Conversion {
    /// An array that every value has a place in.
    pub(super) fn whole(array: ArrayRef) -> Self {
        Conversion { array, failures: Vec::new() }
    }
}

/// `array` as the canonical type of `kind`; a dictionary becomes a plain array.
pub(super) fn convert(array: &ArrayRef, kind: Kind) -> Result<Conversion, ArrowError> {
    let target = kind.arrow_type();
    match array.data_type() {
        DataType::Null => Ok(Conversion::whole(new_null_array(&target, array.len()))),
        DataType::Dictionary(_, _) => {
            let Conversion { array, failures } = dictionary::convert(array, kind)?;
            Ok(Conversion { array: dictionary::plain(&array)?, failures })
        }
        DataType::RunEndEncoded(_, values) => convert(&cast(array, values.data_type())?, kind),
        same if *same == target && kind != Kind::Json => Ok(temporal::in_calendar(array, kind)),
        _ => convert_other(array, kind),
    }
}

/// A plain array of another type than the canonical one.
fn convert_other(array: &ArrayRef, kind: Kind) -> Result<Conversion, ArrowError> {
    match (kinds::kind_of(array.data_type()).ok(), kind) {
        (Some(Kind::Text), Kind::Text) => Ok(Conversion::whole(cast(array, &DataType::Utf8View)?)),
        (Some(Kind::Text), _) => match array.data_type() {
            DataType::Utf8 => from_text(array.as_string::<i32>(), kind),
            DataType::LargeUtf8 => from_text(array.as_string::<i64>(), kind),
            _ => from_text(cast(array, &DataType::Utf8View)?.as_string_view(), kind),
        },
        (Some(Kind::Json), Kind::Json) => nested::to_json(array),
        (Some(own), _) if kinds::is_number(own) && kinds::is_number(kind) => number::convert(array, kind),
        (Some(own), _) if own == kind => temporal::convert(array, kind),
        // A lenient column or an id that becomes text, or what was pinned by hand: by the text of each value.
        (Some(own), _) => {
            let canonical = convert(array, own)?;
            let mut through = from_text(&texts(&canonical.array, own)?, kind)?;
            through.failures.extend(canonical.failures);
            through.failures.sort_unstable();
            Ok(through)
        }
        (None, _) => {
            let failures = (0..array.len()).filter(|&row| array.is_valid(row)).collect();
            Ok(Conversion { array: new_null_array(&kind.arrow_type(), array.len()), failures })
        }
    }
}

/// A value as the source had it, for messages; cut at 80 characters.
pub(super) fn shown(array: &ArrayRef, row: usize) -> String {
    let one = array.slice(row, 1);
    let text = shown_as_kind(&one).unwrap_or_else(|| {
        // No canonical form, and so that of Arrow; for what no calendar has, the number that it is stored as.
        let raw = match cast(&one, &DataType::Int64) {
            Ok(number) if one.data_type().is_temporal() => number,
            _ => one,
        };
        array_value_to_string(&raw, 0).unwrap_or_else(|_| "?".to_owned())
    });
    match text.char_indices().nth(80) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

fn shown_as_kind(one: &ArrayRef) -> Option<String> {
    let kind = kinds::kind_of(one.data_type()).ok()?;
    let texts = texts(&convert(one, kind).ok()?.array, kind).ok()?;
    texts.is_valid(0).then(|| texts.value(0).to_owned())
}

/// Arrow's own cast, for casts that lose nothing.
pub(super) fn cast(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array, target, &CastOptions { safe: true, ..CastOptions::default() })
}

/// Each value by a function; `None` is a failure.
pub(super) fn map<T: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    value: impl Fn(T::Native) -> Option<O::Native>,
) -> (PrimitiveArray<O>, Vec<usize>) {
    primitive(array.len(), array.nulls(), |row| value(array.values()[row]))
}

/// A primitive array of `value(row)`. What stands under a NULL may be anything, and is not asked for.
fn primitive<O: ArrowPrimitiveType>(
    len: usize,
    nulls: Option<&NullBuffer>,
    value: impl Fn(usize) -> Option<O::Native>,
) -> (PrimitiveArray<O>, Vec<usize>) {
    let mut failures = Vec::new();
    let mut checked = |row| {
        value(row).unwrap_or_else(|| {
            failures.push(row);
            O::Native::default()
        })
    };
    let values: Vec<O::Native> = match nulls {
        None => (0..len).map(checked).collect(),
        Some(nulls) => {
            let valid = |row| if nulls.is_valid(row) { checked(row) } else { O::Native::default() };
            (0..len).map(valid).collect()
        }
    };
    let nulls = without(nulls, len, &failures);
    (PrimitiveArray::new(values.into(), nulls), failures)
}

/// NULLs, and further rows.
pub(super) fn without(nulls: Option<&NullBuffer>, len: usize, failures: &[usize]) -> Option<NullBuffer> {
    if failures.is_empty() {
        return nulls.cloned();
    }
    let mut valid = vec![true; len];
    failures.iter().for_each(|&row| valid[row] = false);
    NullBuffer::union(nulls, Some(&NullBuffer::from(valid)))
}

/// Text by the text of each value; equal to [`Value::text`](crate::row::Value::text).
pub(super) fn texts(canonical: &ArrayRef, kind: Kind) -> Result<StringViewArray, ArrowError> {
    let mut out = StringViewBuilder::with_capacity(canonical.len());
    if let Some(ints) = canonical.as_primitive_opt::<Int64Type>() {
        let mut text = String::new();
        for value in ints {
            text.clear();
            out.append_option(value.and_then(|v| write!(text, "{v}").ok().map(|()| text.as_str())));
        }
        return Ok(out.finish());
    }
    let schema = Schema { columns: vec![Column { name: "value".to_owned(), kind }] };
    let batch = RecordBatch::try_new(schema.arrow(), vec![Arc::clone(canonical)])?;
    for row in 0..canonical.len() {
        let value = RowRef { schema: &schema, batch: &batch, row }.value(0);
        out.append_option(canonical.is_valid(row).then(|| value.text()));
    }
    Ok(out.finish())
}

fn from_text<'a>(texts: impl StringArrayType<'a> + Copy, kind: Kind) -> Result<Conversion, ArrowError> {
    fn parsed<'a, O: ArrowPrimitiveType>(
        texts: impl StringArrayType<'a> + Copy,
        parse: impl Fn(&str) -> Option<O::Native>,
    ) -> (PrimitiveArray<O>, Vec<usize>) {
        primitive(texts.len(), texts.nulls(), |row| parse(texts.value(row)))
    }
    fn erased<O: ArrowPrimitiveType>((array, failures): (PrimitiveArray<O>, Vec<usize>)) -> Conversion {
        Conversion { array: Arc::new(array), failures }
    }
    Ok(match kind {
        Kind::Bool => bools(texts),
        Kind::Int => erased(parsed::<Int64Type>(texts, parse::int)),
        Kind::Decimal { scale } => {
            let (array, failures) = parsed::<Decimal128Type>(texts, |text| parse::decimal(text, scale));
            Conversion { array: Arc::new(array.with_precision_and_scale(38, scale)?), failures }
        }
        Kind::Float => erased(parsed::<Float64Type>(texts, parse::float)),
        Kind::Date => erased(parsed::<Date32Type>(texts, calendar::date)),
        Kind::Time => erased(parsed::<Time64MicrosecondType>(texts, calendar::time)),
        Kind::Timestamp => {
            let (array, failures) = parsed::<TimestampMicrosecondType>(texts, calendar::timestamp);
            Conversion { array: Arc::new(array.with_timezone("UTC")), failures }
        }
        Kind::LocalTimestamp => erased(parsed::<TimestampMicrosecondType>(texts, calendar::local_timestamp)),
        Kind::Text => Conversion::whole(Arc::new(StringArrayType::iter(&texts).collect::<StringViewArray>())),
        Kind::Json => strings(texts.len(), texts.nulls(), |row| json::canonical_text(texts.value(row))),
    })
}

fn bools<'a>(texts: impl StringArrayType<'a> + Copy) -> Conversion {
    let (values, failures) = primitive_bools(texts.len(), texts.nulls(), |row| parse::bool(texts.value(row)));
    Conversion { array: Arc::new(values), failures }
}

fn primitive_bools(
    len: usize,
    nulls: Option<&NullBuffer>,
    value: impl Fn(usize) -> Option<bool>,
) -> (BooleanArray, Vec<usize>) {
    let mut failures = Vec::new();
    let values = BooleanBuffer::collect_bool(len, |row| {
        nulls.is_none_or(|n| n.is_valid(row))
            && value(row).unwrap_or_else(|| {
                failures.push(row);
                false
            })
    });
    (BooleanArray::new(values, without(nulls, len, &failures)), failures)
}

/// A text array of `value(row)`; `None` is a failure.
pub(super) fn strings(len: usize, nulls: Option<&NullBuffer>, value: impl Fn(usize) -> Option<String>) -> Conversion {
    let mut failures = Vec::new();
    let mut out = StringViewBuilder::with_capacity(len);
    for row in 0..len {
        if nulls.is_some_and(|n| n.is_null(row)) {
            out.append_null();
            continue;
        }
        let text = value(row);
        if text.is_none() {
            failures.push(row);
        }
        out.append_option(text);
    }
    Conversion { array: Arc::new(out.finish()), failures }
}
