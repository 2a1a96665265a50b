//! Durations and rates as people write them.

use super::problem::Fault;
use super::spec::Rate;
use std::time::Duration;

const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The longest age.
const OLDEST: Duration = Duration::from_secs(3650 * 24 * 3600);

/// `500ms`, `30s`, `5m`, `1h`; more than nothing, at most a day.
pub(crate) fn duration(text: &str) -> Result<Duration, Fault> {
    let hints = ("a number and ms, s, m or h: `500ms`, `30s`, `5m`", "more than 0 and at most `24h`");
    // Days are for ages.
    if text.ends_with('d') {
        return Err(Fault::new(format!("`{text}` is not a duration")).hint(hints.0));
    }
    up_to(text, LONGEST, hints)
}

/// An age: `30m`, `36h`, `7d`; more than nothing, at most ten years.
pub(crate) fn age(text: &str) -> Result<Duration, Fault> {
    up_to(text, OLDEST, ("a number and s, m, h or d: `30m`, `36h`, `7d`", "more than 0 and at most `3650d`"))
}

/// `hints`: for what is no duration, and for what is out of range.
fn up_to(text: &str, longest: Duration, hints: (&str, &str)) -> Result<Duration, Fault> {
    let wrong = || Fault::new(format!("`{text}` is not a duration")).hint(hints.0);
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (digits, unit) = text.split_at(unit_at);
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 24 * 3_600_000,
        _ => return Err(wrong()),
    };
    let duration = number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)?;
    if duration.is_zero() || duration > longest {
        return Err(Fault::new(format!("`{text}` is out of range")).hint(hints.1));
    }
    Ok(duration)
}

/// `50/s`, `600/m`, `1000/h`.
pub(crate) fn rate(text: &str) -> Result<Rate, Fault> {
    let wrong =
        || Fault::new(format!("`{text}` is not a rate")).hint("a number per s, m or h: `50/s`, `600/m`, `1000/h`");
    let (quantity, unit) = text.split_once('/').ok_or_else(wrong)?;
    let quantity: u32 = quantity.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    if quantity == 0 {
        return Err(Fault::new("a rate of 0 would send nothing").hint("leave `rate` out for no limit"));
    }
    Ok(Rate { quantity, per: Duration::from_secs(seconds) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("24h", 86_400_000)];
        for (text, millis) in cases {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in
            ["", "5", "s", "0s", "25h", "1d", "-1s", "1.5s", "1 s", "99999999999999999999s", "18446744073709551615h"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ages_have_days() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        for (text, age_of) in [("36h", hours(36)), ("3d", hours(72)), ("3650d", hours(87_600))] {
            assert_eq!(age(text).unwrap(), age_of, "{text}");
        }
        for text in ["0d", "3651d", "1.5d", "d", "1w", "99999999999999999999d", "9999999999999999d"] {
            assert!(age(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates() {
        assert_eq!(rate("50/s").unwrap(), Rate { quantity: 50, per: Duration::from_secs(1) });
        assert_eq!(rate("600/m").unwrap(), Rate { quantity: 600, per: Duration::from_secs(60) });
        assert_eq!(rate("1/h").unwrap(), Rate { quantity: 1, per: Duration::from_secs(3600) });
        for text in ["", "50", "0/s", "50/d", "x/s", "-1/s", "50 / s", "5000000000/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
