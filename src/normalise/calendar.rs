//! Text as a date, a time or an instant. ISO 8601 as everyone writes it is read byte by byte, other spellings by chrono.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Days since 1970-01-01 of an ISO date; a time of midnight after it is accepted.
pub(super) fn date(text: &str) -> Option<i32> {
    if let Some((day, [])) = short_date(text.as_bytes()) {
        return Some(day);
    }
    let date = NaiveDate::parse_from_str(full_year(text)?, "%Y-%m-%d")
        .ok()
        .or_else(|| local(text).filter(|t| t.time() == NaiveTime::MIN).map(|t| t.date()))?;
    Some(days(date))
}

/// Microseconds since midnight.
pub(super) fn time(text: &str) -> Option<i64> {
    if let Some((micros, [])) = short_time(text.as_bytes()) {
        return Some(micros);
    }
    let time =
        NaiveTime::parse_from_str(text, "%H:%M:%S%.f").or_else(|_| NaiveTime::parse_from_str(text, "%H:%M")).ok()?;
    let micros = i64::from(time.num_seconds_from_midnight()) * SECOND + i64::from(time.nanosecond() / 1_000);
    // A leap second has no place in a day of 86400 seconds.
    (micros < DAY).then_some(micros)
}

/// Microseconds since the epoch; the text must name its offset, or the instant is not known.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    if let Some((micros, zone)) = short_local(text.as_bytes())
        && let Some(offset) = short_offset(zone)
    {
        return Some(micros - offset);
    }
    let text = full_year(text)?;
    let parsed = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z"))
        .or_else(|_| DateTime::parse_from_str(&text.replace(" UTC", "+00:00"), "%Y-%m-%d %H:%M:%S%.f%#z"));
    parsed.ok().map(|t| t.timestamp_micros())
}

/// Microseconds of a date and time without an offset.
pub(super) fn local_timestamp(text: &str) -> Option<i64> {
    match short_local(text.as_bytes()) {
        Some((micros, [])) => Some(micros),
        _ => local(text).map(|t| t.and_utc().timestamp_micros()),
    }
}

fn local(text: &str) -> Option<NaiveDateTime> {
    let text = full_year(text)?;
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f"))
        .ok()
}

/// The text, unless its year has fewer than four digits: `24-01-15` is hardly a day under Tiberius, which is how chrono
/// reads it.
fn full_year(text: &str) -> Option<&str> {
    let digits = text.trim_start_matches(['+', '-']).bytes().take_while(u8::is_ascii_digit).count();
    (digits >= 4).then_some(text)
}

/// `YYYY-MM-DDTHH:MM:SS`, with a blank for the `T` and a fraction if you like; and what comes after.
fn short_local(text: &[u8]) -> Option<(i64, &[u8])> {
    let (day, rest) = short_date(text)?;
    let rest = rest.strip_prefix(b"T").or_else(|| rest.strip_prefix(b" "))?;
    let (micros, rest) = short_time(rest)?;
    Some((i64::from(day) * DAY + micros, rest))
}

fn short_date(text: &[u8]) -> Option<(i32, &[u8])> {
    let (date, rest) = text.split_at_checked(10)?;
    let [b'-', b'-'] = [date[4], date[7]] else { return None };
    let year = two(date[0], date[1])? * 100 + two(date[2], date[3])?;
    let date = NaiveDate::from_ymd_opt(year.cast_signed(), two(date[5], date[6])?, two(date[8], date[9])?)?;
    Some((days(date), rest))
}

/// `HH:MM:SS` with up to nine further digits; what is finer than a microsecond is cut off.
fn short_time(text: &[u8]) -> Option<(i64, &[u8])> {
    let (time, rest) = text.split_at_checked(8)?;
    let [b':', b':'] = [time[2], time[5]] else { return None };
    let (hour, minute, second) = (two(time[0], time[1])?, two(time[3], time[4])?, two(time[6], time[7])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    let Some(fraction) = rest.strip_prefix(b".") else { return Some((seconds * SECOND, rest)) };
    let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let (digits, rest) = fraction.split_at(digits);
    let micros = (0..6).fold(0, |micros, place| micros * 10 + digits.get(place).map_or(0, |b| i64::from(b - b'0')));
    Some((seconds * SECOND + micros, rest))
}

/// Microseconds east of Greenwich.
fn short_offset(zone: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match *zone {
        [b'Z'] | [b' ', b'U', b'T', b'C'] => return Some(0),
        [sign, h, o] => (sign, two(h, o)?, 0),
        [sign, h, o, b':', m, i] | [sign, h, o, m, i] => (sign, two(h, o)?, two(m, i)?),
        _ => return None,
    };
    let east = i64::from(hours * 3600 + minutes * 60) * SECOND;
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        b'+' => Some(east),
        b'-' => Some(-east),
        _ => None,
    }
}

fn two(tens: u8, ones: u8) -> Option<u32> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
}

fn days(date: NaiveDate) -> i32 {
    // Chrono's dates are about 96 million days each way.
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_dates_and_times() {
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
        assert_eq!(time("23:59:60"), None);
        assert_eq!(timestamp("1969-12-31T23:59:59.9999999Z"), Some(-1), "cut off towards the past");
        assert_eq!(timestamp("1969-12-31 23:30:00-0030"), Some(0));
        for text in ["2024-02-30", "2024-13-01", "24-01-01", "", "2024-01-01x", "2024-01-01T", "२०२४-01-01"] {
            assert_eq!(date(text), None, "{text}");
        }
        for text in ["24:00:00", "10:60:00", "10:00:00.", "10:00:00.1234567890x", "1:2"] {
            assert_eq!(short_time(text.as_bytes()).filter(|t| t.1.is_empty()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_finds_what_chrono_finds(micros in -60_000_000_000_000_000i64..250_000_000_000_000_000, offset in -1439i32..1440) {
            let zone = chrono::FixedOffset::east_opt(offset * 60).unwrap();
            let instant = DateTime::from_timestamp_micros(micros).unwrap();
            for format in ["%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%.9f%z"] {
                let text = instant.with_timezone(&zone).format(format).to_string();
                prop_assert_eq!(timestamp(&text), Some(micros), "{}", text);
            }
            let text = instant.format("%Y-%m-%d %H:%M:%S%.f").to_string();
            prop_assert_eq!(local_timestamp(&text), Some(micros));
            prop_assert_eq!(date(&text[..10]), Some(i32::try_from(micros.div_euclid(DAY)).unwrap()));
            prop_assert_eq!(time(&text[11..]), Some(micros.rem_euclid(DAY)));
        }
    }
}
