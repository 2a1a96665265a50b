//! Versions of rows that destinations refuse, and destinations that are out of service.

use super::StoreError;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// A version of a row that the destination has refused, once for each run that sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The job.
    pub job: String,
    /// The id of the version: another value has another id.
    pub webhook_id: String,
    /// The row's key as text.
    pub key: String,
    /// How often it was refused, since somebody asked for another try at the latest.
    pub count: u32,
    /// The last HTTP status.
    pub status: Option<u16>,
    /// What the destination said last; without secrets.
    pub detail: Option<String>,
    /// When it was refused first.
    pub first_at: DateTime<Utc>,
    /// When it was refused last.
    pub last_at: DateTime<Utc>,
    /// The run that sent it last.
    pub run: String,
    /// Nobody wants to hear of it again, until its value changes.
    pub dropped: bool,
}

impl Refusal {
    /// Whether it is not sent any more. `after`: how many refusals set a version aside; 0: none do.
    pub fn is_given_up(&self, after: u32) -> bool {
        self.dropped || (after > 0 && self.count >= after)
    }
}

/// Whether a job's destination takes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationState {
    /// The last run found it, or the job, in need of mending, and the next run tries again; or it has asked to be left
    /// alone until [`DestinationRecord::paused_until`].
    Paused,
    /// It has said that it is gone (410). Nothing is sent until somebody enables it or gives another address.
    Disabled,
}

/// Why a job's destination takes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DestinationRecord {
    /// The job.
    pub job: String,
    /// The address as the job file has it, without what its references stand for.
    pub address: String,
    /// What it is.
    pub state: DestinationState,
    /// What happened; without secrets.
    pub reason: String,
    /// What to do.
    pub remedy: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// The run that found it so first.
    pub run: String,
    /// Nothing is sent before then: the destination has asked for it.
    pub paused_until: Option<DateTime<Utc>>,
}

impl DestinationRecord {
    /// It was a pause, and that is over.
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.paused_until.is_some_and(|until| until <= now)
    }
}

/// What is to be done with refused versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalChange {
    /// The next run sends them again, as if they had never been refused.
    Retry,
    /// Not told of any more.
    Drop,
    /// The versions are no more: delivered, or their value has changed.
    Forget,
}

/// Refused versions and destinations out of service. Refusals are added by receipts
/// ([`RunStore::commit`](super::RunStore::commit)).
#[async_trait]
pub trait RefusalStore: Send + Sync {
    /// The refused versions of a job, or of all jobs, by job and key.
    async fn refusals(&self, job: Option<&str>) -> Result<Vec<Refusal>, StoreError>;
    /// Does the same to several versions of a job; ids that are not known are passed over. Returns how many were known.
    async fn change_refusals(
        &self,
        job: &str,
        webhook_ids: &[String],
        change: RefusalChange,
    ) -> Result<u64, StoreError>;
    /// The job's destination, if it is out of service.
    async fn destination(&self, job: &str) -> Result<Option<DestinationRecord>, StoreError>;
    /// Every destination that is out of service, by job.
    async fn destinations(&self) -> Result<Vec<DestinationRecord>, StoreError>;
    /// Takes a destination out of service, or changes why.
    async fn put_destination(&self, record: &DestinationRecord) -> Result<(), StoreError>;
    /// Puts it back. Returns whether it was out of service.
    async fn clear_destination(&self, job: &str) -> Result<bool, StoreError>;
}
