//! The definition of equality, value by value. Nothing fast stands on it; everything fast is tested against it.

use super::{Form, Measure};
use crate::row::{Number, Value};
use chrono::Timelike;

/// Whether two values of a column are the same under its form, tolerance aside.
///
/// Numbers by number, whatever their kinds (1 = 1.0 = 1.00; a double is the number of [`Number::from_f64`]; -0 = 0,
/// NaN = NaN), instants at microseconds, JSON by its canonical text, text byte for byte. NULL is only NULL.
pub fn equal(a: Value<'_>, b: Value<'_>, form: &Form) -> bool {
    if let (Some(a), Some(b)) = (measure(a), measure(b)) {
        return form.measure(a) == form.measure(b);
    }
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Text(a), Value::Text(b)) => form.text(a) == form.text(b),
        (Value::Json(a), Value::Json(b)) => a == b,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Date(a), Value::Date(b)) => a == b,
        (Value::Time(a), Value::Time(b)) => time_micros(a) == time_micros(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.timestamp_micros() == b.timestamp_micros(),
        (Value::LocalTimestamp(a), Value::LocalTimestamp(b)) => {
            a.and_utc().timestamp_micros() == b.and_utc().timestamp_micros()
        }
        _ => false,
    }
}

/// Whether two values are [`equal`], or numbers that are at most the form's tolerance apart. Not transitive: ask it of
/// tonight's value and of the value that the destination is known to have, never along a chain of nights.
pub fn within(a: Value<'_>, b: Value<'_>, form: &Form) -> bool {
    if equal(a, b, form) {
        return true;
    }
    match (form.tolerance, measure(a), measure(b)) {
        (Some(tolerance), Some(Measure::Number(a)), Some(Measure::Number(b))) => a.is_within(b, tolerance),
        _ => false,
    }
}

fn time_micros(time: chrono::NaiveTime) -> (u32, u32) {
    (time.num_seconds_from_midnight(), time.nanosecond() / 1000)
}

/// What a number of any kind measures; `None` for what is no number.
fn measure(value: Value<'_>) -> Option<Measure> {
    match value {
        Value::Int(value) => Some(Measure::Number(Number::from(value))),
        Value::Decimal { unscaled, scale } => Some(Measure::Number(Number::new(unscaled, i16::from(scale)))),
        Value::Float(value) => Some(Measure::of_f64(value)),
        _ => None,
    }
}
