//! How a run ended.

use super::planned::Planned;
use super::send::Sent;
use crate::deliver::Summary;
use crate::receipt::Counts;
use crate::store::RunState;
use std::sync::Arc;

/// How a run ended.
#[derive(Debug)]
pub struct RunReport {
    /// The run's id.
    pub run: String,
    /// Finished, held, published (nothing was sent) or delivering (something is left).
    pub state: RunState,
    /// What it found and did.
    pub counts: Counts,
    /// Why it is held; empty otherwise.
    pub held: Vec<String>,
    /// The plan, unless the run was held before there was one.
    pub planned: Option<Arc<Planned>>,
    /// What delivery had to say, if anything was sent.
    pub delivery: Option<Summary>,
    /// Rows that were passed over, because the destination has refused the same content too often.
    pub dead_letters: u64,
}

impl RunReport {
    pub(super) fn held(run: String, counts: Counts, held: Vec<String>, planned: Option<Arc<Planned>>) -> Self {
        RunReport { run, state: RunState::Held, counts, held, planned, delivery: None, dead_letters: 0 }
    }

    /// A run that publishes and leaves everything pending.
    pub(super) fn unsent(run: String, counts: Counts, planned: Arc<Planned>) -> Self {
        let (state, planned) = (RunState::Published, Some(planned));
        RunReport { run, state, counts, held: Vec::new(), planned, delivery: None, dead_letters: 0 }
    }

    pub(super) fn sent(run: String, sent: Sent, planned: Option<Arc<Planned>>) -> Self {
        RunReport {
            run,
            state: sent.state,
            counts: sent.counts,
            held: Vec::new(),
            planned,
            delivery: Some(sent.summary),
            dead_letters: sent.dead_letters,
        }
    }
}
