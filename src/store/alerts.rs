//! What somebody was told of jobs.

use super::StoreError;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// Something that is, or was, wrong with a job. A job has one of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlertRecord {
    /// The job.
    pub job: String,
    /// What kind of thing.
    pub kind: String,
    /// Which one, where another one of the same kind is told anew.
    pub about: String,
    /// The daemon that found it: another one over the same store may not know the job.
    pub place: String,
    /// When it was found.
    pub since: DateTime<Utc>,
    /// When it was right again, if it is.
    pub ended_at: Option<DateTime<Utc>>,
    /// The channels that know of it; of its end, once `ended_at` is there.
    pub told: Vec<String>,
}

/// Alerts.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// All of them, by job and kind.
    async fn alerts(&self) -> Result<Vec<AlertRecord>, StoreError>;
    /// Adds an alert, or replaces the job's of the same kind.
    async fn put_alert(&self, alert: &AlertRecord) -> Result<(), StoreError>;
    /// Forgets the job's alert of a kind, if there is one.
    async fn forget_alert(&self, job: &str, kind: &str) -> Result<(), StoreError>;
}
