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

/// A crontab that can be looked at without a parser.
#[derive(Debug, Clone)]
struct Crontab {
    minutes: BTreeSet<u32>,
    hours: BTreeSet<u32>,
    /// Days of the week, 0 is Sunday; all if empty.
    days: BTreeSet<u32>,
}

impl Crontab {
    fn expression(&self) -> String {
        let list = |of: &BTreeSet<u32>| of.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let days = if self.days.is_empty() { "*".to_owned() } else { list(&self.days) };
        format!("{} {} * * {days}", list(&self.minutes), list(&self.hours))
    }

    fn names(&self, time: NaiveDateTime) -> bool {
        self.minutes.contains(&time.minute())
            && self.hours.contains(&time.hour())
            && (self.days.is_empty() || self.days.contains(&time.weekday().num_days_from_sunday()))
    }
}

fn crontabs() -> impl Strategy<Value = Crontab> {
    let set = |range: std::ops::Range<u32>, most: usize| prop::collection::btree_set(range, 1..=most);
    // Clocks are changed at night, mostly: hours near midnight are what it is about.
    let hours = prop_oneof![3 => set(0..4, 3), 1 => set(0..24, 6), 1 => Just((0..24).collect())];
    let days = prop_oneof![3 => Just(BTreeSet::new()), 1 => set(0..7, 4)];
    (set(0..60, 4), hours, days).prop_map(|(minutes, hours, days)| Crontab { minutes, hours, days })
}

/// Someone who watches the clock on the wall minute by minute, and knows nothing of zones: a time has come when the clock shows it, or
/// a later one, for the first time.
fn watched(crontab: &Crontab, zone: Tz, from: DateTime<Utc>, minutes: i64) -> Vec<DateTime<Utc>> {
    let shows = |at: DateTime<Utc>| zone.from_utc_datetime(&at.naive_utc()).naive_local();
    // What the clock has shown before it was put back has come already.
    let mut seen = (0..=360).map(|minute| shows(from - TimeDelta::minutes(minute))).max().unwrap_or_default();
    let mut fires = Vec::new();
    for minute in 1..=minutes {
        let now = from + TimeDelta::minutes(minute);
        let mut come = false;
        while seen < shows(now) {
            seen += TimeDelta::minutes(1);
            come |= crontab.names(seen);
        }
        fires.extend(come.then_some(now));
    }
    fires
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
    for (zone, change) in all {
        let crontab = crontabs().new_tree(&mut runner).unwrap().current();
        let before = DateTime::from_timestamp(change.timestamp().div_euclid(60) * 60, 0).unwrap();
        check_watched(&crontab, zone, before - TimeDelta::minutes(200), 400);
    }
}

#[track_caller]
fn check_watched(crontab: &Crontab, zone: Tz, from: DateTime<Utc>, minutes: i64) {
    let schedule = of(&crontab.expression(), zone);
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
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same anywhere between, over two days.
    #[test]
    fn any_two_days_of_any_zone(crontab in crontabs(), zone in 0..TZ_VARIANTS.len(), minute in 0..41 * 525_960_i64) {
        check_watched(&crontab, TZ_VARIANTS[zone], at("2000-01-01T00:00:00Z") + TimeDelta::minutes(minute), 2880);
    }
}
