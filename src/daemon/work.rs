//! The runs that schedules begin: `pipeline`'s, a few at a time.

use super::scheduler::{Ended, Extract, Work};
use crate::job::spec::Job;
use crate::pipeline::{self, How, PipelineError, RunReport, Runner};
use crate::snapshot::SnapshotError;
use crate::store::RunState;
use async_trait::async_trait;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Runs jobs by a [`Runner`].
pub struct Runs {
    runner: Runner,
    places: Semaphore,
}

impl Runs {
    /// `at_once`: runs that are on together at most, the others wait; at least 1.
    pub fn new(runner: Runner, at_once: usize) -> Self {
        Runs { runner, places: Semaphore::new(at_once.max(1)) }
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
        let name = job.name.clone();
        match self.runner.run(job, How::default()).await {
            Ok(report) => ended(&report, self.is_stopping()),
            Err(PipelineError::Snapshot(SnapshotError::Busy { holder, .. })) => Ended::Busy(holder),
            Err(_) if self.is_stopping() => Ended::Stopped,
            Err(error) => {
                tracing::error!(job = name, %error, "a run failed");
                Ended::Failed(error.to_string())
            }
        }
    }

    async fn look(&self, job: Arc<Job>) -> Result<Extract, String> {
        let looked = pipeline::look(job, &self.runner.home, self.runner.clock.now()).await;
        looked
            .map(|looked| Extract { identity: looked.identity, files: looked.files })
            .map_err(|error| error.to_string())
    }
}

fn ended(report: &RunReport, is_stopping: bool) -> Ended {
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
    let reason = match (left.is_empty(), stopped) {
        (true, None) => None,
        (_, None) => Some(left.join(", ")),
        (_, Some(stopped)) => {
            Some(format!("{}; delivery stopped: {}; {}", left.join(", "), stopped.reason, stopped.remedy))
        }
    };
    match report.state {
        RunState::Held => Ended::Held(report.held.join("; ")),
        RunState::Delivering | RunState::Published if is_stopping => Ended::Stopped,
        _ => Ended::Done(reason),
    }
}
