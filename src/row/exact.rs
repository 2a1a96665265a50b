//! Exact decimal numbers: what `1`, `1.00` and the double `1.0` have in common.

use super::number::Decimal;
use arrow::datatypes::i256;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// `unscaled × 10^-scale`, without zeros at the end of `unscaled` (so `scale` is below 0 for 1200), zero as 0 × 10^0: two
/// numbers are equal exactly if their parts are. Written as text, `"0.05"`, wherever it is serialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Number {
    unscaled: i128,
    scale: i16,
}

/// Exponents beyond this are not read; a double has none beyond 324.
const EXPONENTS: i64 = 1000;

/// All integers up to here are doubles, and so is their quotient by a power of ten, correctly rounded.
const FIFTEEN_DIGITS: f64 = 1e15;

/// -(2^127), the least 128-bit integer.
const LEAST_I128: f64 = i128::MIN as f64;

impl Number {
    /// Zero.
    pub const ZERO: Number = Number { unscaled: 0, scale: 0 };

    /// `unscaled × 10^-scale`
    pub fn new(mut unscaled: i128, mut scale: i16) -> Self {
        if unscaled == 0 {
            return Number::ZERO;
        }
        // Division of 64 bits is several times cheaper, and nearly every number of an extract fits.
        if let Ok(mut small) = i64::try_from(unscaled) {
            while small % 10 == 0 {
                small /= 10;
                scale = scale.saturating_sub(1);
            }
            return Number { unscaled: i128::from(small), scale };
        }
        while unscaled % 10 == 0 {
            unscaled /= 10;
            scale = scale.saturating_sub(1);
        }
        Number { unscaled, scale }
    }

    /// The number that a double stands for; `None` for NaN and the infinities.
    ///
    /// A whole double (below 2^127) is that integer, exactly. Any other is the number that its shortest decimal text
    /// spells: 0.1 is a tenth and not 0.1000000000000000055…, since a tenth is what somebody wrote. Where the double lies
    /// right between two such texts it is the one with the even last digit, which is also the one that is sent.
    pub fn from_f64(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        if value == value.trunc() && value.abs() < -LEAST_I128 {
            return Some(Number::new(value as i128, 0));
        }
        // A decimal of at most 15 digits that reads back as this double is its shortest text: no two such decimals share
        // a double. The quotient of two integers below 2^53 is rounded correctly, as reading the text would be.
        for (places, power) in [(2, 1e2), (6, 1e6)] {
            // A cast and not `round`, which is a call of a library on the plainest x86-64.
            let shifted = value * power;
            let whole = (shifted + 0.5f64.copysign(shifted)) as i64;
            if shifted.abs() < FIFTEEN_DIGITS && whole as f64 / power == value {
                return Some(Number::new(i128::from(whole), places));
            }
        }
        Number::read(zmij::Buffer::new().format_finite(value))
    }

    /// Reads the text of a double, which has at most 17 digits, without an allocation.
    fn read(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once('e') {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
            None => (text, 0),
        };
        let (mut unscaled, mut places, mut after_point) = (0i64, 0i16, false);
        for byte in mantissa.bytes() {
            match byte {
                b'0'..=b'9' => {
                    unscaled = unscaled.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
                    places += i16::from(after_point);
                }
                b'.' => after_point = true,
                b'-' => {}
                _ => return None,
            }
        }
        let signed = if mantissa.starts_with('-') { -unscaled } else { unscaled };
        Some(Number::new(i128::from(signed), places - exponent))
    }

