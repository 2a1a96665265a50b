//! Tuples to Arrow columns, on the threads of whoever takes the pieces.

use super::numeric::{Not, Numeric};
use super::types::{Cell, Column};
use crate::source::SourceError;
use crate::source::sql::tuples::{Garbled, Tuples};
use arrow::array::{
    ArrayRef, BooleanBuilder, Decimal128Builder, Decimal256Builder, PrimitiveBuilder, RecordBatch, RecordBatchOptions,
    StringViewBuilder,
};
use arrow::datatypes::{
    Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, SchemaRef, Time64MicrosecondType,
    TimestampMicrosecondType, UInt32Type,
};
use arrow::error::ArrowError;
use std::sync::Arc;

/// From 1970-01-01 to 2000-01-01, where Postgres begins to count.
const DAYS: i32 = 10_957;
const MICROS: i64 = DAYS as i64 * 86_400_000_000;

/// What makes batches of tuples.
pub(super) struct Decoder {
    schema: SchemaRef,
    cells: Vec<Cell>,
    /// Whether the fields are text, and not what Postgres's binary forms are.
    is_text: bool,
}

/// Why a field cannot be read.
enum Misread {
    Garbled,
    /// Its position, and what is wrong with it.
    Value(usize, Wrong),
    Arrow(ArrowError),
}

enum Wrong {
    /// Not the form of its type.
    Form,
    NotUtf8,
    /// A number that is none.
    NotANumber(&'static str),
}

impl From<Garbled> for Misread {
    fn from(_: Garbled) -> Self {
        Misread::Garbled
    }
}

impl Decoder {
    /// For tuples that have these columns of the extract, by position.
    pub(super) fn new(schema: &SchemaRef, columns: &[Column], kept: &[usize], is_text: bool) -> Self {
        let fields: Vec<_> = kept.iter().map(|&index| Arc::clone(&schema.fields()[index])).collect();
        let cells = kept.iter().map(|&index| columns[index].cell).collect();
        Decoder { schema: Arc::new(arrow::datatypes::Schema::new(fields)), cells, is_text }
    }

    /// A piece as one batch.
    ///
    /// # Errors
    /// A value that is not what the server has said that the column holds, or that has no place in it.
    pub(super) fn batch(&self, tuples: &Tuples) -> Result<RecordBatch, SourceError> {
        self.decode(tuples).map_err(|misread| match misread {
            Misread::Garbled => SourceError::new("what the server sent are not rows of the query's columns"),
            Misread::Arrow(error) => SourceError::new(format!("the rows cannot be read: {error}")),
            Misread::Value(column, wrong) => self.explain(column, &wrong),
        })
    }

