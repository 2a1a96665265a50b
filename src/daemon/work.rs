//! The runs that schedules begin: `pipeline`'s, a few at a time.

use super::scheduler::{Ended, Extract, Work};
use crate::alerts::ping::ping;
use crate::job::spec::Job;
use crate::pipeline::{self, How, PipelineError, RunReport, Runner, Since};
use crate::snapshot::SnapshotError;
use crate::store::RunState;
use async_trait::async_trait;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};

/// Runs jobs by a [`Runner`].
pub struct Runs {
    runner: Runner,
    places: Semaphore,
    bell: Arc<Notify>,
}

impl Runs {
    /// `at_once`: runs that are on together at most, the others wait; at least 1.
    pub fn new(runner: Runner, at_once: usize) -> Self {
        Runs { runner, places: Semaphore::new(at_once.max(1)), bell: Arc::default() }
    }

    /// Rings the bell when a run has ended: whoever tells people of it looks at once.
    #[must_use]
    pub fn with_bell(self, bell: Arc<Notify>) -> Self {
        Runs { bell, ..self }
    }

    /// One run, with the word for the record.
    async fn work(&self, job: Arc<Job>) -> Ended {
        let (name, of) = (job.name.clone(), Arc::clone(&job));
        match self.runner.run(job, How::default()).await {
            Ok(report) => {
                let ended = ended(&report, self.is_stopping());
                if report.state == RunState::Finished {
                    // Nothing waits for it.
                    let (home, metrics) = (self.runner.home.clone(), Arc::clone(&self.runner.metrics));
                    tokio::spawn(async move { ping(&home, &of, &*metrics).await });
                }
                log(&name, &report, &ended);
                ended
            }
            Err(PipelineError::Snapshot(SnapshotError::Busy { holder, .. })) => Ended::Busy(holder),
            Err(_) if self.is_stopping() => Ended::Stopped,
            Err(error) => {
                let run = self.newest(&name).await;
                tracing::error!(event = "run_failed", job = name, run, %error, "a run failed");
                Ended::Failed(error.to_string())
            }
        }
    }

    /// The id of the job's newest run.
    async fn newest(&self, job: &str) -> Option<String> {
        Some(self.runner.store.runs(Some(job), 1).await.ok()?.pop()?.id)
    }

    fn is_stopping(&self) -> bool {
        *self.runner.stop.borrow()
    }
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runs").finish_non_exhaustive()
    }
}

#[async_trait]
impl Work for Runs {
    async fn run(&self, job: Arc<Job>) -> Ended {
        let mut stop = self.runner.stop.clone();
        let _place = tokio::select! {
            place = self.places.acquire() => place,
            _ = stop.wait_for(|stop| *stop) => return Ended::Stopped,
        };
        if self.is_stopping() {
            return Ended::Stopped;
        }
        let ended = self.work(job).await;
        self.bell.notify_one();
        ended
    }

    async fn look(&self, job: Arc<Job>) -> Result<Extract, String> {
        let looked = pipeline::look(job, &self.runner.home, self.runner.clock.now()).await;
        looked
            .map(|looked| Extract { identity: looked.identity, files: looked.files })
            .map_err(|error| error.to_string())
    }
}

/// What a command would print. Without the destination's words: bodies are never logged.
pub(super) fn log(job: &str, report: &RunReport, ended: &Ended) {
    let (run, counts) = (&report.run, &report.counts);
    match ended {
        Ended::Held(reason) => {
            tracing::warn!(event = "run_held", job, run, reason, "a guard holds a run: nothing was sent")
        }
        Ended::Done(Some(_)) => tracing::warn!(
            event = "run_incomplete",
            job,
            run,
            rejected = counts.rejected,
            refused = counts.refused,
            unknown = counts.unknown,
            pending = counts.pending,
            set_aside = report.dead_letters,
            stopped = report.delivery.as_ref().and_then(|delivery| Some(delivery.stopped.as_ref()?.kind.as_str())),
            "a run has left rows that the destination does not have"
        ),
        _ => {}
    }
}

/// How a run has ended. `is_stopping`: the daemon was, so that something may be left.
pub(super) fn ended(report: &RunReport, is_stopping: bool) -> Ended {
    let counts = &report.counts;
    let left = [
        (counts.rejected, "rejected"),
        (counts.refused, "refused or not delivered"),
        (counts.unknown, "unknown"),
        (counts.pending, "not sent"),
        (report.dead_letters, "set aside"),
    ];
    let left: Vec<String> = left.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let stopped = report.delivery.as_ref().and_then(|delivery| delivery.stopped.as_ref());
    let since = report.planned.as_ref().and_then(|planned| planned.since());
    let said = [
        (!left.is_empty()).then(|| left.join(", ")),
        stopped.map(|stopped| format!("delivery stopped: {}; {}", stopped.reason, stopped.remedy)),
        since.and_then(Since::warning),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    let reason = (!said.is_empty()).then(|| said.join("; "));
    match report.state {
        RunState::Held => Ended::Held(report.held.join("; ")),
        RunState::Delivering | RunState::Published if is_stopping => Ended::Stopped,
        _ => Ended::Done(reason),
    }
}
