//! Times as they are given and shown.

use anyhow::{Context as _, ensure};
use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};

/// An RFC 3339 time, a date, or minutes, hours, days or weeks from now. Only a time that is written out in full may have
/// passed: such a key is good for tests.
pub(in crate::cli) fn expiry(text: &str, now: DateTime<Utc>) -> anyhow::Result<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    if let Ok(date) = text.parse::<NaiveDate>() {
        let begins = date.and_time(NaiveTime::MIN).and_utc();
        ensure!(begins > now, "--expires {text}: that day has begun already (in UTC), so the key would never be valid");
        return Ok(begins);
    }
    length(text).and_then(|length| now.checked_add_signed(length)).with_context(|| {
        format!(
            "--expires {text}: expected a time such as 2027-01-31T12:00:00Z, a date such as 2027-01-31, or a number \
             above 0 and m, h, d or w, such as 90d"
        )
    })
}

/// Minutes, hours, days or weeks, or `0`.
pub(in crate::cli) fn overlap(text: &str) -> anyhow::Result<TimeDelta> {
    let length = if text == "0" { Some(TimeDelta::zero()) } else { length(text) };
    length.with_context(|| format!("--overlap {text}: expected a number and m, h, d or w, such as 24h, or 0"))
}

fn length(text: &str) -> Option<TimeDelta> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let number: i64 = text[..at].parse().ok().filter(|number| *number > 0)?;
    let minutes = match &text[at..] {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        "w" => 7 * 24 * 60,
        _ => return None,
    };
    TimeDelta::try_minutes(number.checked_mul(minutes)?)
}

pub(in crate::cli) fn seconds(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_expiry(text: &str, expected: Option<&str>) {
        let now = "2026-03-01T12:00:00Z".parse().expect("a time");
        assert_eq!(expiry(text, now).ok().map(seconds).as_deref(), expected, "{text}");
    }

    #[test]
    fn expiries() {
        check_expiry("2027-01-31T00:00:00Z", Some("2027-01-31T00:00:00Z"));
        check_expiry("2027-01-31T00:00:00+02:00", Some("2027-01-30T22:00:00Z"));
        check_expiry("90d", Some("2026-05-30T12:00:00Z"));
        check_expiry("2w", Some("2026-03-15T12:00:00Z"));
        check_expiry("30m", Some("2026-03-01T12:30:00Z"));
        check_expiry("2027-01-31", Some("2027-01-31T00:00:00Z"));
        check_expiry("2020-01-01T00:00:00Z", Some("2020-01-01T00:00:00Z"));
        for text in ["", "d", "90", "90y", "-1d", "0d", "1.5d", "99999999999999999d", "9223372036854775807w"] {
            check_expiry(text, None);
        }
        for text in ["2026-03-01", "2020-01-01", "2027-02-30"] {
            check_expiry(text, None);
        }
    }

    #[test]
    fn overlaps() {
        for (text, expected) in
            [("0", Some(0)), ("30m", Some(30)), ("24h", Some(1440)), ("7d", Some(10_080)), ("1w", Some(10_080))]
        {
            assert_eq!(overlap(text).ok().map(|overlap| overlap.num_minutes()), expected, "{text}");
        }
        for text in ["", "0d", "24", "-1h", "1y", "2027-01-01", "99999999999999999d"] {
            assert!(overlap(text).is_err_and(|error| error.to_string().contains("such as 24h")), "{text}");
        }
    }
}
