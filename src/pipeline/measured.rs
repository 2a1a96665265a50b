//! What of a run is counted and measured.

use super::{Runner, SendProgress};
use crate::deliver::Observer;
use crate::metrics::Metrics;
use crate::receipt::Outcome;
use crate::store::RunState;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

/// A run from its lock to its end.
pub(super) struct Measured<'a> {
    runner: &'a Runner,
    job: &'a str,
    began: DateTime<Utc>,
    is_told: bool,
}

impl<'a> Measured<'a> {
    pub(super) fn begin(runner: &'a Runner, job: &'a str) -> Self {
        runner.metrics.run_began(job);
        Measured { runner, job, began: runner.clock.now(), is_told: false }
    }

    /// The run has ended, and its record is in this state.
    pub(super) fn ended(mut self, state: RunState) {
        self.tell(state.as_str());
    }

    fn tell(&mut self, state: &'static str) {
        self.is_told = true;
        // A clock that was put back meanwhile makes no time of it.
        let took = (self.runner.clock.now() - self.began).to_std().unwrap_or_default();
        tracing::info!(event = "run_ended", state, seconds = took.as_secs_f64(), "a run has ended");
        self.runner.metrics.run_ended(self.job, state, took);
    }
}

/// A run that is broken off, or panics, is not on any more.
impl Drop for Measured<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            self.tell(RunState::Discarded.as_str());
        }
    }
}

/// Passes on what delivery tells.
pub(super) struct Relay {
    pub(super) job: String,
    pub(super) progress: Arc<dyn SendProgress>,
    pub(super) metrics: Arc<dyn Metrics>,
}

impl Observer for Relay {
    fn attempted(&self, verdict: &'static str, took: Duration) {
        self.metrics.attempted(&self.job, verdict, took);
    }

    fn paused(&self, time: Duration) {
        self.metrics.paused(&self.job, time);
    }

    fn done(&self, outcome: Option<Outcome>) {
        self.metrics.row(&self.job, outcome.map_or("pending", Outcome::as_str));
        self.progress.sent(outcome);
    }
}
