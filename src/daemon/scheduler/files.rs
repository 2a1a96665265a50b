//! Runs that new extracts begin: it is looked what would be read, and once that has been the same at two looks in a row, and is not what the
//! last run has read, a run begins. Looks go on beside everything else.

use super::look::Looked;
use super::{Begins, Scheduler};
use crate::daemon::due;
use crate::job::spec::Job;
use crate::store::{FireCause, StoreError};
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;

/// What came of a look: which version of a job has looked, and what it has found.
pub(super) type Look = (Arc<Job>, Result<Extract, String>);

/// Names that stand in a fire.
const NAMED: usize = 3;

/// What would be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extract {
    /// Another one if a file is another, by its name, length, time or tag.
    pub identity: String,
    /// Its files, in order.
    pub files: Vec<String>,
}

/// What was looked at, and when to look again.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// What the last look has found.
    pub(super) last: Option<Extract>,
    /// Whether the look before has found the same.
    is_settled: bool,
    /// A look is on.
    is_on: bool,
    /// Why nothing was found, if that was said.
    told: Option<String>,
    next: DateTime<Utc>,
}

impl Looks {
    fn take(&mut self, job: &str, found: Result<Extract, String>) {
        match found {
            Ok(extract) => {
                if self.told.take().is_some() {
                    tracing::info!(event = "extract_seen_again", job, "schedules: the extract can be looked at again");
                }
                self.is_settled = self.last.as_ref().is_some_and(|last| last.identity == extract.identity);
                self.last = Some(extract);
            }
            Err(error) => {
                // Once, and not at each look.
                if self.told.as_ref() != Some(&error) {
                    tracing::warn!(
                        event = "extract_not_seen",
                        job,
                        error,
                        "schedules: the extract cannot be looked at; it is tried again (on_file)"
                    );
                }
                (self.is_settled, self.last, self.told) = (false, None, Some(error));
            }
        }
    }
}

impl Scheduler {
    /// Begins a run, if there is a new extract, or a look, if it is time for one. While the job runs there is none: what comes meanwhile is
    /// seen afterwards.
    pub(super) async fn look_for_files(&mut self, name: &str) -> Result<Looked, StoreError> {
        let now = self.clock.now();
        let is_on = self.on.contains_key(name);
        let Some(watched) = self.jobs.get_mut(name) else { return Ok(Looked::Wait(None)) };
        let (Some(every), false, false) = (watched.schedule.on_file, is_on, watched.looks.is_on) else {
            return Ok(Looked::Wait(None));
        };
        let seen = watched.seen.files.as_ref();
        let new = watched
            .looks
            .last
            .as_ref()
            .filter(|last| watched.looks.is_settled && Some(&last.identity) != seen)
            .cloned();
        let mut wait = None;
        if let Some(extract) = new {
            match due::blackout_end(&watched.schedule, now) {
                Some(end) => wait = Some(end),
                None => {
                    let seen = watched.sees();
                    let due = now.trunc_subsecs(6);
                    let begins =
                        Begins { due, collapsed: 0, cause: FireCause::File, origin: Some(named(&extract.files)) };
                    self.begin_by(name, begins, seen).await?;
                    return Ok(Looked::Again);
                }
            }
        }
        if now < watched.looks.next && watched.looks.next <= later(now, every) {
            return Ok(Looked::Wait([Some(watched.looks.next), wait].into_iter().flatten().min()));
        }
        watched.looks.is_on = true;
        let (work, job) = (Arc::clone(&self.work), Arc::clone(&watched.job));
        self.looking.spawn(async move { (Arc::clone(&job), work.look(job).await) });
        Ok(Looked::Wait(wait))
    }

    /// What a look has found.
    pub(super) fn take_look(&mut self, looked: Option<Result<Look, JoinError>>) {
        let Some(Ok((job, found))) = looked else { return };
        let now = self.clock.now();
        // Another version may have come meanwhile, which looks elsewhere.
        let watched = self.jobs.get_mut(&job.name).filter(|watched| Arc::ptr_eq(&watched.job, &job));
        if let Some(watched) = watched {
            watched.looks.is_on = false;
            watched.looks.next = later(now, watched.schedule.on_file.unwrap_or_default());
            watched.looks.take(&job.name, found);
        }
    }
}

fn later(now: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    let by = TimeDelta::from_std(by).ok();
    by.and_then(|by| now.checked_add_signed(by)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn named(files: &[String]) -> String {
    let shown = files.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match files.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
