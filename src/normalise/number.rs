//! Numbers of one type as numbers of another, by value and exactly or not at all.
//!
//! A float stands for the shortest decimal that reads back as it: that is what every text format writes for it, so a
//! `Float32` of a Parquet file and the `0.1` of a CSV file are one number. A float that is too long for that to be the
//! number which it holds (`2^60`, written 1152921504606847000) is neither, and fits no integer and no decimal.

use super::convert::{Conversion, map};
use super::{parse, shortest};
use crate::row::{Kind, exact_f64};
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};
use arrow::error::ArrowError;
use std::sync::Arc;

/// The powers of ten that a double holds exactly.
const EXACT_POWERS: usize = 23;

/// So many digits always survive the way through a double.
const FIFTEEN_DIGITS: u128 = 1_000_000_000_000_000;

/// The powers of ten in 128 bits, 10^0 to 10^38.
const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut exponent = 1;
    while exponent < 39 {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// A number array as the canonical array of a number kind.
pub(super) fn convert(array: &ArrayRef, kind: Kind) -> Result<Conversion, ArrowError> {
    fn whole<T: ArrowPrimitiveType<Native: Into<i128>>>(
        array: &ArrayRef,
        scale: i8,
        kind: Kind,
    ) -> Result<Conversion, ArrowError> {
        exact(array.as_primitive::<T>(), |value| Some((value.into(), scale)), kind)
    }
    match *array.data_type() {
        DataType::Int8 => whole::<Int8Type>(array, 0, kind),
        DataType::Int16 => whole::<Int16Type>(array, 0, kind),
        DataType::Int32 => whole::<Int32Type>(array, 0, kind),
        DataType::Int64 => whole::<Int64Type>(array, 0, kind),
        DataType::UInt8 => whole::<UInt8Type>(array, 0, kind),
        DataType::UInt16 => whole::<UInt16Type>(array, 0, kind),
        DataType::UInt32 => whole::<UInt32Type>(array, 0, kind),
        DataType::UInt64 => whole::<UInt64Type>(array, 0, kind),
        DataType::Decimal32(_, scale) => whole::<Decimal32Type>(array, scale, kind),
        DataType::Decimal64(_, scale) => whole::<Decimal64Type>(array, scale, kind),
        DataType::Decimal128(_, scale) => match kind {
            Kind::Decimal { scale: same } if same == scale => {
                let decimals = array.as_primitive::<Decimal128Type>().clone();
                Ok(Conversion::whole(Arc::new(decimals.with_precision_and_scale(38, scale)?)))
            }
            _ => whole::<Decimal128Type>(array, scale, kind),
        },
        DataType::Decimal256(_, scale) => {
            exact(array.as_primitive::<Decimal256Type>(), |value| narrow(value, scale), kind)
        }
        DataType::Float16 => float(array.as_primitive::<Float16Type>(), shortest::half, kind),
        DataType::Float32 => float(array.as_primitive::<Float32Type>(), shortest::single, kind),
        DataType::Float64 => float(array.as_primitive::<Float64Type>(), |value| value, kind),
        ref other => Err(ArrowError::CastError(format!("{other} is not a number"))),
    }
}

/// Integers and decimals: `unscaled × 10^-scale`.
fn exact<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    number: impl Fn(T::Native) -> Option<(i128, i8)>,
    kind: Kind,
) -> Result<Conversion, ArrowError> {
    of(
        array,
        |value| number(value).and_then(|(unscaled, from)| i64::try_from(rescale(unscaled, from.into(), 0)?).ok()),
        |value, scale| number(value).and_then(|(unscaled, from)| rescale(unscaled, from.into(), scale.into())),
        |value| number(value).and_then(|(unscaled, scale)| double(unscaled, scale.into())),
        kind,
    )
}

/// Floats, by the double that each stands for.
fn float<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    double: impl Fn(T::Native) -> f64,
    kind: Kind,
) -> Result<Conversion, ArrowError> {
    of(
        array,
        |value| i64::try_from(decimal_of(double(value), 0)?).ok(),
        |value, scale| decimal_of(double(value), scale),
        |value| Some(double(value)),
        kind,
    )
}

