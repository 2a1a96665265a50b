//! Numbers: exact as long as decimals can be, doubles as JavaScript's where they cannot.
//!
//! LiquidJS computes in doubles. Here integers and decimals (of columns, JSON members and the template itself) are added,
//! multiplied and rounded by their digits, so that 19.99 × 100 is 1999 and not 1998.9999999999998; what leaves the 38
//! digits of a decimal, a division, and all that touches a column of doubles is a double.

use std::cmp::Ordering;
use std::fmt::Write;

/// A finite number, but for doubles that a division made NaN or infinite.
#[derive(Debug, Clone, Copy)]
pub(super) enum Num {
    Int(i64),
    /// `unscaled × 10^-scale`; never a whole number that an `Int` can be, and without trailing zeros.
    Decimal {
        unscaled: i128,
        scale: u32,
    },
    Float(f64),
}

/// The digits that `i128` always holds.
const DIGITS: u32 = 38;

impl Num {
    /// The number in its smallest form.
    pub(super) fn decimal(mut unscaled: i128, mut scale: u32) -> Num {
        while scale > 0 && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
        match i64::try_from(unscaled) {
            Ok(whole) if scale == 0 => Num::Int(whole),
            _ => Num::Decimal { unscaled, scale },
        }
    }

    /// A number as JSON and Liquid write it. `None` for what is no number; with an exponent or too many digits it is a
    /// double.
    pub(super) fn parse(text: &str) -> Option<Num> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let all = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if all(whole) && all(part) && whole.len() + part.len() > 0 {
            let joined = [whole, part].concat();
            if let (Ok(unscaled), Ok(scale)) = (joined.parse::<i128>(), u32::try_from(part.len()))
                && scale <= DIGITS
            {
                return Some(Num::decimal(if negative { -unscaled } else { unscaled }, scale));
            }
        }
        let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
        (plain && !text.is_empty()).then(|| text.parse::<f64>().ok())?.map(Num::Float)
    }

    pub(super) fn to_f64(self) -> f64 {
        match self {
            Num::Int(v) => v as f64,
            Num::Float(v) => v,
            // Both exact as doubles: the quotient is the nearest double.
            Num::Decimal { unscaled, scale } if unscaled.unsigned_abs() < 1 << 53 && scale <= 22 => {
                unscaled as f64 / 10_f64.powi(scale as i32)
            }
            Num::Decimal { .. } => {
                let mut text = String::new();
                self.write(&mut text);
                text.parse().unwrap_or(f64::NAN)
            }
        }
    }

    /// Appends the number as JavaScript writes it, a decimal with all its digits.
    pub(super) fn write(self, out: &mut String) {
        match self {
            Num::Int(v) => drop(write!(out, "{v}")),
            Num::Decimal { unscaled, scale } => {
                let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale as usize + 1);
                let (whole, part) = digits.split_at(digits.len() - scale as usize);
                out.push_str(if unscaled < 0 { "-" } else { "" });
                out.push_str(whole);
                out.push_str(if part.is_empty() { "" } else { "." });
                out.push_str(part);
            }
            Num::Float(v) => float(v, out),
        }
    }

    /// Both as integers of the same scale, if both are exact.
    fn aligned(self, other: Num) -> Option<(i128, i128, u32)> {
        let ((a, from), (b, to)) = (self.parts()?, other.parts()?);
        let scale = from.max(to);
        let lift = |value: i128, from: u32| value.checked_mul(10_i128.checked_pow(scale - from)?);
        Some((lift(a, from)?, lift(b, to)?, scale))
    }

    fn parts(self) -> Option<(i128, u32)> {
        match self {
            Num::Int(v) => Some((v.into(), 0)),
            Num::Decimal { unscaled, scale } => Some((unscaled, scale)),
            Num::Float(_) => None,
        }
    }

    pub(super) fn plus(self, other: Num) -> Num {
        let exact = self.aligned(other).and_then(|(a, b, scale)| Some(Num::decimal(a.checked_add(b)?, scale)));
        exact.unwrap_or_else(|| Num::Float(self.to_f64() + other.to_f64()))
    }

    pub(super) fn minus(self, other: Num) -> Num {
        let exact = self.aligned(other).and_then(|(a, b, scale)| Some(Num::decimal(a.checked_sub(b)?, scale)));
        exact.unwrap_or_else(|| Num::Float(self.to_f64() - other.to_f64()))
    }

    pub(super) fn times(self, other: Num) -> Num {
        let exact = || {
            let ((a, from), (b, to)) = (self.parts()?, other.parts()?);
            (from + to <= DIGITS).then_some(())?;
            Some(Num::decimal(a.checked_mul(b)?, from + to))
        };
        exact().unwrap_or_else(|| Num::Float(self.to_f64() * other.to_f64()))
    }

    pub(super) fn divided_by(self, other: Num) -> Num {
        match self.aligned(other) {
            Some((a, b, _)) if b != 0 && a.checked_rem(b) == Some(0) => Num::decimal(a / b, 0),
            _ => Num::Float(self.to_f64() / other.to_f64()),
        }
    }

    /// The remainder with the sign of the divisor.
    pub(super) fn modulo(self, other: Num) -> Num {
        let exact = || {
            let (a, b, scale) = self.aligned(other)?;
            Some(Num::decimal(a.checked_rem(b)?.checked_add(b)?.checked_rem(b)?, scale))
        };
        let double = |a: f64, b: f64| ((a % b) + b) % b;
        exact().unwrap_or_else(|| Num::Float(double(self.to_f64(), other.to_f64())))
    }

    pub(super) fn abs(self) -> Num {
        match self {
            Num::Float(v) => Num::Float(v.abs()),
            _ if self.order(Num::Int(0)) == Some(Ordering::Less) => Num::Int(0).minus(self),
            _ => self,
        }
    }

    pub(super) fn floor(self) -> Num {
        match self {
            Num::Decimal { unscaled, scale } => Num::decimal(unscaled.div_euclid(10_i128.pow(scale)), 0),
            Num::Float(v) => Num::Float(v.floor()),
            Num::Int(_) => self,
        }
    }

    pub(super) fn ceil(self) -> Num {
        match self {
            Num::Float(v) => Num::Float(v.ceil()),
            _ => Num::Int(0).minus(Num::Int(0).minus(self).floor()),
        }
    }

    /// Rounded to `places` digits after the point, halves away from zero; a negative number of places rounds before it.
    pub(super) fn round(self, places: i32) -> Num {
        let size = self.abs();
        let scaled = size.shifted(places);
        // Above this there is nothing left to round (the same bound as LiquidJS's).
        if !matches!(scaled.order(Num::Int(9_007_199_254_740_991)), Some(Ordering::Less | Ordering::Equal)) {
            return self;
        }
        let half = Num::decimal(5, 1);
        let rounded = match scaled {
            Num::Float(v) if v - v.floor() < 0.5 => Num::Float(v.floor()),
            Num::Float(v) => Num::Float(v.floor() + 1.0),
            exact => exact.plus(half).floor(),
        };
        let rounded = rounded.shifted(-places);
        if self.order(Num::Int(0)) == Some(Ordering::Less) { Num::Int(0).minus(rounded) } else { rounded }
    }

    /// `self × 10^places`, by the digits that the number is written with.
    fn shifted(self, places: i32) -> Num {
        if places == 0 {
            return self;
        }
        let exact = || {
            let (value, scale) = self.parts()?;
            let scale = i64::from(scale) - i64::from(places);
            match u32::try_from(scale) {
                Ok(scale) => (scale <= DIGITS).then(|| Num::decimal(value, scale)),
                Err(_) => {
                    let power = 10_i128.checked_pow(u32::try_from(-scale).ok()?)?;
                    Some(Num::decimal(value.checked_mul(power)?, 0))
                }
            }
        };
        exact().unwrap_or_else(|| {
            let mut text = String::new();
            Num::Float(self.to_f64()).write(&mut text);
            let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
            let power = power.parse::<i32>().unwrap_or(0).saturating_add(places);
            Num::Float(format!("{mantissa}e{power}").parse().unwrap_or(f64::NAN))
        })
    }

    /// `None` if one of them is NaN.
    pub(super) fn order(self, other: Num) -> Option<Ordering> {
        match self.aligned(other) {
            Some((a, b, _)) => Some(a.cmp(&b)),
            None => self.to_f64().partial_cmp(&other.to_f64()),
        }
    }
}

