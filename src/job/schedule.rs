//! Crontab expressions, and the time zones that they are in.
//!
//! The `cron` crate wants seconds first, numbers weekdays from 1 = Sunday and joins day of month and day of week by AND.
//! A crontab has no seconds, numbers weekdays from 0 = Sunday (7 too) and joins the two by OR. Expressions are read as
//! crontabs; what the crate cannot express is refused, never reinterpreted.

use super::problem::{Fault, closest, did_you_mean};
use super::spec::Timing;
use super::units;
use chrono::{DateTime, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use std::collections::BTreeSet;
use std::str::FromStr;

const FORMS: &str = "minute hour day-of-month month day-of-week, such as `30 2 * * *`, or `@daily`";
const MACROS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];
const FIELDS: [(&str, &str); 6] = [
    ("second", "0–59"),
    ("minute", "0–59"),
    ("hour", "0–23"),
    ("day of month", "1–31"),
    ("month", "1–12 or JAN–DEC"),
    ("day of week", "0–7, where 0 and 7 are Sunday, or SUN–SAT"),
];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const EVERY: &str = "@every";

/// Parses a schedule: what [`cron`] takes, or `@every` and a duration.
pub(crate) fn timing(expression: &str) -> Result<Timing, Fault> {
    match expression.trim().strip_prefix(EVERY).filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])) {
        None => cron(expression).map(|cron| Timing::Cron(Box::new(cron))),
        Some(period) => {
            let form = |fault: Fault| fault.hint("`@every` and a duration, such as `@every 6h` or `@every 30m`");
            let period = units::age(period.trim()).map_err(form)?;
            match period.as_secs() {
                0 => Err(form(Fault::new("a job runs once a second at most"))),
                _ if period.subsec_nanos() > 0 => Err(form(Fault::new("a period has whole seconds"))),
                _ => Ok(Timing::Every(period)),
            }
        }
    }
}

/// Parses a crontab expression of 5 fields, of 6 with seconds, or a macro.
pub(crate) fn cron(expression: &str) -> Result<cron::Schedule, Fault> {
    let trimmed = expression.trim();
    let plain = match MACROS.iter().find(|(name, _)| *name == trimmed) {
        Some((_, plain)) => plain,
        None if trimmed.starts_with('@') => {
            let suggestion = did_you_mean(trimmed, MACROS.iter().map(|(name, _)| *name).chain([EVERY]));
            return Err(Fault::new(format!("unknown schedule `{trimmed}`{suggestion}")).hint(FORMS));
        }
        None => trimmed,
    };
    let mut fields: Vec<String> = plain.split_whitespace().map(str::to_owned).collect();
    match fields.len() {
        5 => fields.insert(0, "0".to_owned()),
        6 => {}
        count => return Err(Fault::new(format!("a schedule has 5 fields, this has {count}")).hint(FORMS)),
    }
    let restricted = |field: &str| !field.starts_with(['*', '?']);
    if restricted(&fields[3]) && restricted(&fields[5]) {
        let fault =
            Fault::new("day of month and day of week are both restricted, which a crontab reads as either of them");
        return Err(fault.hint("make one of the two `*`, and use two jobs if either day is meant"));
    }
    fields[5] = weekdays(&fields[5])?;
    let parsed = cron::Schedule::from_str(&fields.join(" ")).map_err(|_| culprit(&fields))?;
    // Any fixed instant will do: an expression that never fires again from here is February the 30th or its like.
    if parsed.after(&DateTime::<Utc>::from_timestamp(1_735_689_600, 0).unwrap_or_default()).next().is_none() {
        return Err(Fault::new("this schedule never fires").hint("no year has such a day"));
    }
    Ok(parsed)
}

/// The first field that does not parse by itself.
fn culprit(fields: &[String]) -> Fault {
    for (i, (name, range)) in FIELDS.iter().enumerate() {
        let alone: Vec<&str> = (0..6).map(|j| if i == j { fields[j].as_str() } else { "*" }).collect();
        if cron::Schedule::from_str(&alone.join(" ")).is_err() {
            return Fault::new(format!("`{}` is not a valid {name}", fields[i])).hint(format!("{name}: {range}"));
        }
    }
    Fault::new("not a schedule").hint(FORMS)
}

/// A crontab's day-of-week field in day names, which are the same everywhere.
fn weekdays(field: &str) -> Result<String, Fault> {
    if matches!(field, "*" | "?") {
        return Ok("*".to_owned());
    }
    let wrong = || {
        Fault::new(format!("`{field}` is not a valid day of week")).hint(format!("{}: {}", FIELDS[5].0, FIELDS[5].1))
    };
    let mut days = BTreeSet::new();
    for item in field.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => {
                (range, Some(step.parse::<usize>().ok().filter(|s| (1..=7).contains(s)).ok_or_else(wrong)?))
            }
            None => (item, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (0, 6),
            Some((first, last)) => {
                let (first, last) = (weekday(first).ok_or_else(wrong)?, weekday(last).ok_or_else(wrong)?);
                // The Sunday that ends a range is the seventh day: `FRI-SUN`.
                (first, if last == 0 && first > 0 { 7 } else { last })
            }
            // `1/2`: from Monday on, every second day.
            None => weekday(range).map(|day| (day, if step.is_some() { 6.max(day) } else { day })).ok_or_else(wrong)?,
        };
        if first > last {
            return Err(wrong());
        }
        days.extend((first..=last).step_by(step.unwrap_or(1)).map(|day| day % 7));
    }
    Ok(days.into_iter().map(|day| DAYS[day]).collect::<Vec<_>>().join(","))
}

