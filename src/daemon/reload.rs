//! Job files that change while the daemon runs.
//!
//! In: looks at the files, a word that they are to be read at once. Out: the set of jobs in force, at the scheduler and for whoever asks.
//! Always holds: a set takes over as a whole, between two ticks; a file with mistakes leaves the version before in force and is told; files are read once they
//! have been the same at two looks in a row, so that nothing is read that is half written.
//! Deliberately absent: `nightmark.toml`, which is read at the start.

use super::door::Door;
use super::timetable::{Known, take_over, watched};
use crate::job::problem::Problem;
use crate::job::spec::Job;
use crate::metrics::Metrics;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// The job files. Calls block.
pub trait JobFiles: Send + Sync + 'static {
    /// Another number if a file is another.
    fn look(&self) -> u64;
    /// The sound jobs, and the problems of the others.
    fn load(&self) -> (Vec<Job>, Vec<Problem>);
    /// Takes their place for this daemon alone, if it has not yet.
    ///
    /// # Errors
    /// Another one has it.
    fn take(&self) -> Result<(), String>;
}

/// Follows job files.
pub struct Reload {
    files: Arc<dyn JobFiles>,
    door: Door,
    known: watch::Sender<Vec<Known>>,
    metrics: Arc<dyn Metrics>,
    eyes: Eyes,
}

/// What was seen of the files.
struct Eyes {
    /// As they were when they were read.
    read: u64,
    last: u64,
}

impl Eyes {
    /// Whether they are others than those that were read, and settled.
    fn see(&mut self, now: u64) -> bool {
        now != self.read && std::mem::replace(&mut self.last, now) == now
    }
}

impl Reload {
    /// `read`: how the files looked before those jobs were read that `known` has.
    pub fn new(files: Arc<dyn JobFiles>, door: Door, known: watch::Sender<Vec<Known>>, read: u64) -> Self {
        Reload { files, door, known, metrics: Arc::new(()), eyes: Eyes { read, last: read } }
    }

    /// Tells which jobs are in force.
    #[must_use]
    pub fn with_metrics(self, metrics: Arc<dyn Metrics>) -> Self {
        Reload { metrics, ..self }
    }

    /// Follows them for ever. `at_once`: somebody wants them to be read now, whatever they look like.
    pub async fn follow(mut self, at_once: Arc<Notify>) {
        loop {
            let is_asked = tokio::select! {
                () = tokio::time::sleep(LOOK) => false,
                () = at_once.notified() => true,
            };
            let files = Arc::clone(&self.files);
            let Ok(now) = spawn_blocking(move || files.look()).await else { continue };
            if self.eyes.see(now) || is_asked {
                self.read(now).await;
            }
        }
    }

    /// `look`: how they looked just before.
    async fn read(&mut self, look: u64) {
        let files = Arc::clone(&self.files);
        let Ok((jobs, problems)) = spawn_blocking(move || files.load()).await else { return };
        let before = self.known.borrow().clone();
        let known = take_over(&before, jobs, &problems);
        if !known.is_empty()
            && let Err(error) = self.files.take()
        {
            // Said once, and again when the files change again.
            self.eyes.read = look;
            tracing::error!(event = "jobs_not_reloaded", error, "the jobs before stay in force");
            return;
        }
        let jobs = known.iter().filter_map(|one| one.job.clone()).collect();
        match self.door.replace(jobs).await {
            Ok(()) => {
                self.eyes.read = look;
                tell(&before, &known);
                self.metrics.watches(watched(&known));
                let _ = self.known.send(known);
            }
            // Looked at again in a moment.
            Err(error) => tracing::error!(event = "jobs_not_reloaded", %error, "the jobs before stay in force"),
        }
    }
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reload").finish_non_exhaustive()
    }
}

/// Says what has changed.
fn tell(before: &[Known], known: &[Known]) {
    let of = |name: &str| before.iter().find(|one| one.name == name);
    let is_same = |one: &Known, other: &Known| match (&one.job, &other.job) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    };
    for one in known {
        let (job, file) = (one.name.as_str(), one.file.display().to_string());
        match (of(job), &one.faulty) {
            (Some(before), Some(reason)) if before.faulty.as_ref() == Some(reason) && is_same(before, one) => {}
            (_, Some(reason)) => {
                let in_force = one.job.is_some();
                tracing::error!(
                    event = "job_invalid",
                    job,
                    file,
                    in_force,
                    reason,
                    "a job file has mistakes; the version before stays in force, if there is one"
                );
            }
            (Some(before), None) if before.faulty.is_none() && is_same(before, one) => {}
            (Some(_), None) => {
                tracing::info!(event = "job_changed", job, file, "a job file was read again and is in force")
            }
            (None, None) => tracing::info!(event = "job_added", job, file, "a job is there, and in force"),
        }
    }
    for gone in before.iter().filter(|one| !known.iter().any(|other| other.name == one.name)) {
        tracing::info!(event = "job_removed", job = gone.name, "a job is gone; a run of it that is on goes on");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_once_they_have_settled() {
        let mut eyes = Eyes { read: 1, last: 1 };
        let seen = [1, 2, 3, 3, 3, 1, 1, 4, 1, 1].map(|look| {
            let is_read = eyes.see(look);
            if is_read {
                eyes.read = look;
            }
            is_read
        });
        assert_eq!(seen, [false, false, false, true, false, false, true, false, false, false]);
    }
}