    fn decode(&self, tuples: &Tuples) -> Result<RecordBatch, Misread> {
        let mut columns: Vec<Building> = self.cells.iter().map(|cell| Building::new(*cell, tuples.rows)).collect();
        let is_text = self.is_text;
        tuples.each(columns.len(), |_, field, value| {
            let column = &mut columns[field];
            let read = match value {
                None => {
                    column.null();
                    Ok(())
                }
                Some(text) if is_text => column.text(text),
                Some(bytes) => column.binary(bytes),
            };
            read.map_err(|wrong| Misread::Value(field, wrong))
        })?;
        let arrays =
            columns.into_iter().map(Building::finish).collect::<Result<Vec<_>, _>>().map_err(Misread::Arrow)?;
        let options = RecordBatchOptions::new().with_row_count(Some(tuples.rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options).map_err(Misread::Arrow)
    }

    fn explain(&self, column: usize, wrong: &Wrong) -> SourceError {
        let field = self.schema.field(column);
        let name = field.name();
        match wrong {
            Wrong::Form => SourceError::new(format!("column `{name}` has a value that is no {}", field.data_type()))
                .hint(format!("cast it in the query: \"{name}\"::text")),
            Wrong::NotUtf8 => SourceError::new(format!("column `{name}` has text that is not UTF-8"))
                .hint("mend the rows: the database's encoding (SQL_ASCII) does not check them"),
            Wrong::NotANumber(value) => {
                SourceError::new(format!("column `{name}` has the value {value}, which is no number"))
                    .hint(format!("send null instead, NULLIF(\"{name}\", '{value}'), or leave those rows out"))
            }
        }
    }
}

/// A column in the making.
enum Building {
    Bool(BooleanBuilder),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    Oid(PrimitiveBuilder<UInt32Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal(Decimal128Builder, u8, i8),
    WideDecimal(Decimal256Builder, u8, i8),
    Number(StringViewBuilder, String),
    Text(StringViewBuilder),
    Jsonb(StringViewBuilder),
    Uuid(StringViewBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>, bool),
}

/// Does the same with whichever builder it is.
macro_rules! with_builder {
    ($building:expr, $builder:ident => $what:expr) => {
        match $building {
            Building::Bool($builder) => $what,
            Building::Int16($builder) => $what,
            Building::Int32($builder) => $what,
            Building::Int64($builder) => $what,
            Building::Oid($builder) => $what,
            Building::Float32($builder) => $what,
            Building::Float64($builder) => $what,
            Building::Decimal($builder, _, _) => $what,
            Building::WideDecimal($builder, _, _) => $what,
            Building::Number($builder, _) => $what,
            Building::Text($builder) | Building::Jsonb($builder) | Building::Uuid($builder) => $what,
            Building::Date($builder) => $what,
            Building::Time($builder) => $what,
            Building::Timestamp($builder, _) => $what,
        }
    };
}

impl Building {
    fn new(cell: Cell, rows: usize) -> Self {
        let texts = || StringViewBuilder::with_capacity(rows);
        match cell {
            Cell::Bool => Building::Bool(BooleanBuilder::with_capacity(rows)),
            Cell::Int16 => Building::Int16(PrimitiveBuilder::with_capacity(rows)),
            Cell::Int32 => Building::Int32(PrimitiveBuilder::with_capacity(rows)),
            Cell::Int64 => Building::Int64(PrimitiveBuilder::with_capacity(rows)),
            Cell::Oid => Building::Oid(PrimitiveBuilder::with_capacity(rows)),
            Cell::Float32 => Building::Float32(PrimitiveBuilder::with_capacity(rows)),
            Cell::Float64 => Building::Float64(PrimitiveBuilder::with_capacity(rows)),
            Cell::Decimal { precision, scale } => {
                Building::Decimal(Decimal128Builder::with_capacity(rows), precision, scale)
            }
            Cell::WideDecimal { precision, scale } => {
                Building::WideDecimal(Decimal256Builder::with_capacity(rows), precision, scale)
            }
            Cell::Number => Building::Number(texts(), String::new()),
            Cell::Text | Cell::Json => Building::Text(texts()),
            Cell::Jsonb => Building::Jsonb(texts()),
            Cell::Uuid => Building::Uuid(texts()),
            Cell::Date => Building::Date(PrimitiveBuilder::with_capacity(rows)),
            Cell::Time => Building::Time(PrimitiveBuilder::with_capacity(rows)),
            Cell::Timestamp => Building::Timestamp(PrimitiveBuilder::with_capacity(rows), false),
            Cell::TimestampTz => Building::Timestamp(PrimitiveBuilder::with_capacity(rows), true),
        }
    }

    fn null(&mut self) {
        with_builder!(self, builder => builder.append_null());
    }

