//! The binary form of `numeric`: digits to the base 10,000.
//!
//! 16 bits each: how many digits, the weight of the first (the power of 10,000 that it counts), the sign, the decimal places
//! that are shown, then the digits.

use arrow::datatypes::i256;
use std::fmt::Write;

/// A number as it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numeric<'b> {
    digits: &'b [u8],
    weight: i32,
    negative: bool,
    places: usize,
}

/// What is no number with digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Not {
    /// Not a number of this form.
    Garbled,
    /// `NaN`, `Infinity` or `-Infinity`.
    Number(&'static str),
}

impl<'b> Numeric<'b> {
    /// Reads the head.
    pub(super) fn read(bytes: &'b [u8]) -> Result<Self, Not> {
        let (head, digits) = bytes.split_first_chunk::<8>().ok_or(Not::Garbled)?;
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let negative = match word(4) {
            0x0000 => false,
            0x4000 => true,
            0xC000 => return Err(Not::Number("NaN")),
            0xD000 => return Err(Not::Number("Infinity")),
            0xF000 => return Err(Not::Number("-Infinity")),
            _ => return Err(Not::Garbled),
        };
        if digits.len() != usize::from(word(0)) * 2 {
            return Err(Not::Garbled);
        }
        let weight = i32::from(word(2) as i16);
        Ok(Numeric { digits, weight, negative, places: usize::from(word(6)) })
    }

    fn digits(&self) -> impl ExactSizeIterator<Item = u16> + 'b {
        self.digits.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// How many zeros are to be added (or, below zero, taken away) at this scale behind all digits.
    fn shift(&self, scale: i8) -> i32 {
        4 * (self.weight + 1 - self.digits().len() as i32) + i32::from(scale)
    }

    /// `self × 10^scale`, if that is whole and fits.
    pub(super) fn unscaled(&self, scale: i8) -> Option<i128> {
        // 18 digits are enough for nearly all numbers there are, and 64 bits are several times quicker.
        if self.digits.len() <= 8 {
            let small = self.digits().fold(0i64, |sum, digit| sum * 10_000 + i64::from(digit));
            let shift = self.shift(scale);
            let power = 10i64.checked_pow(shift.unsigned_abs());
            let scaled = match power {
                _ if small == 0 => Some(0),
                Some(power) if shift >= 0 => small.checked_mul(power),
                Some(power) if small % power == 0 => Some(small / power),
                _ => None,
            };
            if let Some(scaled) = scaled {
                return Some(i128::from(if self.negative { -scaled } else { scaled }));
            }
        }
        self.unscaled_wide(scale)?.to_i128()
    }

    /// The same in 256 bits.
    pub(super) fn unscaled_wide(&self, scale: i8) -> Option<i256> {
        let (mut sum, mut shift) = (i256::ZERO, self.shift(scale));
        let last = self.digits().len().saturating_sub(1);
        for (index, digit) in self.digits().enumerate() {
            // Of the last digit only what the scale has is taken, so that zeros behind it need no room.
            let (digit, base) = match index == last && (-3..0).contains(&shift) {
                true => {
                    let power = 10i32.pow(shift.unsigned_abs());
                    let digit = i32::from(digit);
                    shift = 0;
                    (digit.checked_rem(power).filter(|rest| *rest == 0).map(|_| digit / power)?, 10_000 / power)
                }
                false => (i32::from(digit), 10_000),
            };
            sum = sum.checked_mul(i256::from(base))?.checked_add(i256::from(digit))?;
        }
        let ten = i256::from(10);
        let scaled = match shift {
            0 => sum,
            _ if sum == i256::ZERO => sum,
            1.. => sum.checked_mul(ten.checked_pow(shift.unsigned_abs())?)?,
            _ => {
                let (quotient, rest) = sum.checked_div_rem(ten.checked_pow(shift.unsigned_abs())?)?;
                (rest == i256::ZERO).then_some(quotient)?
            }
        };
        Some(if self.negative { scaled.checked_neg()? } else { scaled })
    }