    /// Reads a literal such as `-12.50` or `1e-3`; `None` if it is no number, or has more than 38 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits, exponent) = Decimal::parse(text)?.into_parts();
        if digits.is_empty() {
            return Some(Number::ZERO);
        }
        let unscaled: i128 = digits.parse().ok()?;
        let scale = i16::try_from(-exponent).ok().filter(|_| exponent.abs() <= EXPONENTS)?;
        Some(Number::new(if negative { -unscaled } else { unscaled }, scale))
    }

    /// The digits, with their sign and without zeros at the end.
    pub fn unscaled(self) -> i128 {
        self.unscaled
    }

    /// Digits after the point; below zero if whole tens are left out of `unscaled`.
    pub fn scale(self) -> i16 {
        self.scale
    }

    /// Whether it is above zero.
    pub fn is_positive(self) -> bool {
        self.unscaled > 0
    }

    /// The number as an integer, if it is one of at most 128 bits.
    pub fn to_integer(self) -> Option<i128> {
        (self.scale <= 0).then(|| self.at_scale(0)).flatten()
    }

    /// `unscaled` at a scale that is at least the number's own, if that fits into 128 bits.
    fn at_scale(self, scale: i16) -> Option<i128> {
        let shift = u32::try_from(scale.checked_sub(self.scale)?).ok()?;
        self.unscaled.checked_mul(10i128.checked_pow(shift)?)
    }

    /// The same in 256 bits.
    fn wide_at_scale(self, scale: i16) -> Option<i256> {
        let shift = u32::try_from(scale.checked_sub(self.scale)?).ok()?;
        i256::from_i128(self.unscaled).checked_mul(i256::from_i128(10).checked_pow(shift)?)
    }

    /// Rounded to so many decimal places, half away from zero; below zero: to tens, hundreds, …
    #[must_use]
    pub fn round(self, places: i8) -> Self {
        let places = i16::from(places);
        let Ok(cut) = u32::try_from(self.scale.saturating_sub(places)) else { return self };
        // 39 digits are more than `unscaled` can have, and half of 10^39 is more than it can be.
        let Some(power) = 10i128.checked_pow(cut) else { return Number::ZERO };
        let rest = (self.unscaled % power).abs();
        let away = if rest >= power - rest { self.unscaled.signum() } else { 0 };
        Number::new(self.unscaled / power + away, places)
    }

    /// `floor(self / width)`, if it can be counted in 128 bits. `width` is positive.
    pub fn bin(self, width: Number) -> Option<i128> {
        let scale = self.scale.max(width.scale);
        match (self.at_scale(scale), width.at_scale(scale)) {
            (Some(value), Some(width)) => value.checked_div_euclid(width),
            // The width alone has more than 38 digits at this scale, so the number is less than one width from zero.
            (Some(value), None) => Some(if value < 0 { -1 } else { 0 }),
            (None, _) => None,
        }
    }

    /// Whether `|self − other| <= tolerance`, without any rounding. `tolerance` is not negative.
    pub fn is_within(self, other: Number, tolerance: Number) -> bool {
        let scale = self.scale.max(other.scale);
        let apart = self.wide_at_scale(scale).zip(other.wide_at_scale(scale)).and_then(|(a, b)| a.checked_sub(b));
        let Some(apart) = apart else { return is_far_within(self, other, tolerance) };
        let apart = if apart < i256::ZERO { apart.wrapping_neg() } else { apart };
        let allowed = i256::from_i128(tolerance.unscaled);
        let shift = u32::from(tolerance.scale.abs_diff(scale));
        let finer = |n: i256| i256::from_i128(10).checked_pow(shift).and_then(|power| n.checked_mul(power));
        // What does not fit into 256 bits is larger than what does.
        match tolerance.scale > scale {
            true => apart == i256::ZERO || finer(apart).is_some_and(|apart| apart <= allowed),
            false => finer(allowed).is_none_or(|allowed| apart <= allowed),
        }
    }

    fn abs(self) -> Self {
        Number { unscaled: self.unscaled.saturating_abs(), scale: self.scale }
    }
}

/// [`Number::is_within`] of two numbers of which one has over 76 digits when it is written at the scale of the other.
/// The larger and the tolerance have at most 39 digits that are not zeros, so the steps between their values here are
/// larger than the smaller number: it only decides when tolerance and larger number are equal.
fn is_far_within(a: Number, b: Number, tolerance: Number) -> bool {
    let (large, small) = if a.abs() > b.abs() { (a, b) } else { (b, a) };
    match tolerance.cmp(&large.abs()) {
        Ordering::Less => false,
        Ordering::Equal => large.unscaled.signum() * small.unscaled.signum() >= 0,
        Ordering::Greater => true,
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let signs = self.unscaled.signum().cmp(&other.unscaled.signum());
        let scale = self.scale.max(other.scale);
        let larger = if self.unscaled < 0 { Ordering::Less } else { Ordering::Greater };
        signs.then_with(|| match (self.at_scale(scale), other.at_scale(scale)) {
            (Some(a), Some(b)) => a.cmp(&b),
            // One of the two has this scale already, so at most one does not fit, and that one is further from zero.
            (None, _) => larger,
            (_, None) => larger.reverse(),
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Number::new(i128::from(value), 0)
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{}e{}", self.unscaled, -i32::from(self.scale));
        f.write_str(&Decimal::parse(&text).map_or(text, |decimal| decimal.canonical()))
    }
}

impl From<Number> for String {
    fn from(number: Number) -> String {
        number.to_string()
    }
}

impl TryFrom<String> for Number {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Number::parse(&text).ok_or_else(|| format!("`{text}` is not a number of at most 38 digits"))
    }
}

#[cfg(test)]
mod tests;
