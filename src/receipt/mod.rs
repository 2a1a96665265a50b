//! What came back for a row that was sent.
//!
//! In: what delivery found out. Out: [`Outcome`], [`Receipt`], [`Progress`], [`Counts`]. Pure.
//! Always holds: three outcomes, not two. A row without a receipt is pending, unless it may have been in flight when its
//! run was cut off: then it is unknown ([`Progress::unacknowledged`]).
//! Deliberately absent: how a status becomes an outcome (`deliver`), where receipts are kept (`store`).

mod progress;

pub use progress::{Progress, Unacknowledged};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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

impl Outcome {
    /// The name that is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Acknowledged => "acknowledged",
            Outcome::Refused => "refused",
            Outcome::Unknown => "unknown",
        }
    }
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
    /// Which row did not get through and how; `None`: it was acknowledged.
    pub failure: Option<Failure>,
}

/// A row that did not get through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How far it got.
    pub kind: FailureKind,
    /// The row's key as text.
    pub key: String,
    /// The id of its version: the same for every repeat of the same content.
    pub webhook_id: String,
}

/// How far a row got that did not get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The destination never took it: it cannot be built, there was no connection, or the destination asked to come
    /// later (408, 425, 429) until the attempts were used up. Surely not applied.
    NotDelivered,
    /// The destination refused it, and would again. Surely not applied.
    Refused,
    /// It may have been applied.
    Unknown,
}

/// The counts of a run, in orgs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// Planned and not sent, because the destination has refused the same content too often: dead letters.
    #[serde(default)]
    pub set_aside: u64,
}

impl Counts {
    /// Webhooks planned.
    pub fn planned(&self) -> u64 {
        self.added + self.changed + self.removed
    }

    /// The same with what is known about the deliveries by now. `set_aside`: rows of which nothing is known because they were
    /// passed over.
    #[must_use]
    pub fn delivered(&self, progress: &Progress, set_aside: u64) -> Counts {
        let (acknowledged, refused) = (progress.acknowledged.len(), progress.refused.len());
        let unknown = progress.unknown.len();
        let told = acknowledged + refused + unknown + set_aside;
        let pending = self.planned().saturating_sub(told);
        Counts { acknowledged, refused, unknown, pending, set_aside, ..*self }
    }
}