    /// A value in Postgres's binary form.
    fn binary(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
        match self {
            Building::Bool(builder) => builder.append_value(u8::from_be_bytes(fixed(bytes)?) != 0),
            Building::Int16(builder) => builder.append_value(i16::from_be_bytes(fixed(bytes)?)),
            Building::Int32(builder) => builder.append_value(i32::from_be_bytes(fixed(bytes)?)),
            Building::Int64(builder) => builder.append_value(i64::from_be_bytes(fixed(bytes)?)),
            Building::Oid(builder) => builder.append_value(u32::from_be_bytes(fixed(bytes)?)),
            Building::Float32(builder) => builder.append_value(f32::from_be_bytes(fixed(bytes)?)),
            Building::Float64(builder) => builder.append_value(f64::from_be_bytes(fixed(bytes)?)),
            Building::Decimal(builder, _, scale) => {
                builder.append_value(number(bytes)?.unscaled(*scale).ok_or(Wrong::Form)?);
            }
            Building::WideDecimal(builder, _, scale) => {
                builder.append_value(number(bytes)?.unscaled_wide(*scale).ok_or(Wrong::Form)?);
            }
            Building::Number(builder, text) => {
                text.clear();
                // What is no number of JSON is rejected with its row, as any value that does not fit its column.
                match Numeric::read(bytes) {
                    Ok(number) => number.write(text),
                    Err(Not::Number(name)) => text.push_str(name),
                    Err(Not::Garbled) => return Err(Wrong::Form),
                }
                builder.append_value(&*text);
            }
            Building::Text(builder) => builder.append_value(utf8(bytes)?),
            Building::Jsonb(builder) => match bytes {
                [1, json @ ..] => builder.append_value(utf8(json)?),
                _ => return Err(Wrong::Form),
            },
            Building::Uuid(builder) => builder.append_value(uuid(fixed(bytes)?)),
            // Infinity is the largest number there is: it stays what no calendar has.
            Building::Date(builder) => builder.append_value(i32::from_be_bytes(fixed(bytes)?).saturating_add(DAYS)),
            Building::Time(builder) => builder.append_value(i64::from_be_bytes(fixed(bytes)?)),
            Building::Timestamp(builder, _) => {
                builder.append_value(match i64::from_be_bytes(fixed(bytes)?) {
                    past @ i64::MIN => past,
                    micros => micros.saturating_add(MICROS),
                });
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Building::Decimal(mut builder, precision, scale) => {
                Arc::new(builder.finish().with_precision_and_scale(precision, scale)?)
            }
            Building::WideDecimal(mut builder, precision, scale) => {
                Arc::new(builder.finish().with_precision_and_scale(precision, scale)?)
            }
            Building::Timestamp(mut builder, true) => Arc::new(builder.finish().with_timezone("UTC")),
            mut other => with_builder!(&mut other, builder => Arc::new(builder.finish()) as ArrayRef),
        })
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Wrong> {
    bytes.try_into().map_err(|_| Wrong::Form)
}

fn utf8(bytes: &[u8]) -> Result<&str, Wrong> {
    std::str::from_utf8(bytes).map_err(|_| Wrong::NotUtf8)
}

fn number(bytes: &[u8]) -> Result<Numeric<'_>, Wrong> {
    Numeric::read(bytes).map_err(|not| match not {
        Not::Garbled => Wrong::Form,
        Not::Number(name) => Wrong::NotANumber(name),
    })
}

/// `6ba7b810-9dad-11d1-80b4-00c04fd430c8`
fn uuid(bytes: [u8; 16]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text
}

mod text {
    //! The same from text, as servers write it that only speak the protocol (ISO dates, UTC).

    use super::{Building, Wrong, utf8};
    use chrono::{NaiveDate, NaiveTime, Timelike};
    use std::str::FromStr;

    impl Building {
        pub(super) fn text(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
            let text = utf8(bytes)?;
            match self {
                Building::Bool(builder) => match text {
                    "t" | "true" => builder.append_value(true),
                    "f" | "false" => builder.append_value(false),
                    _ => return Err(Wrong::Form),
                },
                Building::Int16(builder) => builder.append_value(parsed(text)?),
                Building::Int32(builder) => builder.append_value(parsed(text)?),
                Building::Int64(builder) => builder.append_value(parsed(text)?),
                Building::Oid(builder) => builder.append_value(parsed(text)?),
                Building::Float32(builder) => builder.append_value(parsed(text)?),
                Building::Float64(builder) => builder.append_value(parsed(text)?),
                // Where rows come as text, no scale is known, and a numeric is a number of JSON.
                Building::Decimal(..) | Building::WideDecimal(..) => return Err(Wrong::Form),
                Building::Number(builder, _)
                | Building::Text(builder)
                | Building::Jsonb(builder)
                | Building::Uuid(builder) => builder.append_value(text),
                Building::Date(builder) => builder.append_value(date(text)?),
                Building::Time(builder) => builder.append_value(time(text)?),
                Building::Timestamp(builder, zoned) => builder.append_value(instant(text, *zoned)?),
            }
            Ok(())
        }
    }

    fn parsed<T: FromStr>(text: &str) -> Result<T, Wrong> {
        text.parse().map_err(|_| Wrong::Form)
    }

    pub(super) fn date(text: &str) -> Result<i32, Wrong> {
        match text {
            "infinity" => Ok(i32::MAX),
            "-infinity" => Ok(i32::MIN),
            _ => {
                let (text, era) = era(text);
                let days = days(text, era)?;
                // What no calendar has is rejected with its row, as it is where dates are binary.
                Ok(days.map_or(i32::MAX, |days| i32::try_from(days).unwrap_or(i32::MAX)))
            }
        }
    }

    /// Before the year 1 or after it.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Era {
        Bc,
        Ad,
    }

    fn era(text: &str) -> (&str, Era) {
        text.strip_suffix(" BC").map_or((text, Era::Ad), |text| (text, Era::Bc))
    }

