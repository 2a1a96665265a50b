//! Choosing files with the times that there are: what [`pick`] leaves to adapters.

use super::pick::{self, Candidate, Clocks, Decided};
use super::{Ask, SourceError};
use crate::job::spec::Choice;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// The clocks of a run and of the place that its files are at.
pub(super) struct Times<'a> {
    /// When the run started.
    pub(super) at: DateTime<Utc>,
    /// What time it is by the clock that the times of files are from; `None`: the place has not said so.
    pub(super) place: &'a dyn Fn() -> Option<DateTime<Utc>>,
}

impl Clocks for Times<'_> {
    fn run(&self) -> DateTime<Utc> {
        self.at
    }

    fn place(&self) -> Option<DateTime<Utc>> {
        (self.place)()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// As [`pick::decide`], waiting for files to settle where the extract is wanted as a whole: a sample is shown at once.
///
/// # Errors
/// Those of [`pick::decide`].
pub(super) fn decide(
    choice: &Choice,
    pattern: &str,
    times: &Times<'_>,
    ask: &Ask<'_>,
    look: &mut dyn FnMut() -> Result<Vec<Candidate>, SourceError>,
) -> Result<Decided, SourceError> {
    pick::decide(choice, pattern, look, times, ask.limit.is_none())
}
