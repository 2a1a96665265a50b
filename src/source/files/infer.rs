//! What a column of text is worth. Pure.
//!
//! A guess rests on all values and never loses any: leading zeros, long digit strings and numbers that a double cannot
//! hold stay text. A value that is read as guessed is the same number, whatever it is printed as (`1e5`, `0.10`). The
//! spellings are those of JSON; there are no others (no `TRUE`, `1,5`, `+1`, `.5`, dates).

use crate::row::Kind;

const BOOL: u8 = 1;
const INT: u8 = 2;
const FLOAT: u8 = 4;

/// A double holds any decimal number of so many digits without loss.
const FLOAT_DIGITS: usize = 15;

/// The guess so far: the kinds that every value seen could have.
#[derive(Debug, Clone, Copy)]
pub struct Guess {
    open: u8,
    seen: bool,
}

impl Guess {
    /// No value seen.
    pub fn new() -> Self {
        Guess { open: BOOL | INT | FLOAT, seen: false }
    }

    /// Takes a value that is not NULL into account. Returns whether further values can still change the guess.
    pub fn see(&mut self, value: &str) -> bool {
        self.seen = true;
        self.open &= fits(value);
        self.open != 0
    }

    /// Whether further values can still change the guess.
    pub fn is_open(self) -> bool {
        self.open != 0
    }

    /// Takes into account what other values of the same column are guessed to be.
    pub fn merge(&mut self, other: Guess) {
        self.open &= other.open;
        self.seen |= other.seen;
    }

    /// The kind: of bool, int and float the first that all values have; without any value, text.
    pub fn kind(self) -> Kind {
        match self.open {
            _ if !self.seen => Kind::Text,
            open if open & BOOL != 0 => Kind::Bool,
            open if open & INT != 0 => Kind::Int,
            open if open & FLOAT != 0 => Kind::Float,
            _ => Kind::Text,
        }
    }
}

/// The guess for a whole column.
pub fn guess<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Kind {
    let mut guess = Guess::new();
    for value in values.flatten() {
        if !guess.see(value) {
            break;
        }
    }
    guess.kind()
}

/// `true` or `false`, exactly.
pub fn bool(value: &str) -> Option<bool> {
    match value {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// `-?(0|[1-9][0-9]*)` within 64 bits. `-0` is 0 for a column that is known to be int; it is never guessed to be one,
/// since an int has no sign to keep there and a float has.
pub fn int(value: &str) -> Option<i64> {
    if shape(value)?.point { None } else { value.parse().ok() }
}

/// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?` with at most 15 digits, finite, and not so small that a double has
/// fewer digits for it, or none.
pub fn float(value: &str) -> Option<f64> {
    let shape = shape(value)?;
    if shape.digits > FLOAT_DIGITS {
        return None;
    }
    let number: f64 = value.parse().ok()?;
    (number.is_normal() || shape.digits == 0).then_some(number)
}

fn fits(value: &str) -> u8 {
    match value.as_bytes().first() {
        Some(b't' | b'f') if bool(value).is_some() => BOOL,
        Some(b'-' | b'0'..=b'9') => {
            let int = if value != "-0" && int(value).is_some() { INT } else { 0 };
            let float = if float(value).is_some() { FLOAT } else { 0 };
            int | float
        }
        _ => 0,
    }
}

struct Shape {
    /// Significant digits: those of the mantissa from the first that is not 0 on.
    digits: usize,
    /// Whether there is a fraction or an exponent.
    point: bool,
}

/// Reads a number as JSON spells it; `None` if the text is not one.
fn shape(value: &str) -> Option<Shape> {
    let bytes = value.as_bytes();
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let (whole, mut rest) = split_digits(unsigned);
    if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
        return None;
    }
    let mut fraction: &[u8] = &[];
    let point = !rest.is_empty();
    if let Some(after) = rest.strip_prefix(b".") {
        (fraction, rest) = split_digits(after);
        if fraction.is_empty() {
            return None;
        }
    }
    if let Some(after) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent = after.strip_prefix(b"+").or_else(|| after.strip_prefix(b"-")).unwrap_or(after);
        let (digits, end) = split_digits(exponent);
        if digits.is_empty() {
            return None;
        }
        rest = end;
    }
    let digits = whole.iter().chain(fraction).skip_while(|&&b| b == b'0').count();
    rest.is_empty().then_some(Shape { digits, point })
}

