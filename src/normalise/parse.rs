//! Text as a value of a kind, exactly or not at all. Each common spelling has a short way that allocates nothing.

use super::number;
use crate::row::exact_f64;

/// `true` and `false` in any case, as the common writers spell them.
pub(super) fn bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// A whole number, also written `10.0` or `1e3`. `007` and `+7` are names and not numbers: as 7 they could not be told
/// from one.
pub(super) fn int(text: &str) -> Option<i64> {
    let (negative, digits) = sign(text.as_bytes());
    match digits {
        [b'0', b'0'..=b'9', ..] | [b'+', ..] => return None,
        _ => {}
    }
    // Eighteen digits always fit.
    if (1..=18).contains(&digits.len())
        && let Some(number) = digits.iter().try_fold(0, |number, &byte| Some(number * 10 + i64::from(digit(byte)?)))
    {
        return Some(if negative { -number } else { number });
    }
    text.parse().ok().or_else(|| decimal(text, 0).and_then(|n| i64::try_from(n).ok()))
}

/// A double, if it holds the number that is written: more digits than a double can tell apart do not fit, since two
/// such numbers would look the same. The spellings `NaN`, `inf`, `-inf` are accepted.
pub(super) fn float(text: &str) -> Option<f64> {
    let (negative, unsigned) = sign(text.as_bytes());
    if let Some((unscaled, places)) = short_number(unsigned)
        && let Some(number) = number::double(unscaled, places)
    {
        return Some(if negative { -number } else { number });
    }
    match text.bytes().any(|b| b.is_ascii_digit()) {
        true => exact_f64(text),
        false => text.parse().ok(),
    }
}

/// `unscaled` of a decimal at this scale, if the text fits it without rounding (zeros at the end may go).
pub(super) fn decimal(text: &str, scale: i8) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, unsigned) = sign(mantissa.as_bytes());
    let unsigned = unsigned.strip_prefix(b"+").filter(|_| !negative).unwrap_or(unsigned);
    let (whole, fraction) = match unsigned.iter().position(|&b| b == b'.') {
        Some(point) => (&unsigned[..point], &unsigned[point + 1..]),
        None => (unsigned, &unsigned[..0]),
    };
    if whole.is_empty() && fraction.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = fraction.iter().rev().take_while(|&&b| b == b'0').count();
    let fraction = &fraction[..fraction.len() - zeros];
    let unscaled = whole
        .iter()
        .chain(fraction)
        .try_fold(0i128, |number, &byte| number.checked_mul(10)?.checked_add(i128::from(digit(byte)?)))?;
    let from = i32::try_from(fraction.len()).ok()? - exponent.clamp(-1000, 1000);
    number::rescale(if negative { -unscaled } else { unscaled }, from, scale.into())
}

/// Digits with at most one point among them, fifteen at most: the value without the point, and the places after it.
fn short_number(unsigned: &[u8]) -> Option<(i128, i32)> {
    let (first, last) = (unsigned.first()?, unsigned.last()?);
    if unsigned.len() > 16 || !first.is_ascii_digit() || !last.is_ascii_digit() {
        return None;
    }
    let (mut number, mut point) = (0i64, None);
    for (index, &byte) in unsigned.iter().enumerate() {
        match digit(byte) {
            Some(digit) => number = number * 10 + i64::from(digit),
            None if byte == b'.' && point.is_none() => point = Some(index),
            None => return None,
        }
    }
    let places = point.map_or(0, |point| unsigned.len() - 1 - point);
    Some((i128::from(number), i32::try_from(places).ok()?))
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    }
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_short_way_finds_what_parsing_finds(unscaled in -999_999_999_999_999i64..999_999_999_999_999, places in 0usize..14) {
            let sign = if unscaled < 0 { "-" } else { "" };
            let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = places + 1);
            let (whole, fraction) = digits.split_at(digits.len() - places);
            let text = if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
            prop_assert_eq!(float(&text), exact_f64(&text));
            prop_assert_eq!(decimal(&text, 14), Some(i128::from(unscaled) * 10i128.pow(14 - places as u32)));
            prop_assert_eq!(int(&unscaled.to_string()), Some(unscaled));
        }
    }

    #[test]
    fn decimals_fit_exactly_or_not_at_all() {
        for (text, scale, expected) in [
            ("1", 0, Some(1)),
            ("1.00", 0, Some(1)),
            ("-1.50", 1, Some(-15)),
            ("1.25", 1, None),
            ("1e3", 0, Some(1000)),
            ("125e-2", 2, Some(125)),
            ("125e-2", 1, None),
            (".5", 1, Some(5)),
            ("5.", 0, Some(5)),
            (".", 0, None),
            ("", 0, None),
            ("-", 0, None),
            ("1_000", 0, None),
            ("0e999999999", 2, Some(0)),
            ("1e-999999", 2, None),
            ("99999999999999999999999999999999999999", 0, Some(99_999_999_999_999_999_999_999_999_999_999_999_999)),
            ("100000000000000000000000000000000000000", 0, None),
        ] {
            assert_eq!(decimal(text, scale), expected, "{text} at scale {scale}");
        }
    }

    #[test]
    fn texts_are_values() {
        assert_eq!(int("10.0"), Some(10));
        assert_eq!(int("10.5"), None);
        assert_eq!(int("9223372036854775808"), None);
        for text in ["007", "-007", "+7", "", "-"] {
            assert_eq!(int(text), None, "{text}");
        }
        assert_eq!((int("0"), int("-0"), int("1e3")), (Some(0), Some(0), Some(1000)));
        assert_eq!(float("9007199254740993"), None);
        assert_eq!(float("9007199254740992"), Some(9_007_199_254_740_992.0));
        assert_eq!(float("0.30000000000000004"), Some(0.1 + 0.2));
        assert_eq!(float("0.300000000000000041"), None);
        assert_eq!(float("1e999"), None);
        assert_eq!(float("inf"), Some(f64::INFINITY));
        assert_eq!(bool("True"), Some(true));
        assert_eq!(bool("1"), None);
    }
}
