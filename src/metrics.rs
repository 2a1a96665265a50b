//! What is counted and measured while the daemon works: the port that the stages are handed.
//!
//! In: what has just happened. Out: nothing; whoever keeps figures implements [`Metrics`] (`telemetry`). `()` keeps none.
//! Always holds: a call is quick and cannot fail; whatever becomes a label is a job's name or stands in the code (`&'static str`), so that
//! neither an org nor an address ever does, and the number of series is bounded.
//! Deliberately absent: names and units of metrics, and their format (`telemetry`); what is told of one run (`pipeline::RunReport`).

use crate::receipt::Counts;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

/// A destination's limits at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitsNow {
    /// `closed`, `open` or `half_open`.
    pub breaker: &'static str,
    /// Requests that may be in flight.
    pub concurrency: usize,
    /// Requests that are.
    pub in_flight: usize,
}

/// A look at the limits of a delivery, also after its end.
pub type LiveLimits = Arc<dyn Fn() -> LimitsNow + Send + Sync>;

/// A job whose standing is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Its name.
    pub job: String,
    /// `destination.dead_letter_after`; 0: nothing is set aside.
    pub dead_letter_after: u32,
}

/// Told what happens.
pub trait Metrics: Send + Sync {
    /// From now on these are the daemon's jobs; all of them.
    fn watches(&self, _jobs: Vec<Watched>) {}

    /// A run of the job has the job's lock.
    fn run_began(&self, _job: &str) {}
    /// The change set of a run is known.
    fn run_planned(&self, _job: &str, _counts: &Counts) {}
    /// The run has ended, in this state.
    fn run_ended(&self, _job: &str, _state: &'static str, _took: Duration) {}

    /// Requests are about to leave.
    fn delivering(&self, _job: &str, _limits: LiveLimits) {}
    /// A request has its verdict: `acknowledged`, `refused`, `unknown`, `retry` or `config_fault`.
    fn attempted(&self, _job: &str, _verdict: &'static str, _took: Duration) {}
    /// The destination is left alone for that long.
    fn paused(&self, _job: &str, _time: Duration) {}
    /// A row of the change set has its final word of this run: `acknowledged`, `refused`, `unknown` or `pending`.
    fn row(&self, _job: &str, _outcome: &'static str) {}

    /// Whether this daemon schedules; of a fleet's, one does, and the others stand by.
    fn schedules(&self, _does: bool) {}
    /// A fire of the job's schedule begins its run, which was to begin then, jitter and blackouts included; the job's next [`run_began`](Self::run_began) is
    /// of that run.
    fn fire_begins(&self, _job: &str, _due: DateTime<Utc>) {}
    /// Its run is over, or was never let begin.
    fn fire_over(&self, _job: &str) {}
    /// When the job's schedule is due next, jitter and blackouts included; `None`: never.
    fn next_fire(&self, _job: &str, _at: Option<DateTime<Utc>>) {}
    /// A fire has been dealt with: `done`, `held`, `failed`, `skipped` or `missed`.
    fn fired(&self, _job: &str, _state: &'static str) {}

    /// Something is wrong with a job, and was not before: the kind of an alert.
    fn alerted(&self, _kind: &'static str) {}
    /// A channel has taken a message over, or not.
    fn told(&self, _channel: &'static str, _is_ok: bool) {}
    /// The job's watchdog was called after a run, or could not be.
    fn pinged(&self, _job: &str, _is_ok: bool) {}

    /// The server `receiver` or `admin` has answered with this status, or could not: `None`. `error`: the class of the access log.
    fn requested(&self, _server: &'static str, _status: Option<u16>, _error: Option<&'static str>, _took: Duration) {}
    /// So many updates that the receiver was sent: `created`, `updated`, `stale`, `repeated`, `ignored` or `rejected`.
    fn updates(&self, _result: &'static str, _number: u64) {}

    /// The state store has done this, or failed.
    fn stored(&self, _operation: &'static str, _took: Duration, _is_ok: bool) {}
}

/// Nobody is told.
impl Metrics for () {}

/// All figures as text, for `/metrics`.
#[async_trait]
pub trait Exposition: Send + Sync {
    /// The text, and its content type.
    async fn text(&self) -> (&'static str, String);
}
