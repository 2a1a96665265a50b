//! What the limits did, for a run's report. Pure.

use super::latency::Histogram;
use crate::deliver::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How the limits of a destination shaped one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitsReport {
    /// `destination.rate`, in requests a second; none: no limit.
    pub rate: Option<f64>,
    /// Requests in flight.
    pub concurrency: ConcurrencyReport,
    /// The circuit breaker.
    pub breaker: BreakerReport,
    /// How long the whole destination was paused because it had asked for it.
    pub paused_seconds: f64,
    /// Attempts that were not a row's first.
    pub retries: u64,
    /// Of those: how many had to wait because retries were more than their share of all attempts.
    pub retries_held: u64,
    /// Attempts by what they came to.
    pub attempts: AttemptsReport,
    /// How long attempts took, answer included.
    pub latency_ms: LatencyReport,
}

/// Requests in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConcurrencyReport {
    /// How many were allowed at the end.
    pub now: usize,
    /// `destination.concurrency`
    pub max: usize,
    /// The fewest that were allowed.
    pub smallest: usize,
}

/// The circuit breaker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerReport {
    /// `closed`, `open` or `half_open`.
    pub state: String,
    /// How often it has opened.
    pub opened: u64,
}

/// Attempts by what they came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptsReport {
    /// Applied.
    pub acknowledged: u64,
    /// Surely not applied, for good.
    pub refused: u64,
    /// May have been applied, for good.
    pub unknown: u64,
    /// Worth another attempt.
    pub retry: u64,
    /// The job or the destination needs mending.
    pub config_fault: u64,
}

/// In milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyReport {
    /// Half of the attempts took no longer; at most a sixteenth too high.
    pub p50: f64,
    /// 95 in a hundred took no longer.
    pub p95: f64,
    /// The longest.
    pub max: f64,
}

impl AttemptsReport {
    pub(super) fn count(&mut self, verdict: &Verdict) {
        let counter = match verdict {
            Verdict::Acknowledged => &mut self.acknowledged,
            Verdict::Refused { .. } => &mut self.refused,
            Verdict::Unknown { .. } => &mut self.unknown,
            Verdict::Retry { .. } => &mut self.retry,
            Verdict::ConfigFault { .. } => &mut self.config_fault,
        };
        *counter += 1;
    }
}

impl LatencyReport {
    pub(super) fn of(histogram: &Histogram) -> Self {
        LatencyReport {
            p50: millis(histogram.percentile(50)),
            p95: millis(histogram.percentile(95)),
            max: millis(histogram.max()),
        }
    }
}

/// To the hundredth.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}
