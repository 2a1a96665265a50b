//! Floats of fewer bits as the double of the shortest decimal that reads back as them: `0.1`, and not
//! `0.10000000149011612`, which no text format writes for the `Float32` that is called 0.1.

use arrow::datatypes::{ArrowPrimitiveType, Float16Type};
use std::fmt::Write;

type Half = <Float16Type as ArrowPrimitiveType>::Native;

/// The double of the shortest decimal that reads back as this float.
pub(super) fn single(value: f32) -> f64 {
    // Up to 2^24 all whole numbers are their own shortest decimal.
    if !value.is_finite() || (value == value.trunc() && value.abs() < 16_777_216.0) {
        return f64::from(value);
    }
    let mut digits = Digits::default();
    let written = write!(digits, "{value:e}").is_ok();
    digits.number().filter(|_| written).unwrap_or(f64::from(value))
}

/// As [`single`]. The type's own text is that of the single-precision float, which has too many digits.
pub(super) fn half(value: Half) -> f64 {
    let exact = value.to_f64();
    if !exact.is_finite() || exact == exact.trunc() {
        return exact;
    }
    let reads_back = |n: &f64| Half::from_f64(*n) == value;
    let with_digits = |places: usize| {
        let mut digits = Digits::default();
        write!(digits, "{exact:.places$e}").ok().and_then(|()| digits.number())
    };
    (0..5).filter_map(with_digits).find(reads_back).unwrap_or(exact)
}

/// A short text without an allocation.
#[derive(Default)]
struct Digits {
    bytes: [u8; 32],
    len: usize,
}

impl Digits {
    fn number(&self) -> Option<f64> {
        std::str::from_utf8(&self.bytes[..self.len]).ok()?.parse().ok()
    }
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_floats_are_the_shortest_decimal() {
        for value in [0.1, -2.5, 1e-10, 3.4e38, 16_777_216.0, 123.456, 1e-45] {
            let written = format!("{value}");
            assert_eq!(single(written.parse().unwrap()), value, "{value}");
        }
        let half_of = |value: f64| half(Half::from_f64(value));
        for value in [0.1, 0.3, 1.5, -0.001, 3.25, 2048.0, 6e-8] {
            assert_eq!(half_of(value), value);
        }
        assert!(single(f32::NAN).is_nan() && half_of(f64::NAN).is_nan());
    }
}
