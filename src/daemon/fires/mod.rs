//! When a schedule fires, as instants.
//!
//! A schedule's times are those of a wall clock. It fires at the first instant at which the clock shows a time or has passed it:
//! a time that a gap skips (the clock is put forward) fires once, right after the gap, together with all others that the gap skips; a
//! time that an overlap repeats (the clock is put back) fires the first time only.

use crate::job::spec::{Schedule, Timing};
use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The farthest that a clock of the world is from UTC, and an hour.
const FARTHEST: TimeDelta = TimeDelta::hours(15);

/// The first instant after `instant` at which the schedule fires; `None` if it never does again.
pub fn next(schedule: &Schedule, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match &schedule.timing {
        Timing::Never => None,
        Timing::Every(period) => next_multiple(*period, instant),
        Timing::Cron(cron) => {
            let zone = schedule.timezone;
            // The crate knows the calendar; it is asked in UTC, as if the clock on the wall were never touched.
            let shown = instant.with_timezone(&zone).naive_local();
            cron.after(&shown.and_utc()).map(|time| reached(zone, time.naive_utc())).find(|at| *at > instant)
        }
    }
}

/// Every instant after `instant` at which it fires, in order.
pub fn upcoming(schedule: &Schedule, instant: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
    std::iter::successors(next(schedule, instant), |at| next(schedule, *at))
}

/// The last instant after `since` and up to `until`, itself included, at which it fires.
pub fn last(schedule: &Schedule, since: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
    // Looked for from the end on, by windows that grow: years may have passed, and it may fire every second.
    let mut window = TimeDelta::minutes(1);
    loop {
        let from = until.checked_sub_signed(window).map_or(since, |from| from.max(since));
        let found = upcoming(schedule, from).take_while(|at| *at <= until).last();
        if found.is_some() || from == since {
            return found;
        }
        window = window * 8;
    }
}

/// Counted from 1970 on, so that a restart changes nothing.
fn next_multiple(period: std::time::Duration, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let period = i64::try_from(period.as_secs()).ok().filter(|seconds| *seconds > 0)?;
    let next = instant.timestamp().div_euclid(period).checked_add(1)?.checked_mul(period)?;
    DateTime::from_timestamp(next, 0)
}

/// The first instant at which the clock of a zone shows `time` or has passed it.
pub(super) fn reached(zone: Tz, time: NaiveDateTime) -> DateTime<Utc> {
    match zone.from_local_datetime(&time) {
        MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => at.with_timezone(&Utc),
        MappedLocalTime::None => end_of_gap(zone, time),
    }
}

/// The instant at which the clock jumps over `time`, found by halving.
fn end_of_gap(zone: Tz, time: NaiveDateTime) -> DateTime<Utc> {
    let (mut before, mut after) = ((time - FARTHEST).and_utc(), (time + FARTHEST).and_utc());
    while after - before > TimeDelta::seconds(1) {
        let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
        match zone.from_utc_datetime(&middle.naive_utc()).naive_local() < time {
            true => before = middle,
            false => after = middle,
        }
    }
    after
}

#[cfg(test)]
pub(super) mod tests;
