//! Whether the clock goes right: it says when jobs run, and stands in signatures that destinations check.

use super::{Finding, Patient};
use chrono::{DateTime, Datelike as _, TimeDelta, Utc};

const AREA: &str = "clock";
/// Worth a look.
const OFF: TimeDelta = TimeDelta::seconds(30);
/// Destinations refuse signatures that are older (Standard Webhooks).
const WRONG: TimeDelta = TimeDelta::minutes(5);
/// This version is not older.
const MADE: i32 = 2026;
/// Years after which zones have other rules somewhere.
const OLD: i32 = 3;

/// What can be said without asking anybody.
pub(super) fn look(patient: &Patient) -> Vec<Finding> {
    let now = patient.clock.now();
    let shown = now.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    let here = match now.year() {
        MADE..2100 => Finding::ok(AREA, "this machine", shown),
        _ => Finding::mend(AREA, "this machine", format!("{shown} cannot be"), SET),
    };
    vec![here, zones(now)]
}

const SET: &str = "set the clock, and have it kept (timedatectl set-ntp true, chrony)";

fn zones(now: DateTime<Utc>) -> Finding {
    let version = chrono_tz::IANA_TZDB_VERSION;
    let year: i32 = version.get(..4).and_then(|year| year.parse().ok()).unwrap_or(now.year());
    let what = format!("IANA {version}, built in");
    match now.year() - year {
        OLD..100 => {
            Finding::note(AREA, "time zones", what, "newer versions of nightmark know of later changes of the law")
        }
        _ => Finding::ok(AREA, "time zones", what),
    }
}

/// What somebody else takes for the time when it is `ours` here.
pub(super) fn against(whose: &str, theirs: DateTime<Utc>, ours: DateTime<Utc>) -> Finding {
    let (off, direction) = match ours - theirs {
        ahead if ahead >= TimeDelta::zero() => (ahead, "ahead of"),
        behind => (-behind, "behind"),
    };
    let what = format!("the clock here is {} s {direction} that of {whose}", off.num_seconds());
    let remedy = format!("one of the two goes wrong; here: {SET}");
    match off {
        off if off >= WRONG => Finding::mend(AREA, whose, what, remedy),
        off if off >= OFF => Finding::note(AREA, whose, what, remedy),
        _ => Finding::ok(AREA, whose, "goes alike"),
    }
}

/// The newest run that was recorded began `at`: the clock cannot be behind that.
pub(super) fn after(at: DateTime<Utc>, now: DateTime<Utc>) -> Option<Finding> {
    let what = format!("the clock is behind the newest run, which began {}", at.format("%Y-%m-%d %H:%M:%S UTC"));
    let remedy = format!("it goes wrong now, or did then; until it has caught up, schedules fire late. {SET}");
    (at - now >= OFF).then(|| Finding::mend(AREA, "this machine", what, remedy))
}
