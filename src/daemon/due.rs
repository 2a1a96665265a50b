//! What is to be done with a job now, by its schedule alone.
//!
//! In: the schedule, up to when its fires have been dealt with, the present instant. Out: a [`Step`].
//! Always holds: of all fires that are due the last one counts, and stands for the others; a fire begins at its time, put off by the
//! job's jitter and to the end of a blackout; one that could not begin within `catch_up` of that is missed.

use super::fires;
use crate::job::spec::{Blackout, Schedule};
use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, TimeZone as _, Timelike as _, Utc};
use chrono_tz::Tz;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// What begins within this time is not late, whatever `catch_up` says: nobody looks at a clock without a pause.
const PUNCTUAL: TimeDelta = TimeDelta::minutes(1);
/// Fires are not counted beyond.
const MANY: usize = 10_000;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this instant.
    Wait(DateTime<Utc>),
    /// Nothing, ever.
    Never,
    /// A run is to begin.
    Run(Due),
    /// It is too late for a run.
    Miss(Due),
}

impl Step {
    /// When something is due: the fire's own instant once it is; `None`: never.
    pub fn at(self) -> Option<DateTime<Utc>> {
        match self {
            Step::Wait(at) => Some(at),
            Step::Run(due) | Step::Miss(due) => Some(due.at),
            Step::Never => None,
        }
    }
}

/// A fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The instant of the schedule.
    pub at: DateTime<Utc>,
    /// So many earlier ones come together in it; not counted beyond 10,000.
    pub collapsed: u64,
}

/// What is to be done with the job `job`. `handled`: its fires up to this instant have been dealt with, or are none of our business.
pub fn step(job: &str, schedule: &Schedule, handled: DateTime<Utc>, now: DateTime<Utc>) -> Step {
    let delay = delay(job, schedule.jitter);
    let Some(at) = fires::last(schedule, handled, now - delay) else {
        let next = fires::next(schedule, handled.max(now - delay));
        return next.map_or(Step::Never, |next| Step::Wait(begin(schedule, next + delay)));
    };
    let begin = begins(job, schedule, at);
    if now < begin {
        return Step::Wait(begin);
    }
    let collapsed = fires::upcoming(schedule, handled).take_while(|fire| *fire < at).take(MANY).count() as u64;
    let due = Due { at, collapsed };
    match now - begin > catch_up(schedule).max(PUNCTUAL) {
        true => Step::Miss(due),
        // It was due before, and now is a bad time.
        false => match blackout_end(schedule, now) {
            Some(end) => Step::Wait(end),
            None => Step::Run(due),
        },
    }
}

/// When a fire is to begin.
pub fn begins(job: &str, schedule: &Schedule, at: DateTime<Utc>) -> DateTime<Utc> {
    begin(schedule, at + delay(job, schedule.jitter))
}

/// Until when a fire may begin.
pub fn deadline(job: &str, schedule: &Schedule, at: DateTime<Utc>) -> DateTime<Utc> {
    begins(job, schedule, at) + catch_up(schedule).max(PUNCTUAL)
}

fn catch_up(schedule: &Schedule) -> TimeDelta {
    TimeDelta::from_std(schedule.catch_up).unwrap_or(TimeDelta::MAX)
}

/// How long a job's fires are put off: less than `jitter`, and the same after each restart and on each machine.
fn delay(job: &str, jitter: Duration) -> TimeDelta {
    let seconds = i64::try_from(jitter.as_secs()).unwrap_or(0);
    let part = i64::try_from(xxh3_64(job.as_bytes()) >> 1).unwrap_or(0).checked_rem(seconds).unwrap_or(0);
    TimeDelta::seconds(part)
}

/// `at`, or the end of the blackout that it falls in.
fn begin(schedule: &Schedule, at: DateTime<Utc>) -> DateTime<Utc> {
    blackout_end(schedule, at).unwrap_or(at)
}

/// The end of the blackout at an instant, and of those that go on from there; `None` if there is none.
pub fn blackout_end(schedule: &Schedule, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut end = None;
    // Windows that follow each other may go round the week, where clocks are changed: then a week is enough.
    while let Some(later) = schedule
        .blackout
        .iter()
        .filter_map(|window| window_end(window, schedule.timezone, end.unwrap_or(at)))
        .max()
        .filter(|later| *later - at <= TimeDelta::days(7))
    {
        end = Some(later);
    }
    end
}

