//! Text as a value of a kind, exactly or not at all.

use crate::row::exact_f64;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

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
    let unsigned = text.strip_prefix('-').unwrap_or(text).as_bytes();
    match unsigned {
        [b'0', b'0'..=b'9', ..] | [b'+', ..] => None,
        _ => text.parse().ok().or_else(|| decimal(text, 0).and_then(|n| i64::try_from(n).ok())),
    }
}

/// A double, if it holds the number that is written: more digits than a double can tell apart do not fit, since two
/// such numbers would look the same. The spellings `NaN`, `inf`, `-inf` are accepted.
pub(super) fn float(text: &str) -> Option<f64> {
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
    let (sign, digits) = match mantissa.as_bytes().first()? {
        b'-' => (-1, &mantissa[1..]),
        b'+' => (1, &mantissa[1..]),
        _ => (1, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction_zeros_off = fraction.trim_end_matches('0');
    let unscaled: i128 = format!("0{whole}{fraction_zeros_off}").parse().ok()?;
    let shift = i32::from(scale) + exponent.clamp(-1000, 1000) - i32::try_from(fraction_zeros_off.len()).ok()?;
    let shifted = if shift >= 0 {
        unscaled.checked_mul(10i128.checked_pow(shift.unsigned_abs()).or((unscaled == 0).then_some(0))?)?
    } else {
        let divisor = 10i128.checked_pow(shift.unsigned_abs());
        match divisor {
            Some(divisor) if unscaled % divisor == 0 => unscaled / divisor,
            None if unscaled == 0 => 0,
            _ => return None,
        }
    };
    (shifted.unsigned_abs() < 10u128.pow(38)).then_some(sign * shifted)
}

/// Days since 1970-01-01 of an ISO date; a time of midnight after it is accepted.
pub(super) fn date(text: &str) -> Option<i32> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .or_else(|| local(text).filter(|t| t.time() == NaiveTime::MIN).map(|t| t.date()))?;
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

/// Microseconds since midnight.
pub(super) fn time(text: &str) -> Option<i64> {
    let time =
        NaiveTime::parse_from_str(text, "%H:%M:%S%.f").or_else(|_| NaiveTime::parse_from_str(text, "%H:%M")).ok()?;
    Some(i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1_000))
}

/// Microseconds since the epoch; the text must name its offset, or the instant is not known.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    let parsed = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z"))
        .or_else(|_| DateTime::parse_from_str(&text.replace(" UTC", "+00:00"), "%Y-%m-%d %H:%M:%S%.f%#z"));
    parsed.ok().map(|t| t.timestamp_micros())
}

/// Microseconds of a date and time without an offset.
pub(super) fn local_timestamp(text: &str) -> Option<i64> {
    local(text).map(|t| t.and_utc().timestamp_micros())
}

fn local(text: &str) -> Option<NaiveDateTime> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(date("1970-01-02"), Some(1));
        assert_eq!(date("1970-01-02 00:00:00"), Some(1));
        assert_eq!(date("1970-01-02 00:00:01"), None);
        assert_eq!(time("00:00:01.5"), Some(1_500_000));
        for text in
            ["1970-01-01T01:00:00+01:00", "1970-01-01 00:00:00+00", "1970-01-01 00:00:00 UTC", "1970-01-01T00:00:00Z"]
        {
            assert_eq!(timestamp(text), Some(0), "{text}");
        }
        assert_eq!(timestamp("1970-01-01 00:00:00"), None);
        assert_eq!(local_timestamp("1970-01-01 00:00:00.000001"), Some(1));
        assert_eq!(local_timestamp("1970-01-01T00:00:00Z"), None);
    }
}