    /// As Postgres writes it, which is a number of JSON too.
    pub(super) fn write(&self, out: &mut String) {
        if self.negative {
            out.push('-');
        }
        let digit = |power: i32| {
            let index = usize::try_from(self.weight - power).ok();
            index.and_then(|index| self.digits().nth(index)).unwrap_or(0)
        };
        let first = self.weight.max(0);
        for power in (0..=first).rev() {
            // Writing to a string does not fail.
            let _ = if power == first { write!(out, "{}", digit(power)) } else { write!(out, "{:04}", digit(power)) };
        }
        if self.places > 0 {
            out.push('.');
            let end = out.len() + self.places;
            let mut power = -1;
            while out.len() < end {
                let _ = write!(out, "{:04}", digit(power));
                power -= 1;
            }
            out.truncate(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bytes that Postgres has for a decimal text.
    fn bytes(text: &str) -> Vec<u8> {
        let (sign, text) = text.strip_prefix('-').map_or((0u16, text), |rest| (0x4000, rest));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let left = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
        let right = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
        let all = format!("{left}{right}");
        let mut digits: Vec<u16> =
            all.as_bytes().chunks(4).map(|c| std::str::from_utf8(c).unwrap().parse().unwrap()).collect();
        let mut weight = (left.len() / 4) as i16 - 1;
        while digits.last() == Some(&0) {
            digits.pop();
        }
        while digits.first() == Some(&0) {
            digits.remove(0);
            weight -= 1;
        }
        if digits.is_empty() {
            weight = 0;
        }
        let head = [digits.len() as u16, weight as u16, sign, fraction.len() as u16];
        head.into_iter().chain(digits).flat_map(u16::to_be_bytes).collect()
    }

    #[test]
    fn numbers_are_read_exactly() {
        for (text, scale, expected) in [
            ("0", 0, Some(0)),
            ("0.00", 2, Some(0)),
            ("49.90", 2, Some(4990)),
            ("-49.9", 4, Some(-499_000)),
            ("0.0001", 4, Some(1)),
            ("0.0001", 3, None),
            ("12345678901234567890.12", 2, Some(1_234_567_890_123_456_789_012)),
            ("99999999999999999999999999999999999999", 0, Some(10i128.pow(38) - 1)),
            ("0.99999999999999999999999999999999999999", 38, Some(10i128.pow(38) - 1)),
            ("10000000000000000000000000000000000000000", 0, None),
            ("30000", 0, Some(30_000)),
            ("0.5", 1, Some(5)),
        ] {
            let bytes = bytes(text);
            let number = Numeric::read(&bytes).unwrap();
            assert_eq!(number.unscaled(scale), expected, "{text} at {scale}");
            let mut written = String::new();
            number.write(&mut written);
            assert_eq!(written, text);
        }
        let nines = "9".repeat(76);
        assert_eq!(Numeric::read(&bytes(&nines)).unwrap().unscaled_wide(0).unwrap().to_string(), nines);
        let shifted = format!("{}.{}", "9".repeat(38), "9".repeat(38));
        assert_eq!(Numeric::read(&bytes(&shifted)).unwrap().unscaled_wide(38).unwrap().to_string(), nines);
    }

    #[test]
    fn what_is_no_number_is_named() {
        let of = |sign: u16| [0u16, 0, sign, 0].into_iter().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        assert_eq!(Numeric::read(&of(0xC000)).unwrap_err(), Not::Number("NaN"));
        assert_eq!(Numeric::read(&of(0xF000)).unwrap_err(), Not::Number("-Infinity"));
        assert_eq!(Numeric::read(&of(0x1234)).unwrap_err(), Not::Garbled);
        assert_eq!(Numeric::read(&of(0)[..7]).unwrap_err(), Not::Garbled);
    }

    proptest! {
        #[test]
        fn text_and_decimals_agree(unscaled in -(10i128.pow(38) - 1)..10i128.pow(38), scale in 0i8..=38) {
            let digits = format!("{:0>1$}", unscaled.unsigned_abs(), scale as usize + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
            let sign = if unscaled < 0 { "-" } else { "" };
            let text = if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
            let bytes = bytes(&text);
            let number = Numeric::read(&bytes).unwrap();
            let mut written = String::new();
            number.write(&mut written);
            prop_assert_eq!(&written, &text);
            prop_assert_eq!(number.unscaled(scale), Some(unscaled));
            prop_assert_eq!(number.unscaled_wide(scale).and_then(i256::to_i128), Some(unscaled));
        }
    }
}