/// When the window that an instant falls in ends.
fn window_end(window: &Blackout, zone: Tz, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let shown = zone.from_utc_datetime(&at.naive_utc()).naive_local();
    let minute = i64::from(shown.hour() * 60 + shown.minute());
    [0, 1].into_iter().find_map(|days_ago| {
        let day = shown.date().checked_sub_days(chrono::Days::new(days_ago))?;
        let begun = window.days[day.weekday().num_days_from_monday() as usize];
        let passed = minute + 1440 * i64::try_from(days_ago).ok()? - i64::from(window.from);
        if !begun || !(0..i64::from(window.minutes)).contains(&passed) {
            return None;
        }
        let end: NaiveDateTime = day.and_time(chrono::NaiveTime::MIN)
            + TimeDelta::minutes(i64::from(window.from) + i64::from(window.minutes));
        // Where the clock is put back over the end, it shows the window a second time, and that is a window too.
        Some(fires::reached(zone, end))
            .filter(|end| *end > at)
            .or_else(|| zone.from_local_datetime(&end).latest().map(|end| end.with_timezone(&Utc)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::fires::tests::of;
    use crate::job::blackout;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-{text}Z").parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn schedule(expression: &str, zone: &str) -> Schedule {
        Schedule { catch_up: Duration::from_secs(6 * 3600), ..of(expression, zone.parse().unwrap()) }
    }

    fn run(text: &str, collapsed: u64) -> Step {
        Step::Run(Due { at: at(text), collapsed })
    }

    #[test]
    fn what_is_due_runs_until_it_is_too_late() {
        let nightly = schedule("30 2 * * *", "UTC");
        let handled = at("06-14T02:30:00");
        for (now, expected) in [
            ("06-15T02:29:59", Step::Wait(at("06-15T02:30:00"))),
            ("06-15T02:30:00", run("06-15T02:30:00", 0)),
            ("06-15T08:30:00", run("06-15T02:30:00", 0)),
            ("06-15T08:30:01", Step::Miss(Due { at: at("06-15T02:30:00"), collapsed: 0 })),
            // Three nights in one.
            ("06-17T03:00:00", run("06-17T02:30:00", 2)),
            ("06-17T12:00:00", Step::Miss(Due { at: at("06-17T02:30:00"), collapsed: 2 })),
        ] {
            assert_eq!(step("orgs", &nightly, handled, at(now)), expected, "{now}");
        }
        // A clock that was put back does nothing twice.
        assert_eq!(
            step("orgs", &nightly, at("06-15T02:30:00"), at("06-14T02:30:00")),
            Step::Wait(at("06-16T02:30:00"))
        );
        let never = Schedule { catch_up: Duration::ZERO, ..nightly };
        assert_eq!(step("orgs", &never, handled, at("06-15T02:31:00")), run("06-15T02:30:00", 0));
        assert!(matches!(step("orgs", &never, handled, at("06-15T02:31:01")), Step::Miss(_)));
    }

    #[test]
    fn many_fires_are_one() {
        let second = schedule("* * * * * *", "UTC");
        assert_eq!(
            step("orgs", &second, at("01-01T00:00:00"), at("06-15T00:00:00")),
            run("06-15T00:00:00", MANY as u64)
        );
    }

    #[test]
    fn jitter_puts_all_fires_of_a_job_off_by_the_same() {
        let jittered = Schedule { jitter: Duration::from_secs(600), ..schedule("0 * * * *", "UTC") };
        let delays: Vec<_> = ["orgs", "accounts", "teams", "users"].map(|job| delay(job, jittered.jitter)).into();
        assert!(delays.iter().all(|delay| (TimeDelta::zero()..TimeDelta::minutes(10)).contains(delay)), "{delays:?}");
        assert!(delays.iter().any(|delay| *delay != delays[0]), "{delays:?}");
        let handled = at("06-15T00:00:00");
        let begins = at("06-15T01:00:00") + delays[0];
        assert_eq!(step("orgs", &jittered, handled, begins - TimeDelta::seconds(1)), Step::Wait(begins));
        assert_eq!(step("orgs", &jittered, handled, begins), run("06-15T01:00:00", 0));
        assert_eq!(step("orgs", &jittered, handled, begins + TimeDelta::hours(1)), run("06-15T02:00:00", 1));
        assert_eq!(step("orgs", &jittered, at("06-15T01:00:00"), begins), Step::Wait(begins + TimeDelta::hours(1)));
    }

    #[test]
    fn what_is_due_in_a_blackout_begins_at_its_end() {
        let windows = ["Mon-Fri 08:00-18:00", "18:00-18:30"].map(|text| blackout::parse(text).unwrap()).into();
        let often = Schedule { blackout: windows, ..schedule("0 */3 * * *", "Europe/Berlin") };
        // A Monday; Berlin is two hours ahead.
        let handled = at("06-15T04:00:00");
        let end = at("06-15T16:30:00");
        for (now, expected) in [
            ("06-15T05:00:00", Step::Wait(end)),
            ("06-15T07:30:00", Step::Wait(end)),
            ("06-15T16:29:59", Step::Wait(end)),
            // 09, 12, 15 and 18 o'clock.
            ("06-15T16:30:00", run("06-15T16:00:00", 3)),
        ] {
            assert_eq!(step("orgs", &often, handled, at(now)), expected, "{now}");
        }
        // On Saturday there is only the half hour.
        assert_eq!(step("orgs", &often, at("06-20T04:00:00"), at("06-20T07:00:00")), run("06-20T07:00:00", 0));
        // A long blackout does not make what was due in it late.
        let long = Schedule { catch_up: Duration::from_secs(60), ..often };
        assert_eq!(step("orgs", &long, handled, end), run("06-15T16:00:00", 3));
        assert!(matches!(step("orgs", &long, handled, end + TimeDelta::seconds(61)), Step::Miss(_)));
    }

    #[test]
    fn a_blackout_may_begin_yesterday_and_its_end_be_skipped_or_repeated() {
        let of = |text: &str| Schedule {
            blackout: vec![blackout::parse(text).unwrap()],
            ..schedule("* * * * *", "America/New_York")
        };
        let night = of("Sat 22:00-02:30");
        let end = |schedule: &Schedule, now: &str| blackout_end(schedule, at(now));
        assert_eq!(end(&night, "06-14T02:00:00"), Some(at("06-14T06:30:00")));
        assert_eq!(end(&night, "06-14T06:30:00"), None);
        assert_eq!(end(&night, "06-13T02:00:00"), None, "that was a Friday");
        // 2026-03-08 has no 02:30; 2026-11-01 has two 01:30.
        assert_eq!(end(&night, "03-08T06:00:00"), Some(at("03-08T07:00:00")));
        let repeated = of("Sat 22:00-01:30");
        assert_eq!(end(&repeated, "11-01T05:00:00"), Some(at("11-01T05:30:00")));
        assert_eq!(end(&repeated, "11-01T05:30:00"), None);
        assert_eq!(end(&repeated, "11-01T06:10:00"), Some(at("11-01T06:30:00")));
    }
}
