//! Number literals by value: `1`, `1.0`, `10e-1` are one number, and no digit is lost on the way.

/// A decimal number: sign, digits without zeros at either end, power of ten of the last digit. Zero has no digits.
#[derive(Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

/// Beyond so many places a number is written with an exponent, so that `1e999999` does not become a megabyte.
const PLACES: i64 = 40;

impl Decimal {
    /// Reads a literal: digits, an optional fraction and an exponent, as JSON and CSV write them. `None`: not a number.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok().filter(|e| e.abs() < 1 << 40)?),
            None => (text, 0),
        };
        let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all_digits = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits || (unsigned.contains('.') && fraction.is_empty()) {
            return None;
        }
        let digits = format!("{whole}{fraction}");
        let trimmed = digits.trim_end_matches('0');
        let dropped = i64::try_from(digits.len() - trimmed.len()).ok()?;
        let exponent = exponent - i64::try_from(fraction.len()).ok()? + dropped;
        let significant = trimmed.trim_start_matches('0');
        if significant.is_empty() {
            return Some(Decimal { negative: false, digits: String::new(), exponent: 0 });
        }
        Some(Decimal { negative: mantissa.starts_with('-'), digits: significant.to_owned(), exponent })
    }

    /// Whether it is below zero, its digits, and the power of ten of the last one.
    pub(super) fn into_parts(self) -> (bool, String, i64) {
        (self.negative, self.digits, self.exponent)
    }

    /// How many digits carry the value.
    pub fn significant(&self) -> usize {
        self.digits.len()
    }

    /// The one spelling of this value.
    pub fn canonical(&self) -> String {
        let length = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        // Where the point stands, counted from the first digit.
        let point = length.saturating_add(self.exponent);
        let sign = if self.negative { "-" } else { "" };
        let zeros = |n: i64| "0".repeat(usize::try_from(n).unwrap_or(0));
        if length == 0 {
            "0".to_owned()
        } else if self.exponent >= 0 && point <= PLACES {
            format!("{sign}{}{}", self.digits, zeros(self.exponent))
        } else if (1..=PLACES).contains(&point) {
            let (whole, fraction) = self.digits.split_at(usize::try_from(point).unwrap_or(0));
            format!("{sign}{whole}.{fraction}")
        } else if (-PLACES..=0).contains(&point) {
            format!("{sign}0.{}{}", zeros(-point), self.digits)
        } else {
            let (first, rest) = self.digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            format!("{sign}{first}{dot}{rest}e{}", point - 1)
        }
    }
}

/// The double that a literal stands for, if it holds the number that is written. More digits than a double can tell
/// apart do not fit, since two such numbers would look the same; nor does what is too large or too small for one.
pub fn exact_f64(text: &str) -> Option<f64> {
    let written = Decimal::parse(text)?;
    let number: f64 = text.parse().ok().filter(|n: &f64| n.is_finite())?;
    // Fifteen digits always survive the way through a normal double.
    let held = (written.significant() <= 15 && (number.is_normal() || written.significant() == 0))
        || Decimal::parse(&format!("{number:e}"))? == written;
    held.then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_double_holds_what_is_written_or_is_none() {
        for (text, number) in [
            ("0", Some(0.0)),
            ("1.50", Some(1.5)),
            ("9007199254740992", Some(9_007_199_254_740_992.0)),
            ("9007199254740993", None),
            ("9007199254740992.5", None),
            ("0.30000000000000004", Some(0.1 + 0.2)),
            ("0.300000000000000041", None),
            ("1e-400", None),
            ("5e-324", Some(5e-324)),
            ("1e999", None),
            ("007x", None),
        ] {
            assert_eq!(exact_f64(text), number, "{text}");
        }
    }

    #[test]
    fn one_spelling_for_one_value() {
        for (texts, canonical) in [
            (&["0", "-0", "0.000", "0e99", "00"][..], "0"),
            (&["1", "1.0", "10e-1", "0.01E+2", "001"], "1"),
            (&["-120", "-1.2e2"], "-120"),
            (&["0.1", "1e-1", "0.10"], "0.1"),
            (&["12345678901234567890123.50"], "12345678901234567890123.5"),
            (&["1e300", "10e299"], "1e300"),
            (&["-1.5e-300"], "-1.5e-300"),
        ] {
            for text in texts {
                assert_eq!(Decimal::parse(text).unwrap().canonical(), canonical, "{text}");
            }
        }
        for text in ["", "-", ".", "1.", ".5", "+1", "1e", "0x1", "1_0", "NaN", "1e99999999999999"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }
}
