//! Tuples to Arrow columns, on the threads of whoever takes the pieces. The protocol's binary form is little-endian.

use super::types::{Cell, Column};
use crate::source::SourceError;
use crate::source::sql::tuples::{Garbled, Tuples};
use arrow::array::{
    ArrayRef, BooleanBuilder, Decimal128Builder, NullArray, PrimitiveBuilder, RecordBatch, RecordBatchOptions,
    StringViewBuilder,
};
use arrow::datatypes::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema, SchemaRef,
    Time64MicrosecondType, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use chrono::NaiveDate;
use std::sync::Arc;

const MICROS_OF_DAY: i64 = 86_400_000_000;

/// What makes batches of tuples.
pub(super) struct Decoder {
    schema: SchemaRef,
    cells: Vec<Cell>,
}

enum Misread {
    Garbled,
    /// The position of a column that has a value which is not of its type.
    Value(usize),
    Arrow(ArrowError),
}

impl From<Garbled> for Misread {
    fn from(_: Garbled) -> Self {
        Misread::Garbled
    }
}

/// Not the form of its type, or not in its range.
struct Wrong;

impl Decoder {
    /// For tuples that have these columns of the extract, by position.
    pub(super) fn new(schema: &SchemaRef, columns: &[Column], kept: &[usize]) -> Self {
        let fields: Vec<_> = kept.iter().map(|&index| Arc::clone(&schema.fields()[index])).collect();
        let cells = kept.iter().map(|&index| columns[index].cell).collect();
        Decoder { schema: Arc::new(Schema::new(fields)), cells }
    }

    /// A piece as one batch.
    ///
    /// # Errors
    /// A value that is not what the server has said that the column holds.
    pub(super) fn batch(&self, tuples: &Tuples) -> Result<RecordBatch, SourceError> {
        self.decode(tuples).map_err(|misread| match misread {
            Misread::Garbled => SourceError::new("what the server sent are not rows of the query's columns"),
            Misread::Arrow(error) => SourceError::new(format!("the rows cannot be read: {error}")),
            Misread::Value(column) => {
                let (name, cell) = (self.schema.field(column).name(), self.cells[column]);
                let (what, cast) = match cell {
                    Cell::Bool => ("a TINYINT(1) other than 0 and 1", format!("`{name}` + 0")),
                    Cell::Decimal { .. } => ("a decimal of more than 38 digits", format!("CAST(`{name}` AS CHAR)")),
                    _ => ("a value that is not of its type", format!("CAST(`{name}` AS CHAR)")),
                };
                SourceError::new(format!("column `{name}` has {what}"))
                    .hint(format!("write in the query: {cast} AS `{name}`"))
            }
        })
    }

