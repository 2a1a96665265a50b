//! Waits until files are the same for long enough.

use super::Found;
use crate::source::SourceError;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// After so many looks the extract is taken for one that is written to all the time.
const LOOKS: usize = 10;

/// The least time between two looks: a file may grow under an old date, so one that seems old is looked at twice as well.
const LEAST: Duration = Duration::from_secs(2);

/// What time it is, and by whom.
pub trait Clocks {
    /// When the run started, by this machine.
    fn run(&self) -> DateTime<Utc>;
    /// Now, by the clock that the times of files are from. `None`: the place does not say; then no file seems old, since this machine's clock says
    /// nothing of a time that another has noted.
    fn place(&self) -> Option<DateTime<Utc>>;
    /// Waits.
    fn sleep(&self, time: Duration);
}

/// What `choose` finds, once it has found the same twice and every file has been the same for `settled`.
///
/// # Errors
/// It is another at each of ten looks; whatever `choose` says.
pub fn settle(
    choose: &mut dyn FnMut() -> Result<Vec<Found>, SourceError>,
    settled: Duration,
    clocks: &dyn Clocks,
) -> Result<Vec<Found>, SourceError> {
    let mut before = choose()?;
    for _ in 1..LOOKS {
        let now = clocks.place();
        let left = before.iter().map(|file| left(file, settled, now)).max().unwrap_or(settled);
        clocks.sleep(left.max(LEAST.min(settled)));
        let after = choose()?;
        if after == before {
            return Ok(after);
        }
        before = after;
    }
    let names: Vec<&str> = before.iter().take(3).map(|file| file.name.as_str()).collect();
    Err(SourceError::new(format!("the extract is still being written ({}): it was another at each of {LOOKS} looks", names.join(", ")))
        .hint("source.settled waits for it to be the same; run the job later, or have it written under another name and renamed when complete"))
}

/// How long a file has to stay the same yet.
fn left(file: &Found, settled: Duration, now: Option<DateTime<Utc>>) -> Duration {
    let age = file.modified.zip(now).map(|(modified, now)| now.signed_duration_since(modified));
    match age.filter(|age| *age >= TimeDelta::zero()).and_then(|age| age.to_std().ok()) {
        Some(age) => settled.saturating_sub(age),
        // Written in the future, by a clock that nobody knows, or at no known time.
        None => settled,
    }
}
