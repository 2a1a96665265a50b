//! Times at which no run begins: `08:00-18:00`, `Mon-Fri 08:00-18:00`, `Sat,Sun 00:00-24:00`, `22:00-06:00`.

use super::problem::Fault;
use super::spec::Blackout;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u16 = 24 * 60;
const FORM: &str = "days, if not every day, and two times: `08:00-18:00`, `Mon-Fri 08:00-18:00`, `Sat,Sun 00:00-24:00`; the days are \
                    those on which it begins";

pub(crate) fn parse(text: &str) -> Result<Blackout, Fault> {
    let wrong = || Fault::new(format!("`{text}` is not a time of the day or week")).hint(FORM);
    let (days, times) = match text.trim().rsplit_once(char::is_whitespace) {
        Some((days, times)) => (self::days(days.trim()).ok_or_else(wrong)?, times),
        None => ([true; 7], text.trim()),
    };
    let (from, until) = times.split_once('-').ok_or_else(wrong)?;
    let (from, until) = (minutes(from).ok_or_else(wrong)?, minutes(until).ok_or_else(wrong)?);
    if from == until || from == DAY {
        let fault = Fault::new(format!("`{text}` is no time at all, or all of it"));
        return Err(fault.hint("`00:00-24:00` is a whole day"));
    }
    // What ends before it begins ends on the next day.
    Ok(Blackout { days, from, minutes: if until > from { until - from } else { DAY - from + until } })
}

/// Whether there is no minute of the week left, as long as clocks are not changed.
pub(crate) fn covers_the_week(windows: &[Blackout]) -> bool {
    let covered = |day: usize, minute: u16| {
        windows.iter().any(|window| {
            let today = window.days[day] && (window.from..window.from + window.minutes).contains(&minute);
            let since_yesterday = window.days[(day + 6) % 7] && minute + DAY < window.from + window.minutes;
            today || since_yesterday
        })
    };
    (0..7).all(|day| (0..DAY).all(|minute| covered(day, minute)))
}

/// `Mon`, `Mon-Fri`, `Sat,Sun`, `Fri-Mon`.
fn days(text: &str) -> Option<[bool; 7]> {
    let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name.trim()));
    let mut days = [false; 7];
    for item in text.split(',') {
        let (first, last) = match item.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(item)?, day(item)?),
        };
        (0..=(last + 7 - first) % 7).for_each(|step| days[(first + step) % 7] = true);
    }
    Some(days)
}

/// `08:00` to `24:00`.
fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number =
        |text: &str| (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u16>().ok())?;
    let (hour, minute) = (number(hour)?, number(minute)?);
    let all = hour * 60 + minute;
    (minute < 60 && all <= DAY).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, days: &str, from: u16, minutes: u16) {
        let shown = |of: [bool; 7]| of.map(|day| if day { 'x' } else { '.' }).iter().collect::<String>();
        let read = parse(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
        assert_eq!((shown(read.days).as_str(), read.from, read.minutes), (days, from, minutes), "{text}");
    }

    #[test]
    fn days_and_times() {
        check("08:00-18:00", "xxxxxxx", 480, 600);
        check("Mon-Fri 08:00-18:00", "xxxxx..", 480, 600);
        check("sat, sun 00:00-24:00", ".....xx", 0, 1440);
        check("Fri-Mon 22:00-06:30", "x...xxx", 1320, 510);
        check("Wed 23:59-00:00", "..x....", 1439, 1);
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "08:00",
            "8:00-9:00",
            "08:00-08:00",
            "24:00-01:00",
            "08:60-09:00",
            "25:00-26:00",
            "Mo 08:00-09:00",
            "08:00-09:00 Mon",
            "-",
        ] {
            let fault = parse(text).unwrap_err();
            assert!(fault.message.contains(text) && fault.hint.is_some(), "{text}: {fault:?}");
        }
    }

    #[test]
    fn a_week_without_a_free_minute_is_found() {
        let all = |texts: &[&str]| covers_the_week(&texts.iter().map(|text| parse(text).unwrap()).collect::<Vec<_>>());
        assert!(all(&["00:00-24:00"]));
        assert!(all(&["12:00-18:00", "18:00-12:00"]));
        assert!(!all(&["Mon-Sat 00:00-24:00", "Sun 00:00-23:59"]));
        assert!(!all(&[]));
    }
}