    fn decode(&self, tuples: &Tuples) -> Result<RecordBatch, Misread> {
        let mut columns: Vec<Building> = self.cells.iter().map(|cell| Building::new(*cell, tuples.rows)).collect();
        tuples.each(columns.len(), |_, field, value| match value {
            None => {
                columns[field].null();
                Ok(())
            }
            Some(bytes) => columns[field].take(bytes).map_err(|Wrong| Misread::Value(field)),
        })?;
        let arrays =
            columns.into_iter().map(Building::finish).collect::<Result<Vec<_>, _>>().map_err(Misread::Arrow)?;
        let options = RecordBatchOptions::new().with_row_count(Some(tuples.rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options).map_err(Misread::Arrow)
    }
}

/// A column in the making.
enum Building {
    Bool(BooleanBuilder),
    Int8(PrimitiveBuilder<Int8Type>),
    UInt8(PrimitiveBuilder<UInt8Type>),
    Int16(PrimitiveBuilder<Int16Type>),
    UInt16(PrimitiveBuilder<UInt16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    UInt32(PrimitiveBuilder<UInt32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    UInt64(PrimitiveBuilder<UInt64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal(Decimal128Builder, i8),
    Text(StringViewBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    Moment(PrimitiveBuilder<TimestampMicrosecondType>, bool),
    Null(usize),
}

impl Building {
    fn new(cell: Cell, rows: usize) -> Self {
        match cell {
            Cell::Bool => Building::Bool(BooleanBuilder::with_capacity(rows)),
            Cell::Int8 => Building::Int8(PrimitiveBuilder::with_capacity(rows)),
            Cell::UInt8 => Building::UInt8(PrimitiveBuilder::with_capacity(rows)),
            Cell::Int16 => Building::Int16(PrimitiveBuilder::with_capacity(rows)),
            Cell::UInt16 => Building::UInt16(PrimitiveBuilder::with_capacity(rows)),
            Cell::Int32 => Building::Int32(PrimitiveBuilder::with_capacity(rows)),
            Cell::UInt32 => Building::UInt32(PrimitiveBuilder::with_capacity(rows)),
            Cell::Int64 => Building::Int64(PrimitiveBuilder::with_capacity(rows)),
            Cell::UInt64 => Building::UInt64(PrimitiveBuilder::with_capacity(rows)),
            Cell::Float32 => Building::Float32(PrimitiveBuilder::with_capacity(rows)),
            Cell::Float64 => Building::Float64(PrimitiveBuilder::with_capacity(rows)),
            Cell::Decimal { scale } => Building::Decimal(Decimal128Builder::with_capacity(rows), scale),
            Cell::Number | Cell::Text | Cell::Json => Building::Text(StringViewBuilder::with_capacity(rows)),
            Cell::Date => Building::Date(PrimitiveBuilder::with_capacity(rows)),
            Cell::Time => Building::Time(PrimitiveBuilder::with_capacity(rows)),
            Cell::Local => Building::Moment(PrimitiveBuilder::with_capacity(rows), false),
            Cell::Instant => Building::Moment(PrimitiveBuilder::with_capacity(rows), true),
            Cell::Null => Building::Null(0),
        }
    }

    fn null(&mut self) {
        match self {
            Building::Bool(builder) => builder.append_null(),
            Building::Int8(builder) => builder.append_null(),
            Building::UInt8(builder) => builder.append_null(),
            Building::Int16(builder) => builder.append_null(),
            Building::UInt16(builder) => builder.append_null(),
            Building::Int32(builder) => builder.append_null(),
            Building::UInt32(builder) => builder.append_null(),
            Building::Int64(builder) => builder.append_null(),
            Building::UInt64(builder) => builder.append_null(),
            Building::Float32(builder) => builder.append_null(),
            Building::Float64(builder) => builder.append_null(),
            Building::Decimal(builder, _) => builder.append_null(),
            Building::Text(builder) => builder.append_null(),
            Building::Date(builder) => builder.append_null(),
            Building::Time(builder) => builder.append_null(),
            Building::Moment(builder, _) => builder.append_null(),
            Building::Null(rows) => *rows += 1,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
        match self {
            Building::Bool(builder) => match bytes {
                [value @ (0 | 1)] => builder.append_value(*value == 1),
                _ => return Err(Wrong),
            },
            Building::Int8(builder) => builder.append_value(i8::from_le_bytes(fixed(bytes)?)),
            Building::UInt8(builder) => builder.append_value(u8::from_le_bytes(fixed(bytes)?)),
            Building::Int16(builder) => builder.append_value(i16::from_le_bytes(fixed(bytes)?)),
            Building::UInt16(builder) => builder.append_value(u16::from_le_bytes(fixed(bytes)?)),
            Building::Int32(builder) => builder.append_value(i32::from_le_bytes(fixed(bytes)?)),
            Building::UInt32(builder) => builder.append_value(u32::from_le_bytes(fixed(bytes)?)),
            Building::Int64(builder) => builder.append_value(i64::from_le_bytes(fixed(bytes)?)),
            Building::UInt64(builder) => builder.append_value(u64::from_le_bytes(fixed(bytes)?)),
            Building::Float32(builder) => builder.append_value(f32::from_le_bytes(fixed(bytes)?)),
            Building::Float64(builder) => builder.append_value(f64::from_le_bytes(fixed(bytes)?)),
            Building::Decimal(builder, scale) => builder.append_value(decimal(bytes, *scale).ok_or(Wrong)?),
            Building::Text(builder) => builder.append_value(std::str::from_utf8(bytes).map_err(|_| Wrong)?),
            Building::Date(builder) => builder.append_value(date(behind_length(bytes)?)?.unwrap_or(i32::MIN)),
            Building::Time(builder) => builder.append_value(time(behind_length(bytes)?)?),
            Building::Moment(builder, _) => builder.append_value(moment(behind_length(bytes)?)?),
            Building::Null(_) => return Err(Wrong),
        }
        Ok(())
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Building::Bool(mut builder) => Arc::new(builder.finish()),
            Building::Int8(mut builder) => Arc::new(builder.finish()),
            Building::UInt8(mut builder) => Arc::new(builder.finish()),
            Building::Int16(mut builder) => Arc::new(builder.finish()),
            Building::UInt16(mut builder) => Arc::new(builder.finish()),
            Building::Int32(mut builder) => Arc::new(builder.finish()),
            Building::UInt32(mut builder) => Arc::new(builder.finish()),
            Building::Int64(mut builder) => Arc::new(builder.finish()),
            Building::UInt64(mut builder) => Arc::new(builder.finish()),
            Building::Float32(mut builder) => Arc::new(builder.finish()),
            Building::Float64(mut builder) => Arc::new(builder.finish()),
            Building::Decimal(mut builder, scale) => Arc::new(builder.finish().with_precision_and_scale(38, scale)?),
            Building::Text(mut builder) => Arc::new(builder.finish()),
            Building::Date(mut builder) => Arc::new(builder.finish()),
            Building::Time(mut builder) => Arc::new(builder.finish()),
            Building::Moment(mut builder, false) => Arc::new(builder.finish()),
            Building::Moment(mut builder, true) => Arc::new(builder.finish().with_timezone("UTC")),
            Building::Null(rows) => Arc::new(NullArray::new(rows)),
        })
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Wrong> {
    bytes.try_into().map_err(|_| Wrong)
}

/// Dates and times say their length in their first byte, and leave out zeros at their end.
fn behind_length(bytes: &[u8]) -> Result<&[u8], Wrong> {
    let (length, rest) = bytes.split_first().ok_or(Wrong)?;
    if usize::from(*length) == rest.len() { Ok(rest) } else { Err(Wrong) }
}

/// Days since 1970. `None`: a date of zeros, which no calendar has. It stays one that no calendar has, and is rejected with its row.
fn date(bytes: &[u8]) -> Result<Option<i32>, Wrong> {
    let [year_low, year_high, month, day, ..] = bytes else {
        return if bytes.is_empty() { Ok(None) } else { Err(Wrong) };
    };
    let year = i32::from(u16::from_le_bytes([*year_low, *year_high]));
    let date = NaiveDate::from_ymd_opt(year, (*month).into(), (*day).into()).filter(|_| year > 0);
    let days = date.map(|date| date.signed_duration_since(NaiveDate::default()).num_days());
    Ok(days.and_then(|days| i32::try_from(days).ok()))
}

/// Microseconds since 1970.
fn moment(bytes: &[u8]) -> Result<i64, Wrong> {
    let days = date(bytes)?;
    let micros = match bytes.get(4..).unwrap_or_default() {
        [] => 0,
        [hours, minutes, seconds] => clock(*hours, *minutes, *seconds, 0),
        [hours, minutes, seconds, fraction @ ..] => {
            clock(*hours, *minutes, *seconds, u32::from_le_bytes(fixed(fraction)?))
        }
        _ => return Err(Wrong),
    };
    Ok(days.map_or(i64::MIN, |days| i64::from(days) * MICROS_OF_DAY + micros))
}

/// Microseconds since midnight; a length of time that is below zero or a day or more is out of the range of times.
fn time(bytes: &[u8]) -> Result<i64, Wrong> {
    let [sign, days @ .., hours, minutes, seconds] = (match bytes {
        [] => return Ok(0),
        all if all.len() == 12 => &all[..8],
        all => all,
    }) else {
        return Err(Wrong);
    };
    let fraction = if bytes.len() == 12 { u32::from_le_bytes(fixed(&bytes[8..])?) } else { 0 };
    let days = i64::from(u32::from_le_bytes(fixed(days)?));
    // A server has 34 of them at most; what it may say by the protocol is more than fits.
    let micros = days.checked_mul(MICROS_OF_DAY).ok_or(Wrong)? + clock(*hours, *minutes, *seconds, fraction);
    Ok(if *sign == 0 { micros } else { -micros })
}

fn clock(hours: u8, minutes: u8, seconds: u8, micros: u32) -> i64 {
    let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60 + i64::from(seconds);
    seconds * 1_000_000 + i64::from(micros)
}

/// A decimal's text at a scale, if it fits.
fn decimal(text: &[u8], scale: i8) -> Option<i128> {
    let (negative, digits) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let (mut unscaled, mut places) = (0i128, None::<i8>);
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                unscaled = unscaled.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
                places = match places {
                    Some(places) => Some(places.checked_add(1)?),
                    None => None,
                };
            }
            b'.' if places.is_none() => places = Some(0),
            _ => return None,
        }
    }
    let missing = u32::try_from(i32::from(scale) - i32::from(places.unwrap_or(0))).ok()?;
    let unscaled = unscaled.checked_mul(10i128.checked_pow(missing)?)?;
    (unscaled < 10i128.pow(38)).then_some(if negative { -unscaled } else { unscaled })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text, scale, expected) in [
            ("49.90", 2, Some(4990)),
            ("-0.05", 2, Some(-5)),
            ("7", 2, Some(700)),
            ("0.001", 2, None),
            ("99999999999999999999999999999999999999", 0, Some(10i128.pow(38) - 1)),
            ("100000000000000000000000000000000000000", 0, None),
            ("1.2.3", 2, None),
            ("NaN", 2, None),
            (&format!("0.{}", "0".repeat(300)), 2, None),
        ] {
            assert_eq!(decimal(text.as_bytes(), scale), expected, "{text}");
        }
    }

