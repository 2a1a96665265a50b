//! Choosing files with the run's own time: what [`pick`] leaves to adapters.

use super::pick::{self, Candidate, Decided, Waiting};
use super::{Ask, SourceError};
use crate::job::spec::Choice;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::{Duration, Instant};

/// As [`pick::decide`], waiting for files to settle where the extract is wanted as a whole. `at`: when the run started.
///
/// # Errors
/// Those of [`pick::decide`].
pub(super) fn decide(
    choice: &Choice,
    pattern: &str,
    at: DateTime<Utc>,
    ask: &Ask<'_>,
    look: &mut dyn FnMut() -> Result<Vec<Candidate>, SourceError>,
) -> Result<Decided, SourceError> {
    let waiting = RealTime { at, since: Instant::now() };
    // A sample is shown at once.
    let waits = ask.limit.is_none().then_some(&waiting as &dyn Waiting);
    pick::decide(choice, pattern, at, look, waits)
}

struct RealTime {
    at: DateTime<Utc>,
    since: Instant,
}

impl Waiting for RealTime {
    fn now(&self) -> DateTime<Utc> {
        self.at + TimeDelta::from_std(self.since.elapsed()).unwrap_or(TimeDelta::MAX)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