    /// Days since 1970 of `2026-11-27` or `10000-01-01`; `None`: farther away than the calendar reaches.
    fn days(text: &str, era: Era) -> Result<Option<i64>, Wrong> {
        let mut parts = text.split('-');
        let mut part = |digits: std::ops::RangeInclusive<usize>| {
            let part = parts.next().filter(|part| digits.contains(&part.len())).ok_or(Wrong::Form)?;
            parsed::<u32>(part)
        };
        let (year, month, day) = (part(4..=7)?, part(2..=2)?, part(2..=2)?);
        if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(Wrong::Form);
        }
        let year = i32::try_from(year).map_err(|_| Wrong::Form)?;
        // The year before the year 1 is 1 BC.
        let year = if era == Era::Bc { 1 - year } else { year };
        let date = NaiveDate::from_ymd_opt(year, month, day);
        Ok(date.map(|date| date.signed_duration_since(NaiveDate::default()).num_days()))
    }

    pub(super) fn time(text: &str) -> Result<i64, Wrong> {
        // The end of a day is a time of Postgres.
        if text.starts_with("24:00:00") {
            return Ok(86_400_000_000);
        }
        let time = NaiveTime::parse_from_str(text, "%H:%M:%S%.f").map_err(|_| Wrong::Form)?;
        Ok(i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1000))
    }

    pub(super) fn instant(text: &str, zoned: bool) -> Result<i64, Wrong> {
        if matches!(text, "infinity" | "-infinity") {
            return Ok(if text.starts_with('-') { i64::MIN } else { i64::MAX });
        }
        let (text, era) = era(text);
        let (date, clock) = text.split_once(' ').ok_or(Wrong::Form)?;
        let (clock, offset) = match zoned {
            true => {
                let at = clock.rfind(['+', '-']).ok_or(Wrong::Form)?;
                (&clock[..at], offset(&clock[at..])?)
            }
            false => (clock, 0),
        };
        let Some(days) = days(date, era)? else { return Ok(i64::MAX) };
        let of_day = time(clock)?;
        let micros = days.checked_mul(86_400_000_000).and_then(|micros| micros.checked_add(of_day));
        Ok(micros.and_then(|micros| micros.checked_sub(offset)).unwrap_or(i64::MAX))
    }

    /// Microseconds of `+01`, `-03:30`, `+00:19:32`.
    fn offset(text: &str) -> Result<i64, Wrong> {
        let (sign, rest) = text.split_at(1);
        let mut seconds = 0;
        for (part, unit) in rest.split(':').zip([3600, 60, 1]) {
            seconds += parsed::<i64>(part)? * unit;
        }
        Ok(if sign == "-" { -seconds } else { seconds } * 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn dates_that_few_calendars_have_are_read_from_text_as_from_binary() {
        const DAY: i64 = 86_400_000_000;
        for (written, days) in [
            ("1970-01-01", 0),
            ("2026-11-27", 20_784),
            ("0001-01-01", -719_162),
            ("0001-12-31 BC", -719_163),
            ("0044-03-15 BC", -735_160),
            ("10000-01-01", 2_932_897),
        ] {
            assert_eq!(text::date(written).ok(), Some(days), "{written}");
            let (date, era) = written.split_once(' ').map_or((written, ""), |(date, _)| (date, " BC"));
            let instant = text::instant(&format!("{date} 00:00:01.5{era}"), false).ok();
            assert_eq!(instant, Some(i64::from(days) * DAY + 1_500_000), "{written}");
            let zoned = text::instant(&format!("{date} 01:00:00-03:30{era}"), true).ok();
            assert_eq!(zoned, Some(i64::from(days) * DAY + 16_200_000_000), "{written}");
        }
        assert_eq!(text::date("5874897-12-31").ok(), Some(i32::MAX));
        assert_eq!((text::date("infinity").ok(), text::date("-infinity").ok()), (Some(i32::MAX), Some(i32::MIN)));
        assert_eq!(text::instant("294276-12-31 23:59:59", false).ok(), Some(i64::MAX), "farther than the calendar");
        assert_eq!(text::instant("1892-01-01 00:19:32+00:19:32", true).ok(), Some(-28_489 * DAY));
        assert_eq!(text::time("24:00:00").ok(), Some(DAY));
        for wrong in ["", "2026", "2026-13-01", "2026-1-1", "20261127", "2026-11-27x", "2026-11-27-1", "BC"] {
            assert!(text::date(wrong).is_err(), "{wrong}");
            assert!(text::instant(&format!("{wrong} 00:00:00"), false).is_err(), "{wrong}");
        }
        for wrong in ["2026-11-27", "2026-11-27 25:00:00", "2026-11-27 00:00:00", "2026-11-27 00:00:00+x"] {
            assert!(text::instant(wrong, true).is_err(), "{wrong}");
        }
    }
}
