//! Numbers as bytes: one form for a number, whatever kind of column it comes from. The length tells the forms apart: 8 and
//! 16 bytes are integers, 10 and 18 others, 11 and 19 bins of their own, 1 what is no number.
//!
//! Each function hands the bytes to `then` as an array of known length, so that a hash is compiled for just that.

use crate::row::Number;
use crate::row::form::Measure;

pub(super) fn integer<R>(value: i64, then: impl FnOnce(&[u8]) -> R) -> R {
    then(&value.to_le_bytes())
}

pub(super) fn wide_integer<R>(value: i128, then: impl FnOnce(&[u8]) -> R) -> R {
    match i64::try_from(value) {
        Ok(value) => integer(value, then),
        Err(_) => then(&value.to_le_bytes()),
    }
}

/// `unscaled × 10^-scale`. Most decimals fit into 64 bits, where dividing by ten is a multiplication.
pub(super) fn decimal<R>(unscaled: i128, scale: i8, then: impl FnOnce(&[u8]) -> R) -> R {
    let Ok(mut small) = i64::try_from(unscaled) else {
        return number(Number::new(unscaled, i16::from(scale)), then);
    };
    if scale < 0 {
        return number(Number::new(unscaled, i16::from(scale)), then);
    }
    let mut places = scale;
    while places > 0 && small % 10 == 0 {
        small /= 10;
        places -= 1;
    }
    // Zero ends here too: it can be divided as often as there are places.
    if places == 0 { integer(small, then) } else { fraction(i128::from(small), i16::from(places), then) }
}

pub(super) fn float<R>(value: f64, then: impl FnOnce(&[u8]) -> R) -> R {
    // A cast and not `trunc`, which is a call of a library on the plainest x86-64. It ends at the largest integer, which
    // is no double itself.
    let whole = value as i64;
    if whole as f64 == value && whole != i64::MAX {
        return integer(whole, then);
    }
    measure(Measure::of_f64(value), then)
}

pub(super) fn measure<R>(measure: Measure, then: impl FnOnce(&[u8]) -> R) -> R {
    match measure {
        Measure::Number(value) => number(value, then),
        Measure::Beyond(value) => beyond(value, then),
        Measure::NotANumber => then(&[0]),
        Measure::Infinity => then(&[1]),
        Measure::MinusInfinity => then(&[2]),
    }
}

fn number<R>(value: Number, then: impl FnOnce(&[u8]) -> R) -> R {
    match value.to_integer() {
        Some(integer) => wide_integer(integer, then),
        None => fraction(value.unscaled(), value.scale(), then),
    }
}

/// A number without zeros at its end that is no integer of 128 bits.
fn fraction<R>(unscaled: i128, scale: i16, then: impl FnOnce(&[u8]) -> R) -> R {
    match i64::try_from(unscaled) {
        Ok(unscaled) => {
            let mut bytes = [0; 10];
            bytes[..8].copy_from_slice(&unscaled.to_le_bytes());
            bytes[8..].copy_from_slice(&scale.to_le_bytes());
            then(&bytes)
        }
        Err(_) => {
            let mut bytes = [0; 18];
            bytes[..16].copy_from_slice(&unscaled.to_le_bytes());
            bytes[16..].copy_from_slice(&scale.to_le_bytes());
            then(&bytes)
        }
    }
}

fn beyond<R>(value: Number, then: impl FnOnce(&[u8]) -> R) -> R {
    fraction(value.unscaled(), value.scale(), |bytes| {
        let mut longer = [0; 19];
        longer[..bytes.len()].copy_from_slice(bytes);
        then(&longer[..=bytes.len()])
    })
}