fn weekday(text: &str) -> Option<usize> {
    if text.len() == 1 {
        return text.parse().ok().filter(|day| *day <= 7);
    }
    DAYS.iter().position(|day| day.eq_ignore_ascii_case(text))
}

/// A zone by its IANA name.
pub(crate) fn timezone(name: &str) -> Result<Tz, Fault> {
    Tz::from_str(name).map_err(|_| {
        let city = |zone: &'static str| zone.rsplit('/').next().unwrap_or(zone);
        let zones = || TZ_VARIANTS.iter().map(|zone| zone.name());
        let by_city =
            || closest(&name.replace(' ', "_"), zones().map(city)).and_then(|c| zones().find(|z| city(z) == c));
        let suggestion = closest(name, zones()).or_else(by_city);
        let suggestion = suggestion.map(|zone| format!(" (did you mean `{zone}`?)")).unwrap_or_default();
        Fault::new(format!("unknown time zone `{name}`{suggestion}"))
            .hint("an IANA name such as `America/New_York`, `Europe/Berlin` or `UTC`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, TimeZone, Timelike, Weekday};

    /// The weekdays on which it fires within a week from a Sunday.
    fn days(expression: &str) -> Vec<Weekday> {
        let sunday = Utc.with_ymd_and_hms(2026, 3, 1, 0, 0, 0).unwrap();
        let schedule = cron(expression).unwrap_or_else(|fault| panic!("{expression}: {fault:?}"));
        let week = schedule.after(&(sunday - chrono::TimeDelta::seconds(1)));
        let mut days: Vec<Weekday> =
            week.take_while(|at| *at < sunday + chrono::TimeDelta::days(7)).map(|at| at.weekday()).collect();
        days.dedup();
        days
    }

    #[test]
    fn weekdays_are_numbered_as_in_a_crontab() {
        use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
        let cases: [(&str, &[Weekday]); 18] = [
            ("* * * * 1", &[Mon]),
            ("0 3 * * 0", &[Sun]),
            ("0 3 * * 7", &[Sun]),
            ("0 3 * * 0,7", &[Sun]),
            ("0 3 * * 1-5", &[Mon, Tue, Wed, Thu, Fri]),
            ("0 3 * * 5-7", &[Sun, Fri, Sat]),
            ("0 3 * * 0-6", &[Sun, Mon, Tue, Wed, Thu, Fri, Sat]),
            ("0 3 * * 0-7/2", &[Sun, Tue, Thu, Sat]),
            ("0 3 * * */2", &[Sun, Tue, Thu, Sat]),
            ("0 3 * * 1/2", &[Mon, Wed, Fri]),
            ("0 3 * * 1-5/2", &[Mon, Wed, Fri]),
            ("0 3 * * 1,3,6", &[Mon, Wed, Sat]),
            ("0 3 * * MON", &[Mon]),
            ("0 3 * * mon-wed,Sat", &[Mon, Tue, Wed, Sat]),
            ("0 3 * * FRI-SUN", &[Sun, Fri, Sat]),
            ("0 3 * * ?", &[Sun, Mon, Tue, Wed, Thu, Fri, Sat]),
            ("30 0 3 * * 2", &[Tue]),
            ("@weekly", &[Sun]),
        ];
        for (expression, expected) in cases {
            assert_eq!(days(expression), expected, "{expression}");
        }
    }

    #[test]
    fn five_fields_fire_at_second_zero_and_six_name_it() {
        let from = Utc.with_ymd_and_hms(2026, 3, 1, 0, 0, 0).unwrap();
        let next = |e: &str| cron(e).unwrap().after(&from).next().map(|t| (t.day(), t.hour(), t.minute(), t.second()));
        assert_eq!(next("30 2 * * *"), Some((1, 2, 30, 0)));
        assert_eq!(next("15 30 2 * * *"), Some((1, 2, 30, 15)));
        assert_eq!(next("@daily"), Some((2, 0, 0, 0)));
        assert_eq!(next("@hourly"), Some((1, 1, 0, 0)));
        assert_eq!(next("@monthly"), Some((1, 0, 0, 0)));
        assert_eq!(next("*/15 * * * *"), Some((1, 0, 15, 0)));
        assert_eq!(next("  0   4  * *  * "), Some((1, 4, 0, 0)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let cases = [
            ("", "this has 0"),
            ("0 2 * *", "this has 4"),
            ("0 0 2 * * * 2026", "this has 7"),
            ("0 25 * * *", "`25` is not a valid hour"),
            ("99 2 * * *", "`99` is not a valid minute"),
            ("0 2 * * 8", "`8` is not a valid day of week"),
            ("0 2 * * 5-1", "`5-1` is not a valid day of week"),
            ("0 2 * * */0", "day of week"),
            ("0 2 * * MOM", "day of week"),
            ("*/0 2 * * *", "`*/0` is not a valid minute"),
            ("0 2 L * *", "`L` is not a valid day of month"),
            ("0 2 1 * 1", "either of them"),
            ("0 2 30 2 *", "never fires"),
            ("@dayly", "did you mean `@daily`"),
            ("@reboot", "unknown schedule"),
        ];
        for (expression, expected) in cases {
            let fault = cron(expression).unwrap_err();
            assert!(fault.message.contains(expected), "{expression}: {}", fault.message);
        }
    }

    #[test]
    fn zones_are_suggested_by_name_and_by_city() {
        assert_eq!(timezone("America/New_York").unwrap(), Tz::America__New_York);
        let cases =
            [("America/New_Yrok", "America/New_York"), ("berlin", "Europe/Berlin"), ("New York", "America/New_York")];
        for (name, expected) in cases {
            let message = timezone(name).unwrap_err().message;
            assert!(message.contains(&format!("did you mean `{expected}`?")), "{message}");
        }
    }
}
