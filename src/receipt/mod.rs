//! What came back for a row that was sent.
//!
//! In: what delivery found out. Out: [`Outcome`], [`Receipt`], [`Counts`]. Pure.
//! Always holds: three outcomes, not two. A row without a receipt is pending if its run ended in order, and unknown if
//! its run was cut off while the row may have been in flight ([`Progress::unacknowledged`]).
//! Deliberately absent: how a status becomes an outcome (`deliver`), where receipts are kept (`store`).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// How sure we are about what the destination did with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It has applied it.
    Acknowledged,
    /// It surely has not: a 4xx, or the request never left.
    Refused,
    /// It may have: a 5xx, a time-out, a reset after the body was written.
    Unknown,
}

/// The final word of one run about one row of its change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The row's position in the change set, from 0.
    pub seq: u64,
    /// What is known.
    pub outcome: Outcome,
    /// The last HTTP status, if one came.
    pub status: Option<u16>,
    /// Requests made, retries included.
    pub attempts: u32,
    /// The last error or the beginning of the answer, without secrets, at most 500 characters.
    pub detail: Option<String>,
    /// When the outcome was known.
    pub at: DateTime<Utc>,
}

/// What is known about the delivery of one change set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether the run that delivered it ended in order.
    pub ended: bool,
    /// Rows with a `seq` below this may have been sent; it was made durable before the first of them left.
    pub attempted_before: u64,
    /// Receipts by `seq`.
    pub receipts: HashMap<u64, Outcome>,
}

/// The state of a row whose change the destination has not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unacknowledged {
    /// The destination surely still has the earlier value.
    NotApplied,
    /// It may have the earlier or the later value.
    MaybeApplied,
}

impl Progress {
    /// `None` if the row is acknowledged.
    pub fn unacknowledged(&self, seq: u64) -> Option<Unacknowledged> {
        match self.receipts.get(&seq) {
            Some(Outcome::Acknowledged) => None,
            Some(Outcome::Refused) => Some(Unacknowledged::NotApplied),
            Some(Outcome::Unknown) => Some(Unacknowledged::MaybeApplied),
            None if !self.ended && seq < self.attempted_before => Some(Unacknowledged::MaybeApplied),
            None => Some(Unacknowledged::NotApplied),
        }
    }
}

/// The counts of a run, in orgs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows of the extract.
    pub extracted: u64,
    /// Rows left out because a value does not fit or a key is bad.
    pub rejected: u64,
    /// Orgs that the destination is known to have as they are.
    pub unchanged: u64,
    /// Planned: the destination does not have them.
    pub added: u64,
    /// Planned: a compared column differs, or an earlier send's outcome is unknown.
    pub changed: u64,
    /// Planned: gone from the extract.
    pub removed: u64,
    /// Sent and acknowledged.
    pub acknowledged: u64,
    /// Sent and refused, or it could not be sent.
    pub refused: u64,
    /// Sent, outcome unknown.
    pub unknown: u64,
    /// Planned and not sent; the next run sends them.
    pub pending: u64,
}

impl Counts {
    /// Webhooks planned.
    pub fn planned(&self) -> u64 {
        self.added + self.changed + self.removed
    }
}