    #[test]
    fn dates_and_times_leave_out_zeros() {
        assert_eq!(date(&[0xb1, 0x07, 7, 20]).ok(), Some(Some(-165)), "1969-07-20");
        assert_eq!(date(&[]).ok(), Some(None));
        assert_eq!(date(&[0, 0, 0, 0]).ok(), Some(None));
        assert_eq!(date(&[0xea, 0x07, 2, 0]).ok(), Some(None), "2026-02-00");
        assert_eq!(moment(&[0xb2, 0x07, 1, 1]).ok(), Some(0));
        assert_eq!(moment(&[0xb2, 0x07, 1, 2, 0, 0, 1]).ok(), Some(MICROS_OF_DAY + 1_000_000));
        assert_eq!(moment(&[0xb2, 0x07, 1, 1, 0, 0, 0, 5, 0, 0, 0]).ok(), Some(5));
        assert_eq!(moment(&[]).ok(), Some(i64::MIN));
        assert_eq!(time(&[]).ok(), Some(0));
        assert_eq!(time(&[0, 0, 0, 0, 0, 23, 59, 59]).ok(), Some(MICROS_OF_DAY - 1_000_000));
        assert_eq!(time(&[1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]).ok(), Some(-MICROS_OF_DAY - 1));
        assert!(time(&[1, 1]).is_err() && date(&[1]).is_err());
        assert!(time(&[0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0]).is_err(), "so many days are no microseconds");
        assert!(
            behind_length(&[4, 0xb2, 7, 1, 1]).is_ok()
                && behind_length(&[4, 0]).is_err()
                && behind_length(&[]).is_err()
        );
    }
}