/// A double as `String(v)` writes it in JavaScript.
fn float(v: f64, out: &mut String) {
    if v == 0.0 {
        out.push('0');
    } else if v.is_infinite() {
        out.push_str(if v > 0.0 { "Infinity" } else { "-Infinity" });
    } else if v.is_nan() || (1e-6..1e21).contains(&v.abs()) {
        let _ = write!(out, "{v}");
    } else {
        let text = format!("{v:e}");
        let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
        out.push_str(mantissa);
        out.push_str(if power.starts_with('-') { "e" } else { "e+" });
        out.push_str(power);
    }
}

/// What `Number(text)` is in JavaScript; NaN for what is no number.
pub(super) fn of_text(text: &str) -> Num {
    let text = super::text::trim(text);
    let radix = |prefix: [&str; 2], radix: u32| {
        let digits = text.strip_prefix(prefix[0]).or_else(|| text.strip_prefix(prefix[1]))?;
        Some(u64::from_str_radix(digits, radix).map_or(Num::Float(f64::NAN), |v| Num::decimal(v.into(), 0)))
    };
    match text {
        "" => Num::Int(0),
        "Infinity" | "+Infinity" => Num::Float(f64::INFINITY),
        "-Infinity" => Num::Float(f64::NEG_INFINITY),
        _ => radix(["0x", "0X"], 16)
            .or_else(|| radix(["0o", "0O"], 8))
            .or_else(|| radix(["0b", "0B"], 2))
            .or_else(|| Num::parse(text))
            .unwrap_or(Num::Float(f64::NAN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(number: Num) -> String {
        let mut out = String::new();
        number.write(&mut out);
        out
    }

    fn check(actual: Num, expected: &str) {
        assert_eq!(shown(actual), expected);
    }

    #[test]
    fn numbers_are_written_as_javascript_writes_them() {
        for (text, expected) in [
            ("1", "1"),
            ("-0", "0"),
            ("1.50", "1.5"),
            ("100.00", "100"),
            ("0.1", "0.1"),
            ("-12345678901234567890.5", "-12345678901234567890.5"),
            ("12345678901234567890123456789012345678901", "1.2345678901234568e+40"),
            ("1e3", "1000"),
            ("1e21", "1e+21"),
            ("1.5e-7", "1.5e-7"),
            ("1e-6", "0.000001"),
        ] {
            check(Num::parse(text).unwrap(), expected);
        }
        for text in ["", "-", ".", "1x", "inf", "NaN", "1_0", "0x1"] {
            assert!(Num::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn arithmetic_is_exact_where_decimals_are() {
        let n = |text: &str| Num::parse(text).unwrap();
        check(n("19.99").times(n("100")), "1999");
        check(n("0.1").plus(n("0.2")), "0.3");
        check(n("9223372036854775807").plus(n("1")), "9223372036854775808");
        check(n("7").divided_by(n("2")), "3.5");
        check(n("6").divided_by(n("2")), "3");
        check(n("1").divided_by(n("0")), "Infinity");
        check(n("-7").modulo(n("3")), "2");
        check(n("7").modulo(n("0")), "NaN");
        check(n("-1.5").floor(), "-2");
        check(n("-1.5").ceil(), "-1");
        check(n("-1.5").abs(), "1.5");
        check(n("1.005").round(2), "1.01");
        check(n("-2.5").round(0), "-3");
        check(n("1234").round(-2), "1200");
        check(Num::Float(1.005).round(2), "1.01");
        check(Num::Float(2.5e300).round(1), "2.5e+300");
    }

    #[test]
    fn text_is_read_as_javascript_reads_it() {
        for (text, expected) in
            [(" 12 ", "12"), ("", "0"), ("0x1F", "31"), ("1e2", "100"), (".5", "0.5"), ("5.", "5"), ("a", "NaN")]
        {
            check(of_text(text), expected);
        }
    }
}
