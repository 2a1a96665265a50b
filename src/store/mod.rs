//! The state port: runs, receipts, dead letters, destinations, API keys and received orgs.
//!
//! In and out: the records below; times are kept to the microsecond. Always holds: a call returns once its effect is durable; a repeated call with the same
//! record does no harm.
//! Deliberately absent: extracts and snapshots (they are files), any rule about what to send.
//!
//! A new store is a folder here that passes the conformance suite of `tests/it/store.rs`.

mod admin;
mod alerts;
mod chunks;
mod columns;
mod database;
mod fires;
mod inspect;
mod keys;
mod leases;
mod open;
mod orgs;
pub mod postgres;
mod records;
mod refusals;
mod schema;
mod shares;
pub mod sqlite;
mod state;
pub mod transfer;

pub use admin::{AdminStore, AuditRecord, Role, TokenRecord};
pub use alerts::{AlertRecord, AlertStore};
pub use fires::{FireCause, FireRecord, FireState, FireStore};
pub use inspect::Inspected;
pub use keys::{
    EndpointType, Hash, KeyCounts, KeyRecord, KeyStore, KeyUses, PreviousText, SignatureCheck, SignatureScheme,
};
pub use orgs::{
    FieldTimes, KeyUse, OrgChange, OrgFields, OrgPatch, OrgRecord, OrgStore, OrgUpsert, Patch, TrialStatus,
    UpsertOutcome, Upserted,
};

pub use leases::{Asking, Fence, LeaseRecord, LeaseStore};
pub use open::{Place, StateStore};
pub use shares::{Offer, ShareState, ShareStore};

use crate::receipt::{Counts, FailureKind, Progress, Receipt};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use utoipa::ToSchema;

pub use refusals::{DestinationRecord, DestinationState, Refusal, RefusalChange, RefusalStore};
pub use state::{RunKind, RunState};

/// One run of one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunRecord {
    /// A ULID.
    pub id: String,
    /// The job's name.
    pub job: String,
    /// What it is.
    #[serde(default)]
    pub kind: RunKind,
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
    /// What delivery had to say about the destination and its limits; without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<serde_json::Value>,
}

impl RunRecord {
    /// A run that begins.
    pub fn new(id: &str, job: &str, at: DateTime<Utc>) -> Self {
        RunRecord {
            id: id.to_owned(),
            job: job.to_owned(),
            kind: RunKind::Run,
            state: RunState::Extracting,
            started_at: at,
            finished_at: None,
            counts: Counts::default(),
            reason: None,
            report: None,
        }
    }
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// What it entered.
    pub state: RunState,
    /// Why, where that is not plain.
    pub reason: Option<String>,
}

/// What of a job's runs need not be remembered any longer. Runs that are not at their end ([`RunState::is_final`]) are never
/// concerned.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// Runs that started earlier are forgotten.
    pub before: DateTime<Utc>,
    /// Of all but so many of the newest runs, what is known of single rows is forgotten: [`Progress::forgotten`] from then on.
    pub rows_of: u32,
    /// Runs of which everything is needed.
    pub except: &'a [String],
}

/// A row of a change set that did not get through, as the store remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedReceipt {
    /// Its position in the change set.
    pub seq: u64,
    /// Its key; empty in what an earlier version has stored.
    pub key: String,
    /// How far it got.
    pub kind: FailureKind,
    /// The last HTTP status, if one came.
    pub status: Option<u16>,
    /// Requests made.
    pub attempts: u32,
    /// What the destination said, or what went wrong.
    pub detail: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// A store of any kind could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database said no.
    #[error("the state store failed: {0}")]
    Database(String),
    /// It got in the way of another transaction, time and again.
    #[error("the state store is busy: {0}")]
    Busy(String),
    /// The database does not take a value, or so much at once. The same again would fail again, and anything else may not.
    #[error("the state store does not take what it was given: {0}")]
    Refused(String),
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
    /// Somebody else has it by now.
    #[error(
        "this process no longer has the lease `{0}`: the database did not hear of it for longer than store.lease, and nothing it does counts any more"
    )]
    LeaseLost(String),
    /// A mark or receipt for a run that was never put.
    #[error("the state store has no run {0}; a run is put before its rows are attempted")]
    UnknownRun(String),
}

/// Runs and their receipts.
#[async_trait]
pub trait RunStore: RefusalStore {
    /// Adds a run, or replaces the record of the same id; a state that it was not in becomes an event of the time `at`. What
    /// is known of its rows is left alone.
    async fn put_run(&self, run: &RunRecord, at: DateTime<Utc>) -> Result<(), StoreError>;
    /// The same at an orderly end of delivery, in one write: rows that were to be attempted and have no receipt have not
    /// left.
    async fn end_delivery(&self, run: &RunRecord, at: DateTime<Utc>) -> Result<(), StoreError>;
    /// Puts a backfill that begins, unless the job has another that is not at its end: then nothing is written, and that one is returned. Of several
    /// that begin at once, in whichever processes, one is put.
    async fn begin_backfill(&self, backfill: &RunRecord, at: DateTime<Utc>) -> Result<Option<RunRecord>, StoreError>;
    /// The newest runs first, of one job or of all, at most `limit`. Backfills are none of them.
    async fn runs(&self, job: Option<&str>, limit: u32) -> Result<Vec<RunRecord>, StoreError>;
    /// The newest backfills first, of one job or of all, at most `limit`.
    async fn backfills(&self, job: Option<&str>, limit: u32) -> Result<Vec<RunRecord>, StoreError>;
    /// The backfill of a job that has not come to its end ([`RunState::is_final`]); the newest, should there be several.
    async fn open_backfill(&self, job: &str) -> Result<Option<RunRecord>, StoreError>;
    /// The runs of a job that have not come to their end ([`RunState::is_final`]), the oldest first. Backfills are none of them.
    async fn open_runs(&self, job: &str) -> Result<Vec<RunRecord>, StoreError>;
    /// One run or backfill.
    async fn run(&self, id: &str) -> Result<Option<RunRecord>, StoreError>;
    /// The steps of a run, the first first.
    async fn events(&self, run: &str) -> Result<Vec<RunEvent>, StoreError>;
    /// Rows that may be in flight from now on, and receipts: all durable, or nothing. A second receipt of a row replaces
    /// what is told of the first ([`Progress::receive`] says what stands). A refusal counts for its version.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`] before the run was put.
    async fn commit(&self, run: &str, attempting: &[Range<u64>], receipts: &[Receipt]) -> Result<(), StoreError>;
    /// The process that delivered the run is gone: what may have been in flight is unknown from now on.
    async fn cut_off(&self, run: &str) -> Result<(), StoreError>;
    /// What is known about a run's deliveries; [`Progress::forgotten`] if the store does not know the run, or not any more.
    async fn progress(&self, run: &str) -> Result<Progress, StoreError>;
    /// Forgets of the job's runs what is `past`, in one write.
    async fn forget_runs(&self, job: &str, past: &Past<'_>) -> Result<(), StoreError>;
    /// Rows that did not get through, in their order, at most `limit`.
    async fn failures(&self, run: &str, limit: u32) -> Result<Vec<FailedReceipt>, StoreError>;
}
