//! Dates, times and instants of any unit, in days and microseconds.
//!
//! What is finer than a microsecond is cut off towards the past (floor), before 1970 too: Arrow's own cast goes towards
//! zero there, and one instant would have two values, depending on how it came.

use super::convert::{Conversion, map};
use crate::row::Kind;
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow::error::ArrowError;
use chrono::{DateTime, NaiveDate, Utc};
use std::ops::RangeInclusive;
use std::sync::Arc;

const MICROS_OF_DAY: i64 = 86_400_000_000;
const MILLIS_OF_DAY: i64 = 86_400_000;

/// A day or time array as the canonical array of its own kind.
pub(super) fn convert(array: &ArrayRef, kind: Kind) -> Result<Conversion, ArrowError> {
    let (times, instants) = (times(), instants());
    match array.data_type() {
        DataType::Date64 => {
            let days = |millis: i64| match millis.rem_euclid(MILLIS_OF_DAY) {
                0 => i32::try_from(millis.div_euclid(MILLIS_OF_DAY)).ok().filter(|day| days().contains(day)),
                // Not a day at all: the format allows whole days only.
                _ => None,
            };
            let (array, failures) = map::<Date64Type, Date32Type>(array.as_primitive(), days);
            Ok(Conversion { array: Arc::new(array), failures })
        }
        DataType::Time32(TimeUnit::Second) => Ok(micros::<Time32SecondType, _>(array, in_seconds, &times)),
        DataType::Time32(_) => Ok(micros::<Time32MillisecondType, _>(array, in_millis, &times)),
        DataType::Time64(TimeUnit::Nanosecond) => Ok(micros::<Time64NanosecondType, _>(array, in_nanos, &times)),
        DataType::Timestamp(unit, _) => {
            let converted = match unit {
                TimeUnit::Second => instant::<TimestampSecondType>(array, in_seconds, &instants),
                TimeUnit::Millisecond => instant::<TimestampMillisecondType>(array, in_millis, &instants),
                TimeUnit::Nanosecond => instant::<TimestampNanosecondType>(array, in_nanos, &instants),
                TimeUnit::Microsecond => in_calendar(array, kind),
            };
            let micros = converted.array.as_primitive::<TimestampMicrosecondType>().clone();
            let zone = (kind == Kind::Timestamp).then_some("UTC");
            Ok(Conversion { array: Arc::new(micros.with_timezone_opt(zone)), failures: converted.failures })
        }
        other => Err(ArrowError::CastError(format!("{other} is not a date or time"))),
    }
}

/// Dates and instants that no calendar text can be written for (Postgres' `infinity`, a damaged file) are failures: as
/// `null` they would clear the value at the destination.
pub(super) fn in_calendar(array: &ArrayRef, kind: Kind) -> Conversion {
    match kind {
        Kind::Date => within::<Date32Type>(array, &days()),
        Kind::Time => within::<Time64MicrosecondType>(array, &times()),
        Kind::Timestamp | Kind::LocalTimestamp => within::<TimestampMicrosecondType>(array, &instants()),
        _ => Conversion::whole(Arc::clone(array)),
    }
}

fn within<T: ArrowPrimitiveType<Native: PartialOrd>>(
    array: &ArrayRef,
    range: &RangeInclusive<T::Native>,
) -> Conversion {
    let values = array.as_primitive::<T>();
    // Without a way out of the loop it runs in vectors. What stands under a NULL may send it to the slow way, no more.
    if values.values().iter().fold(true, |all, value| all & range.contains(value)) {
        return Conversion::whole(Arc::clone(array));
    }
    let (kept, failures) = map::<T, T>(values, |value| range.contains(&value).then_some(value));
    if failures.is_empty() {
        return Conversion::whole(Arc::clone(array));
    }
    Conversion { array: Arc::new(kept.with_data_type(array.data_type().clone())), failures }
}

fn micros<T, N>(array: &ArrayRef, in_micros: impl Fn(i64) -> Option<i64>, range: &RangeInclusive<i64>) -> Conversion
where
    T: ArrowPrimitiveType<Native = N>,
    N: Into<i64>,
{
    let of = |value: N| in_micros(value.into()).filter(|micros| range.contains(micros));
    let (array, failures): (PrimitiveArray<Time64MicrosecondType>, _) = map(array.as_primitive::<T>(), of);
    Conversion { array: Arc::new(array), failures }
}

fn instant<T: ArrowPrimitiveType<Native = i64>>(
    array: &ArrayRef,
    in_micros: impl Fn(i64) -> Option<i64>,
    range: &RangeInclusive<i64>,
) -> Conversion {
    let of = |value| in_micros(value).filter(|micros| range.contains(micros));
    let (array, failures): (PrimitiveArray<TimestampMicrosecondType>, _) = map(array.as_primitive::<T>(), of);
    Conversion { array: Arc::new(array), failures }
}

fn in_seconds(value: i64) -> Option<i64> {
    value.checked_mul(1_000_000)
}

fn in_millis(value: i64) -> Option<i64> {
    value.checked_mul(1_000)
}

fn in_nanos(value: i64) -> Option<i64> {
    Some(value.div_euclid(1_000))
}

fn times() -> RangeInclusive<i64> {
    0..=MICROS_OF_DAY - 1
}

/// The instants that chrono knows, and with it [`Value`](crate::row::Value).
fn instants() -> RangeInclusive<i64> {
    DateTime::<Utc>::MIN_UTC.timestamp_micros()..=DateTime::<Utc>::MAX_UTC.timestamp_micros()
}

fn days() -> RangeInclusive<i32> {
    let day = |date: NaiveDate| date.signed_duration_since(NaiveDate::default()).num_days();
    let bounded = |days: i64| i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX });
    bounded(day(NaiveDate::MIN))..=bounded(day(NaiveDate::MAX))
}