fn split_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(values: &[&str], expected: Kind) {
        assert_eq!(guess(values.iter().map(|&v| (v != "NULL").then_some(v))), expected, "{values:?}");
    }

    #[test]
    fn one_kind_for_all_values() {
        check(&[], Kind::Text);
        check(&["NULL", "NULL"], Kind::Text);
        check(&["true", "NULL", "false"], Kind::Bool);
        check(&["true", "True"], Kind::Text);
        check(&["true", "1"], Kind::Text);
        check(&["0", "-1", "9223372036854775807", "-9223372036854775808"], Kind::Int);
        check(&["-0"], Kind::Float);
        check(&["-0", "5"], Kind::Float);
        check(&["-0", "1234567890123456"], Kind::Text);
        check(&["9223372036854775808"], Kind::Text);
        check(&["1", "2.5"], Kind::Float);
        check(&["1e3", "-0.5E-2", "0.10"], Kind::Float);
        check(&["0.123456789012345"], Kind::Float);
        check(&["0.1234567890123456"], Kind::Text);
        check(&["1234567890123456", "0.5"], Kind::Text);
        check(&["1e400"], Kind::Text);
        check(&["1e-400"], Kind::Text);
        check(&["1.2345e-320"], Kind::Text);
        check(&["1e5", "1E+5"], Kind::Float);
        check(&["0e-400", "0.0"], Kind::Float);
        check(&["1", ""], Kind::Text);
        for text in [
            "007", "00", "+1", "+0", "+1.5", "-00", "-007", ".5", "5.", "1e", "1e+", "-", "", " 1", "1 ", "1_000",
            "1,5", "NaN", "inf", "0x1",
        ] {
            check(&[text], Kind::Text);
        }
        for text in ["truely", "t", "f", "-true", "--1", "1.2.3", "1e5e5", "٣", "2026-01-01"] {
            check(&[text], Kind::Text);
        }
    }

    /// Any text, and what almost is a number.
    const TEXTS: &str = "\\PC{0,12}|-?[0-9]{1,20}(\\.[0-9]{0,18})?([eE][+-]?[0-9]{0,4})?";

    /// A number's sign, digits without zeros at either end, and the power of ten of the last digit.
    fn normal_form(text: &str) -> (bool, String, i64) {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let unsigned = mantissa.trim_start_matches('-');
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = format!("{whole}{fraction}");
        let kept = digits.trim_end_matches('0');
        let power = exponent.parse::<i64>().unwrap() - fraction.len() as i64 + (digits.len() - kept.len()) as i64;
        let kept = kept.trim_start_matches('0').to_owned();
        let power = if kept.is_empty() { 0 } else { power };
        (mantissa.starts_with('-'), kept, power)
    }

    proptest! {
        #[test]
        fn every_int_is_one_and_comes_back(n: i64) {
            let text = n.to_string();
            prop_assert_eq!(guess([Some(text.as_str())].into_iter()), Kind::Int);
            prop_assert_eq!(int(&text), Some(n));
        }

        #[test]
        fn any_text_is_guessed_without_panic_and_is_the_same_number_as_guessed(text in TEXTS) {
            match guess([Some(text.as_str())].into_iter()) {
                Kind::Bool => prop_assert!(bool(&text).is_some()),
                Kind::Int => prop_assert_eq!(int(&text).unwrap().to_string(), text),
                Kind::Float => {
                    prop_assert_eq!(normal_form(&float(&text).unwrap().to_string()), normal_form(&text));
                }
                _ => {}
            }
        }
    }
}
