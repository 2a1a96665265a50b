//! Years of nights, unattended: the daemon on a clock that the test moves, a destination that misbehaves, and processes that end at any time.
//!
//! In: a seed and a number of years. A daemon (`daemon`) is a process of its own, made of the parts that `nightmark serve` is made of: scheduler, runs,
//! guards, alerts, over SQLite, snapshot files and HTTP. It asks the test (`talk`) what time it is. The test (`site`) goes from one thing that is due
//! to the next; before each run it changes the extract, takes it away, breaks it or empties it; it ends processes by SIGKILL (after a time, at a
//! request, at a mark in the code, between runs) or in order (also within a run), leaves the place without a daemon for minutes or days, and decides on
//! held runs, or does not.
//! Out: a panic with the seed if one of these does not hold:
//! - each fire of each schedule is recorded once, or stands in the count of the one that was run for it (`fires`); a run that was recorded as ended is
//!   never begun again, and one that was cut off is; only what was due while nobody was there is missed;
//! - what `crash` demands of requests, answers and receipts, over all these years;
//! - in the end, after a week without faults, the destination has what the source has, and a week later nothing more was sent;
//! - whoever was told that something is wrong was told that it is right again.
//!
//! Deliberately absent: several daemons (`fleet`).

mod daemon;
mod fires;
mod place;
mod site;
mod summary;
mod talk;

use crate::support::number;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Years of the test that is part of every run; docs/RELIABILITY.md has the figures of more.
const YEARS: u64 = 1;

#[test]
fn years_of_nights_end_with_source_and_destination_equal() {
    let seed = number("NIGHTMARK_SOAK_SEED").unwrap_or_else(rand::random);
    let years = number("NIGHTMARK_SOAK_YEARS").unwrap_or(YEARS);
    println!("NIGHTMARK_SOAK_SEED={seed} NIGHTMARK_SOAK_YEARS={years}");
    let mut site = site::Site::new(StdRng::seed_from_u64(seed));
    site.years(years);
    site.calm();
    let summary = site.check();
    println!("{summary}");
    let absent = summary.absent(years);
    assert!(absent.is_empty(), "a soak without {absent:?} proves little: {summary}");
}
