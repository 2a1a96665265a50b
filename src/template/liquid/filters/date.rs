//! `date`: strftime as LiquidJS has it, in UTC unless a zone is given.
//!
//! In: what `moment` reads as an instant. What is no date comes out as it is.
//! Deliberately absent: `%c`, `%x` and `%X`, which depend on the machine's language.

use super::moment::moment;
use super::{Args, Filter, filter};
use crate::template::liquid::value::Val;
use chrono::{DateTime, Datelike, FixedOffset, Offset, TimeZone, Timelike};
use std::fmt::Write;

pub(super) static FILTERS: [Filter; 2] = [
    filter("date", 0, 2, |value, args| date(value, args, None)),
    filter("date_to_xmlschema", 0, 0, |value, args| date(value, args, Some("%Y-%m-%dT%H:%M:%S%:z"))),
];

const DEFAULT: &str = "%A, %B %-e, %Y at %-l:%M %P %z";
const CODES: &str = "aAbBCdeHIjklLmMNpPqsSuUwWyYzZtn%h";
/// The widest that a number is padded to.
const WIDEST: usize = 64;

fn date<'a>(value: Val<'a>, args: &Args<'a>, format: Option<&str>) -> Result<Val<'a>, String> {
    let Some(moment) = moment(&value, args.now) else { return Ok(value) };
    let given = args.get(0).filter(|format| !format.is_nil()).map(Val::text);
    let format = format.or(given.as_deref()).unwrap_or(DEFAULT);
    let (shown, zone) = match args.get(1).filter(|zone| !zone.is_nil()) {
        None => (moment.fixed_offset(), "UTC".to_owned()),
        Some(Val::Text(name)) => {
            let zone: chrono_tz::Tz = name.parse().map_err(|_| format!("knows no time zone `{name:.40}`"))?;
            let offset = zone.offset_from_utc_datetime(&moment.naive_utc()).fix();
            (moment.with_timezone(&offset), name.to_string())
        }
        // Minutes to the west, as JavaScript counts.
        Some(minutes) => {
            let offset = minutes.whole().checked_mul(-60).and_then(|west| FixedOffset::east_opt(west.try_into().ok()?));
            (moment.with_timezone(&offset.ok_or("needs a zone within a day of UTC")?), String::new())
        }
    };
    let mut out = String::new();
    write_date(&shown, &zone, format, &mut out);
    Ok(Val::owned(out))
}

/// Whether each `%` of a format means something.
///
/// # Errors
/// The first that does not.
pub(super) fn check(format: &str) -> Result<(), String> {
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        let (code, after) = Code::read(&rest[at..]);
        match code {
            Some(code) if CODES.contains(code.letter) => rest = after,
            _ => {
                let shown: String = rest[at..].chars().take(3).collect();
                return Err(format!("`{shown}` means nothing in a date's format; there are: %{}", spaced(CODES)));
            }
        }
    }
    Ok(())
}

fn spaced(codes: &str) -> String {
    codes.chars().map(String::from).collect::<Vec<_>>().join(" %")
}

/// `%`, flags, a width, `E` or `O`, and a letter.
struct Code<'f> {
    flags: &'f str,
    width: Option<usize>,
    letter: char,
}

impl<'f> Code<'f> {
    /// The code that a format begins with, and what follows it.
    fn read(format: &'f str) -> (Option<Code<'f>>, &'f str) {
        let body = &format[1..];
        let end = |text: &str, of: fn(char) -> bool| text.find(|c| !of(c)).unwrap_or(text.len());
        let (flags, rest) = body.split_at(end(body, |c| "-_0^#:".contains(c)));
        let (width, rest) = rest.split_at(end(rest, |c| c.is_ascii_digit()));
        let rest = match rest.strip_prefix(['E', 'O']) {
            Some(more) if !more.is_empty() => more,
            _ => rest,
        };
        let Some(letter) = rest.chars().next() else { return (None, body) };
        let width = width.parse::<usize>().ok().map(|width| width.min(WIDEST));
        (Some(Code { flags, width, letter }), &rest[letter.len_utf8()..])
    }
}

fn write_date(time: &DateTime<FixedOffset>, zone: &str, format: &str, out: &mut String) {
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (code, after) = Code::read(&rest[at..]);
        match code {
            Some(code) => match field(time, zone, &code) {
                Some((text, pad, width)) => padded(&text, pad, width, &code, out),
                None => out.push_str(&rest[at..rest.len() - after.len()]),
            },
            None => out.push('%'),
        }
        rest = after;
    }
    out.push_str(rest);
}

