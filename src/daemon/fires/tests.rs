use super::*;
use crate::job::schedule;
use chrono::{Datelike, Timelike};
use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use std::collections::{BTreeMap, BTreeSet};

pub(in crate::daemon) fn of(expression: &str, zone: Tz) -> Schedule {
    let timing = schedule::timing(expression).unwrap_or_else(|fault| panic!("{expression}: {fault:?}"));
    Schedule {
        expression: expression.to_owned(),
        timing,
        timezone: zone,
        catch_up: std::time::Duration::ZERO,
        queues: false,
        jitter: std::time::Duration::ZERO,
        blackout: Vec::new(),
        depends_on: Vec::new(),
        on_file: None,
        run_after: Vec::new(),
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn check(expression: &str, zone: &str, from: &str, expected: &[&str]) {
    let schedule = of(expression, zone.parse().unwrap());
    let fires: Vec<_> = upcoming(&schedule, at(from)).take(expected.len()).collect();
    assert_eq!(fires, expected.iter().map(|text| at(text)).collect::<Vec<_>>());
}

#[test]
fn a_time_that_is_skipped_fires_once_right_after_the_gap() {
    // New York went from 02:00 to 03:00 on 2026-03-08, at 07:00 UTC.
    let next_day = "2026-03-09T06:30:00Z";
    check("30 2 * * *", "America/New_York", "2026-03-08T05:00:00Z", &["2026-03-08T07:00:00Z", next_day]);
    check(
        "*/20 2 * * *",
        "America/New_York",
        "2026-03-08T05:00:00Z",
        &["2026-03-08T07:00:00Z", "2026-03-09T06:00:00Z"],
    );
    // Together with what is due then anyway.
    check(
        "30 2,3 * * *",
        "America/New_York",
        "2026-03-08T05:00:00Z",
        &["2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z"],
    );
    check(
        "0 * * * *",
        "America/New_York",
        "2026-03-08T05:30:00Z",
        &["2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z"],
    );
    // Apia left out the whole of 2011-12-30.
    check(
        "0 12 * * *",
        "Pacific/Apia",
        "2011-12-29T00:00:00Z",
        &["2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"],
    );
}

#[test]
fn a_time_that_is_repeated_fires_the_first_time_only() {
    // New York went from 02:00 back to 01:00 on 2026-11-01, at 06:00 UTC.
    check("30 1 * * *", "America/New_York", "2026-11-01T00:00:00Z", &["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]);
    // Asked in the second hour, it does not fire again either.
    check("30 1 * * *", "America/New_York", "2026-11-01T06:10:00Z", &["2026-11-02T06:30:00Z"]);
    check("0 * * * *", "America/New_York", "2026-11-01T04:30:00Z", &["2026-11-01T05:00:00Z", "2026-11-01T07:00:00Z"]);
    // Lord Howe goes back by half an hour only.
    check(
        "45 1 * * *",
        "Australia/Lord_Howe",
        "2026-04-04T00:00:00Z",
        &["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"],
    );
}

#[test]
fn a_period_is_counted_from_1970_whatever_the_zone() {
    check("@every 6h", "Asia/Kolkata", "2026-03-08T05:00:00Z", &["2026-03-08T06:00:00Z", "2026-03-08T12:00:00Z"]);
    check("@every 90s", "UTC", "2026-03-08T06:00:00Z", &["2026-03-08T06:01:30Z", "2026-03-08T06:03:00Z"]);
}

#[test]
fn the_last_fire_is_found_whatever_the_time_between() {
    let (since, until) = (at("2000-01-01T00:00:00Z"), at("2026-06-15T12:00:30Z"));
    for (expression, expected) in [
        ("* * * * * *", Some("2026-06-15T12:00:30Z")),
        ("*/7 * * * *", Some("2026-06-15T12:00:00Z")),
        ("0 0 29 2 *", Some("2024-02-29T00:00:00Z")),
        ("0 0 1 1 *", Some("2026-01-01T00:00:00Z")),
        ("@every 24h", Some("2026-06-15T00:00:00Z")),
    ] {
        assert_eq!(last(&of(expression, Tz::UTC), since, until), expected.map(at), "{expression}");
    }
    // What fired at `since` has been seen.
    let noon = of("0 12 * * *", Tz::UTC);
    assert_eq!(last(&noon, at("2026-06-15T12:00:00Z"), until), None);
    assert_eq!(last(&noon, at("2026-06-15T11:59:59Z"), until), Some(at("2026-06-15T12:00:00Z")));
    assert_eq!(last(&noon, at("2026-06-15T11:00:00Z"), at("2026-06-15T12:00:00Z")), Some(at("2026-06-15T12:00:00Z")));
}

/// A crontab that can be looked at without a parser. A set that is empty stands for everything.
#[derive(Debug, Clone, Default)]
struct Crontab {
    /// As somebody writes it.
    expression: String,
    /// Never empty; 0 alone where none are written.
    seconds: BTreeSet<u32>,
    minutes: BTreeSet<u32>,
    hours: BTreeSet<u32>,
    month_days: BTreeSet<u32>,
    months: BTreeSet<u32>,
    /// Days of the week, 0 is Sunday.
    days: BTreeSet<u32>,
}

impl Crontab {
    /// Whether a minute of the clock on the wall is one of its own.
    fn names(&self, time: NaiveDateTime) -> bool {
        let has = |of: &BTreeSet<u32>, value: u32| of.is_empty() || of.contains(&value);
        has(&self.minutes, time.minute())
            && has(&self.hours, time.hour())
            && has(&self.month_days, time.day())
            && has(&self.months, time.month())
            && has(&self.days, time.weekday().num_days_from_sunday())
    }

    /// `by_name`: months and days of the week have their names; `in_ranges`: neighbours are written as one.
    fn written(self, by_name: bool, in_ranges: bool) -> Self {
        let number = |value: u32| value.to_string();
        let month = |value: u32| if by_name { MONTHS[value as usize - 1].to_owned() } else { number(value) };
        let day = |value: u32| if by_name { DAYS[value as usize].to_owned() } else { number(value) };
        let mut fields = vec![
            field(&self.minutes, in_ranges, number),
            field(&self.hours, in_ranges, number),
            field(&self.month_days, in_ranges, number),
            field(&self.months, in_ranges, month),
            field(&self.days, in_ranges, day),
        ];
        if self.seconds != BTreeSet::from([0]) {
            fields.insert(0, field(&self.seconds, in_ranges, number));
        }
        Crontab { expression: fields.join(" "), ..self }
    }
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

fn field(of: &BTreeSet<u32>, in_ranges: bool, word: impl Fn(u32) -> String) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &value in of {
        match ranges.last_mut() {
            Some((_, last)) if in_ranges && *last + 1 == value => *last = value,
            _ => ranges.push((value, value)),
        }
    }
    let told = ranges.iter().map(|&(first, last)| match first == last {
        true => word(first),
        false => format!("{}-{}", word(first), word(last)),
    });
    if of.is_empty() { "*".to_owned() } else { told.collect::<Vec<_>>().join(",") }
}

/// What the words of a crontab stand for.
fn words() -> impl Strategy<Value = Crontab> {
    let of = |expression: &str, month_days: &[u32], months: &[u32], days: &[u32]| Crontab {
        expression: expression.to_owned(),
        seconds: BTreeSet::from([0]),
        minutes: BTreeSet::from([0]),
        hours: if expression == "@hourly" { BTreeSet::new() } else { BTreeSet::from([0]) },
        month_days: month_days.iter().copied().collect(),
        months: months.iter().copied().collect(),
        days: days.iter().copied().collect(),
    };
    prop::sample::select(vec![
        of("@hourly", &[], &[], &[]),
        of("@daily", &[], &[], &[]),
        of("@midnight", &[], &[], &[]),
        of("@weekly", &[], &[], &[0]),
        of("@monthly", &[1], &[], &[]),
        of("@yearly", &[1], &[1], &[]),
        of("@annually", &[1], &[1], &[]),
    ])
}

/// Crontabs of which many fire about this day.
fn crontabs(near: NaiveDateTime) -> impl Strategy<Value = Crontab> {
    let set = |range: std::ops::Range<u32>, most: usize| prop::collection::btree_set(range, 1..=most);
    let none = || Just(BTreeSet::new());
    // That day, or one beside it, is among them more often than not: else a window of hours would hardly see one of them fire.
    let about = move |range: std::ops::Range<u32>, value: u32, most: usize| {
        let beside = (value + 1).min(range.end - 1);
        let with = |value: u32| {
            move |mut of: BTreeSet<u32>| {
                of.insert(value);
                of
            }
        };
        prop_oneof![
            3 => set(range.clone(), most).prop_map(with(value)),
            1 => set(range.clone(), most).prop_map(with(beside)),
            1 => set(range, most),
        ]
    };
    let seconds = prop_oneof![3 => Just(BTreeSet::from([0])), 1 => set(0..60, 3)];
    // Clocks are changed at night, mostly: hours near midnight are what it is about.
    let hours = prop_oneof![3 => set(0..4, 3), 1 => set(0..24, 6), 1 => none()];
    let months = prop_oneof![3 => none(), 1 => about(1..13, near.month(), 4)];
    // Of the month, of the week, or any: a crontab that restricts both is refused.
    let days = prop_oneof![
        2 => Just((BTreeSet::new(), BTreeSet::new())),
        1 => about(1..32, near.day(), 5).prop_map(|days| (days, BTreeSet::new())),
        1 => about(0..7, near.weekday().num_days_from_sunday(), 3).prop_map(|days| (BTreeSet::new(), days)),
    ];
    let drawn = (seconds, set(0..60, 4), hours, months, days, any::<(bool, bool)>()).prop_map(
        |(seconds, minutes, hours, months, (mut month_days, days), (by_name, in_ranges))| {
            if !months.is_empty() && month_days.iter().all(|day| *day > 28) && !month_days.is_empty() {
                // There may be no such day in these months, and what never fires is refused.
                month_days.insert(28);
            }
            Crontab { seconds, minutes, hours, month_days, months, days, ..Crontab::default() }
                .written(by_name, in_ranges)
        },
    );
    prop_oneof![9 => drawn, 1 => words()]
}

/// Someone who watches the clock on the wall, and knows nothing of zones: a time has come when the clock shows it, or a later one, for the first time. They look
/// minute by minute, for since 2000 no clock was changed within one, and in a minute that is shown second by second.
fn watched(crontab: &Crontab, zone: Tz, from: DateTime<Utc>, minutes: i64) -> Vec<DateTime<Utc>> {
    let shows = |at: DateTime<Utc>| zone.from_utc_datetime(&at.naive_utc()).naive_local();
    // What the clock has shown before it was put back has come already.
    let mut seen = (1..=360).map(|minute| shows(from - TimeDelta::minutes(minute))).max().unwrap_or_default();
    let mut fires = BTreeSet::new();
    for minute in 0..=minutes {
        let now = from + TimeDelta::minutes(minute);
        let shown = shows(now);
        while seen < shown {
            seen += TimeDelta::minutes(1);
            match crontab.names(seen) {
                // All of a minute that is skipped comes at once.
                true if seen < shown => _ = fires.insert(now),
                true => fires.extend(crontab.seconds.iter().map(|second| now + TimeDelta::seconds((*second).into()))),
                false => {}
            }
        }
    }
    let until = from + TimeDelta::minutes(minutes);
    fires.into_iter().filter(|at| *at > from && *at <= until).collect()
}

/// The instants in 2000–2040 at which a zone's clock is changed.
fn changes(zone: Tz) -> Vec<DateTime<Utc>> {
    let offset = |at: DateTime<Utc>| {
        let local = zone.from_utc_datetime(&at.naive_utc()).naive_local();
        (local - at.naive_utc()).num_seconds()
    };
    let (mut at, end) = (at("2000-01-01T00:00:00Z"), at("2041-01-01T00:00:00Z"));
    let mut found = Vec::new();
    while at < end {
        let (mut before, mut after) = (at, at + TimeDelta::hours(12));
        at = after;
        if offset(before) == offset(after) {
            continue;
        }
        while after - before > TimeDelta::seconds(1) {
            let middle = before + (after - before) / 2;
            let middle = DateTime::from_timestamp(middle.timestamp(), 0).unwrap();
            match offset(middle) == offset(before) {
                true => before = middle,
                false => after = middle,
            }
        }
        found.push(after);
    }
    found
}

/// For every zone and every change of its clock: the fires around it are those that somebody sees who watches the clock.
#[test]
fn every_change_of_every_clock_is_met_as_by_somebody_who_watches_it() {
    // Zones of the same changes and the same offset are one.
    let mut zones = BTreeMap::new();
    for zone in TZ_VARIANTS {
        let changes = changes(zone);
        let offset = |at: &DateTime<Utc>| zone.from_utc_datetime(&at.naive_utc()).naive_local();
        let shown: Vec<_> = changes.iter().chain([&at("2000-01-01T00:00:00Z")]).map(offset).collect();
        zones.entry((changes, shown)).or_insert(zone);
    }
    let all: Vec<(Tz, DateTime<Utc>)> =
        zones.iter().flat_map(|((changes, _), zone)| changes.iter().map(|change| (*zone, *change))).collect();
    assert!(
        TZ_VARIANTS.len() > 500 && zones.len() > 150 && all.len() > 5_000,
        "{} zones, {} changes",
        zones.len(),
        all.len()
    );
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let (mut fired, mut forms) = (0, BTreeMap::<&str, usize>::new());
    for (zone, change) in all {
        let near = zone.from_utc_datetime(&change.naive_utc()).naive_local();
        let crontab = crontabs(near).new_tree(&mut runner).unwrap().current();
        let before = DateTime::from_timestamp(change.timestamp().div_euclid(60) * 60, 0).unwrap();
        let fires = check_watched(&crontab, zone, before - TimeDelta::minutes(200), 400);
        fired += usize::from(fires > 0);
        let counted = [
            ("seconds", crontab.seconds.len() > 1),
            ("days of the month", !crontab.month_days.is_empty()),
            ("months", !crontab.months.is_empty()),
            ("days of the week", !crontab.days.is_empty()),
            ("names", crontab.expression.contains(|c: char| c.is_ascii_uppercase())),
            ("words", crontab.expression.starts_with('@')),
            ("ranges", crontab.expression.contains('-')),
        ];
        counted.iter().filter(|(_, is)| *is && fires > 0).for_each(|(form, _)| *forms.entry(form).or_default() += 1);
    }
    // Most of them fire about the change, and so do some of each form.
    println!("{fired} fired: {forms:?}");
    assert!(fired > 2_000 && forms.len() == 7 && forms.values().all(|count| *count > 50), "{fired}: {forms:?}");
}

/// Returns how often it fires.
#[track_caller]
fn check_watched(crontab: &Crontab, zone: Tz, from: DateTime<Utc>, minutes: i64) -> usize {
    let schedule = of(&crontab.expression, zone);
    let until = from + TimeDelta::minutes(minutes);
    let fires: Vec<_> = upcoming(&schedule, from).take_while(|at| *at <= until).collect();
    let expected = watched(crontab, zone, from, minutes);
    assert_eq!(fires, expected, "{} in {zone} from {from}", schedule.expression);
    assert_eq!(
        last(&schedule, from, until),
        expected.last().copied(),
        "{} in {zone} until {until}",
        schedule.expression
    );
    expected.len()
}

fn two_days() -> impl Strategy<Value = (usize, DateTime<Utc>, Crontab)> {
    let when = (0..TZ_VARIANTS.len(), 0..41 * 525_960_i64);
    when.prop_flat_map(|(zone, minute)| {
        let from = at("2000-01-01T00:00:00Z") + TimeDelta::minutes(minute);
        (Just(zone), Just(from), crontabs(from.naive_utc()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same anywhere between, over two days.
    #[test]
    fn any_two_days_of_any_zone((zone, from, crontab) in two_days()) {
        check_watched(&crontab, TZ_VARIANTS[zone], from, 2880);
    }
}
