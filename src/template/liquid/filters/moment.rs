//! Instants, as people and programs write them.
//!
//! In: ISO 8601 in its usual spellings (UTC where it names no zone), `YYYY/MM/DD`, `MM/DD/YYYY`, RFC 2822, a month's name with
//! day and year, or Unix seconds. `"now"` and `"today"` are the start of the run.

use crate::template::liquid::value::Val;
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};

/// The instant that a value names.
pub(super) fn moment(value: &Val<'_>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match value {
        Val::Text(text) | Val::Json(text) if matches!(&**text, "now" | "today") => Some(now),
        Val::Text(text) | Val::Json(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            DateTime::from_timestamp(text.parse().ok()?, 0)
        }
        Val::Text(text) | Val::Json(text) => read(text.trim()),
        Val::Num(number) => {
            let millis = number.to_f64() * 1000.0;
            millis.is_finite().then(|| DateTime::from_timestamp_millis(millis as i64))?
        }
        _ => None,
    }
}

fn read(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    if let Ok(time) = DateTime::parse_from_rfc2822(text) {
        return Some(time.to_utc());
    }
    let (local, zone) = split_zone(text);
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
        .iter()
        .chain(&["%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M"])
        .chain(&["%B %d, %Y %H:%M:%S", "%B %d, %Y %H:%M", "%d %B %Y %H:%M:%S", "%d %B %Y %H:%M"])
        .find_map(|format| NaiveDateTime::parse_from_str(local, format).ok());
    let days = || {
        ["%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%B %d, %Y", "%B %d %Y", "%d %B %Y"]
            .iter()
            .find_map(|format| NaiveDate::parse_from_str(local, format).ok())?
            .and_hms_opt(0, 0, 0)
    };
    let month = || NaiveDate::parse_from_str(&format!("{local}-01"), "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let naive = naive.or_else(days).or_else(month)?;
    Some(naive.checked_sub_signed(TimeDelta::seconds(zone))?.and_utc())
}

/// The text without its zone, and the zone in seconds east of UTC.
fn split_zone(text: &str) -> (&str, i64) {
    if let Some(local) =
        text.strip_suffix(['Z', 'z']).or_else(|| text.strip_suffix(" UTC")).or_else(|| text.strip_suffix(" GMT"))
    {
        return (local.trim_end(), 0);
    }
    let found = text.rfind(['+', '-']).filter(|at| text[..*at].contains(':'));
    let parsed = found.and_then(|at| {
        let digits: String = text[at + 1..].chars().filter(|c| *c != ':').collect();
        if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let minutes = digits[..2].parse::<i64>().ok()? * 60 + digits[2..].parse::<i64>().ok()?;
        let east = if text[at..].starts_with('+') { minutes } else { -minutes };
        Some((text[..at].trim_end(), east * 60))
    });
    parsed.unwrap_or((text, 0))
}