/// The text of a code, what it is padded with, and how wide it is by itself.
fn field(time: &DateTime<FixedOffset>, zone: &str, code: &Code<'_>) -> Option<(String, char, usize)> {
    let number = |value: i64, width: usize| Some((value.to_string(), '0', width));
    let spaced = |value: i64, width: usize| Some((value.to_string(), ' ', width));
    let word = |format: &str| Some((time.format(format).to_string(), ' ', 0));
    let hour12 = i64::from(time.hour12().1);
    match code.letter {
        'a' | 'A' | 'b' | 'B' => word(&format!("%{}", code.letter)),
        'h' => Some((time.format("%b").to_string(), '0', 0)),
        'C' => number(i64::from(time.year().div_euclid(100)), 2),
        'd' => number(i64::from(time.day()), 2),
        'e' => spaced(i64::from(time.day()), 2),
        'H' => number(i64::from(time.hour()), 2),
        'k' => spaced(i64::from(time.hour()), 2),
        'I' => number(hour12, 2),
        'l' => spaced(hour12, 2),
        'j' => number(i64::from(time.ordinal()), 3),
        'L' => number(i64::from(time.timestamp_subsec_millis()), 3),
        'm' => number(i64::from(time.month()), 2),
        'M' => number(i64::from(time.minute()), 2),
        'N' => Some((fraction(time, code), '0', 0)),
        'p' => word("%p"),
        'P' => word("%P"),
        'q' => Some((ordinal(time.day()).to_owned(), '0', 0)),
        's' => number(time.timestamp(), 0),
        'S' => number(i64::from(time.second()), 2),
        'u' => number(i64::from(time.weekday().number_from_monday()), 0),
        'w' => number(i64::from(time.weekday().num_days_from_sunday()), 0),
        'U' => number(week(time, time.weekday().num_days_from_sunday()), 2),
        'W' => number(week(time, time.weekday().num_days_from_monday()), 2),
        'y' => number(i64::from(time.year().rem_euclid(100)), 2),
        'Y' => number(i64::from(time.year()), 4),
        'z' => Some((offset(time, code), '0', 0)),
        'Z' if zone.is_empty() => Some((offset(time, code), '0', 0)),
        'Z' => Some((zone.to_owned(), '0', 0)),
        't' => Some(("\t".to_owned(), '0', 0)),
        'n' => Some(("\n".to_owned(), '0', 0)),
        '%' => Some(("%".to_owned(), '0', 0)),
        _ => None,
    }
}

/// As many digits of a second as the width asks for, of which JavaScript knows three.
fn fraction(time: &DateTime<FixedOffset>, code: &Code<'_>) -> String {
    let millis = format!("{:03}", time.timestamp_subsec_millis());
    let width = code.width.filter(|width| *width > 0).unwrap_or(9);
    format!("{:0<width$}", &millis[..width.min(3)])
}

fn padded(text: &str, pad: char, width: usize, code: &Code<'_>, out: &mut String) {
    let has = |flag: char| code.flags.contains(flag);
    let text = match () {
        () if has('^') => text.to_uppercase(),
        () if has('#') && text.chars().any(|c| c.is_ascii_lowercase()) => text.to_uppercase(),
        () if has('#') => text.to_lowercase(),
        () => text.to_owned(),
    };
    let pad = if has('_') {
        ' '
    } else if has('0') {
        '0'
    } else {
        pad
    };
    let width = if has('-') { 0 } else { code.width.filter(|width| *width > 0).unwrap_or(width) };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) if pad == '0' => ("-", digits),
        _ => ("", text.as_str()),
    };
    out.push_str(sign);
    let missing = (width - sign.len().min(width)).saturating_sub(digits.chars().count());
    out.extend(std::iter::repeat_n(pad, missing));
    out.push_str(digits);
}

fn ordinal(day: u32) -> &'static str {
    match (day, day % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

/// Week of the year; `since`: days since the week began. Days before the first whole week are in week 0.
fn week(time: &DateTime<FixedOffset>, since: u32) -> i64 {
    (i64::from(time.ordinal()) + 6 - i64::from(since)) / 7
}

fn offset(time: &DateTime<FixedOffset>, code: &Code<'_>) -> String {
    let minutes = time.offset().local_minus_utc() / 60;
    let (sign, size) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
    let colon = if code.flags.contains(':') { ":" } else { "" };
    let mut out = String::new();
    let _ = write!(out, "{sign}{:02}{colon}{:02}", size / 60, size % 60);
    out
}
