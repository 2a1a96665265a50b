//! The state port: runs, receipts, API keys and received orgs.
//!
//! In and out: the records below; times are kept to the microsecond. Always holds: a call returns once its effect is durable; a repeated call with the same
//! record does no harm.
//! Deliberately absent: extracts and snapshots (they are files), any rule about what to send.
//!
//! A new store is a folder here that passes the conformance suite of `tests/it/store.rs`.

mod keys;
mod orgs;
pub mod sqlite;

pub use keys::{EndpointType, Hash, KeyRecord, KeyStore};
pub use orgs::{OrgFields, OrgPatch, OrgRecord, OrgStore, OrgUpsert, Patch, TrialStatus, Upserted};

use crate::receipt::{Counts, Progress, Receipt};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Started; if no process works on it any more, it was cut off.
    Running,
    /// Delivered as far as it could; see the counts.
    Finished,
    /// Held by a guard: nothing was published or sent.
    Held,
    /// Could not run: nothing was published, or delivery broke off.
    Failed,
}

/// One run of one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// A ULID.
    pub id: String,
    /// The job's name.
    pub job: String,
    /// Where it stands.
    pub state: RunState,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it ended, if it did.
    pub finished_at: Option<DateTime<Utc>>,
    /// What it found and did.
    pub counts: Counts,
    /// Why it was held, failed or stopped early, and what to do; without secrets.
    pub reason: Option<String>,
}

/// A store of any kind could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database said no.
    #[error("the state store failed: {0}")]
    Database(String),
    /// A record that cannot be read back, which a newer or damaged store would have.
    #[error("the state store holds something this version cannot read: {0}")]
    Corrupt(String),
    /// It could not be opened or created.
    #[error("the state store {path} cannot be opened: {reason}")]
    Open {
        /// Where it is.
        path: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A newer Nightmark has written it.
    #[error(
        "the state store {path} has schema {found}, this version knows {known}: use the newer nightmark that wrote it"
    )]
    Newer {
        /// Where it is.
        path: String,
        /// The schema that it has.
        found: i64,
        /// The newest schema that this version knows.
        known: i64,
    },
    /// An older Nightmark has written it, and it may not be changed now.
    #[error(
        "the state store {path} has schema {found}, this version needs {known}: `nightmark run` or `nightmark serve` upgrades it"
    )]
    Older {
        /// Where it is.
        path: String,
        /// The schema that it has.
        found: i64,
        /// The schema that this version needs.
        known: i64,
    },
    /// A mark or receipt for a run that was never put.
    #[error("the state store has no run {0}; a run is put before its rows are attempted")]
    UnknownRun(String),
}

/// Runs and their receipts.
#[async_trait]
pub trait RunStore: Send + Sync {
    /// Adds a run, or replaces the record of the same id. The attempt mark and receipts are left alone.
    async fn put_run(&self, run: &RunRecord) -> Result<(), StoreError>;
    /// The newest runs first, of one job or of all, at most `limit`.
    async fn runs(&self, job: Option<&str>, limit: u32) -> Result<Vec<RunRecord>, StoreError>;
    /// One run.
    async fn run(&self, id: &str) -> Result<Option<RunRecord>, StoreError>;
    /// Rows with a `seq` below `before` may be in flight from now on. Never lowers the mark.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`] before the run was put.
    async fn mark_attempting(&self, run: &str, before: u64) -> Result<(), StoreError>;
    /// Appends receipts, all or none; a second receipt of the same row replaces the first.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`] before the run was put.
    async fn append_receipts(&self, run: &str, receipts: &[Receipt]) -> Result<(), StoreError>;
    /// What is known about a run's deliveries. A run that the store does not know has made none that we know of, but may
    /// have: it reads as not ended, with everything attempted (`attempted_before = u64::MAX`).
    async fn progress(&self, run: &str) -> Result<Progress, StoreError>;
}