fn of<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    int: impl Fn(T::Native) -> Option<i64>,
    decimal: impl Fn(T::Native, i8) -> Option<i128>,
    float: impl Fn(T::Native) -> Option<f64>,
    kind: Kind,
) -> Result<Conversion, ArrowError> {
    let (array, failures): (ArrayRef, _) = match kind {
        Kind::Int => {
            let (array, failures) = map::<T, Int64Type>(array, int);
            (Arc::new(array), failures)
        }
        Kind::Decimal { scale } => {
            let (array, failures) = map::<T, Decimal128Type>(array, |value| decimal(value, scale));
            (Arc::new(array.with_precision_and_scale(38, scale)?), failures)
        }
        _ => {
            let (array, failures) = map::<T, Float64Type>(array, float);
            (Arc::new(array), failures)
        }
    };
    Ok(Conversion { array, failures })
}

/// `unscaled × 10^-from` as a multiple of `10^-to`, if it is one and has at most 38 digits.
pub(super) fn rescale(unscaled: i128, from: i32, to: i32) -> Option<i128> {
    let shift = to.checked_sub(from)?;
    let power = usize::try_from(shift.unsigned_abs()).ok().and_then(|shift| POWERS.get(shift));
    let scaled = match power {
        _ if shift == 0 || unscaled == 0 => unscaled,
        Some(power) if shift > 0 => unscaled.checked_mul(*power)?,
        Some(power) => divide(unscaled, *power)?,
        None => return None,
    };
    (scaled.unsigned_abs() < POWERS[38].unsigned_abs()).then_some(scaled)
}

/// Division without a remainder; in 64 bits where it can be, which is ten times faster.
fn divide(number: i128, by: i128) -> Option<i128> {
    match (i64::try_from(number), i64::try_from(by)) {
        (Ok(number), Ok(by)) => (number % by == 0).then(|| i128::from(number / by)),
        _ => (number % by == 0).then(|| number / by),
    }
}

/// The double that holds `unscaled × 10^-scale`, by the rule of [`exact_f64`].
pub(super) fn double(unscaled: i128, scale: i32) -> Option<f64> {
    match usize::try_from(scale) {
        // Both are held exactly, and a division is rounded once: the same double that parsing finds.
        Ok(places) if places < EXACT_POWERS && unscaled.unsigned_abs() < FIFTEEN_DIGITS => {
            Some(unscaled as f64 / POWERS[places] as f64)
        }
        _ => exact_f64(&format!("{unscaled}e{}", -scale)),
    }
}

/// `unscaled` of the decimal that a double stands for, if it fits this scale.
fn decimal_of(value: f64, scale: i8) -> Option<i128> {
    let places = usize::try_from(scale).ok()?;
    if places < EXACT_POWERS && value.abs() * (POWERS[places] as f64) < FIFTEEN_DIGITS as f64 {
        // At most fifteen digits: if this decimal reads back as the value, no other of so many does.
        let power = POWERS[places] as f64;
        let unscaled = (value * power).round();
        return (unscaled / power == value).then_some(unscaled as i128);
    }
    let unscaled = parse::decimal(&value.to_string(), scale)?;
    let ambiguous = value == value.trunc() && rescale(value as i128, 0, scale.into()) != Some(unscaled);
    (!ambiguous).then_some(unscaled)
}

/// A number of 256 bits in 128 bits, if only zeros at its end keep it from fitting.
fn narrow(mut unscaled: i256, mut scale: i8) -> Option<(i128, i8)> {
    let ten = i256::from_i128(10);
    loop {
        if let Some(narrow) = unscaled.to_i128() {
            return Some((narrow, scale));
        }
        let (shorter, rest) = unscaled.checked_div_rem(ten)?;
        if rest != i256::ZERO {
            return None;
        }
        unscaled = shorter;
        scale = scale.checked_sub(1)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_double_is_the_decimal_that_is_written_for_it() {
        for (value, scale, expected) in [
            (0.1, 1, Some(1)),
            (0.1 + 0.2, 1, None),
            (49.9, 2, Some(4990)),
            (-49.99, 2, Some(-4999)),
            (49.999, 2, None),
            (1e18, 0, Some(1_000_000_000_000_000_000)),
            // 2^60 is written 1152921504606847000: which of the two is meant, nobody knows.
            (1_152_921_504_606_846_976.0, 0, None),
            (9_007_199_254_740_994.0, 0, Some(9_007_199_254_740_994)),
            (1e300, 2, None),
            (f64::NAN, 2, None),
            (f64::INFINITY, 0, None),
            (-0.0, 2, Some(0)),
            (1e-30, 38, Some(100_000_000)),
        ] {
            assert_eq!(decimal_of(value, scale), expected, "{value} at scale {scale}");
        }
    }
}
