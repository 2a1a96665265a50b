//! Received orgs: what is known of one, and what an update (`mapping`) does to it.
//!
//! In: updates with their circumstances. Out: the [`OrgStore`] port, and [`plan`], which decides for every store what a batch of
//! updates does: `idempotency` (was it done before?), `merge` (which fields it may set, by `times`), `history` (what that changed).
//! Always holds: the stores only read what a batch concerns and write what the plan says, so all of them decide alike.
//! Deliberately absent: how it is stored; who may send it. Pure.

mod history;
mod idempotency;
mod merge;
mod plan;
mod times;

pub use history::OrgChange;
pub use idempotency::{AnswerHash, answer_hash};
pub use plan::{Answer, Change, KeyState, Known, NewAnswer, Plan, Uses, plan};
pub use times::FieldTimes;

use super::StoreError;
pub use crate::mapping::{OrgPatch, Patch, TrialStatus};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What is known of an org.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct OrgFields {
    /// The org's name.
    pub name: Option<String>,
    /// The plan's id.
    pub plan_id: Option<String>,
    /// The plan's name.
    pub plan_name: Option<String>,
    /// Users.
    pub user_count: Option<i64>,
    /// Monthly recurring revenue in cents.
    pub mrr: Option<i64>,
    /// Where its trial stands.
    pub trial_status: Option<TrialStatus>,
    /// When somebody last used it; to the microsecond.
    pub last_active_at: Option<DateTime<Utc>>,
    /// Feature flags.
    pub feature_flags: Option<Map<String, Value>>,
    /// Custom fields by name.
    pub custom: Map<String, Value>,
}

/// One org as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct OrgRecord {
    /// The id that payloads name it by.
    pub product_org_id: String,
    /// Our number for it: given once, never changed, never reused.
    pub target_org_id: i64,
    /// What is known of it.
    #[serde(flatten)]
    pub fields: OrgFields,
    /// When it was first received.
    pub created_at: DateTime<Utc>,
    /// When it was last received.
    pub updated_at: DateTime<Utc>,
    /// The id of the API key that sent it last.
    pub key_id: String,
    /// When the newest of its events happened, by its sender; `None` if none said.
    pub event_at: Option<DateTime<Utc>>,
    /// Which fields are not of that time.
    #[serde(skip)]
    pub times: FieldTimes,
    /// Entries in its history. What an earlier version had stored begins with none.
    #[serde(skip)]
    pub changes: i64,
}

/// The key that an update was sent with, as the receiver knew it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// Its id.
    pub id: String,
    /// [`KeyRecord::revision`](super::KeyRecord::revision)
    pub revision: i64,
}

/// An update with its circumstances. Times count to the microsecond.
#[derive(Debug, Clone, PartialEq)]
pub struct OrgUpsert {
    /// What it says.
    pub patch: OrgPatch,
    /// The key that sent it.
    pub key: KeyUse,
    /// The request that it came with, for the history.
    pub request_id: String,
    /// When it was received.
    pub at: DateTime<Utc>,
    /// When it happened, by its sender.
    pub event_at: Option<DateTime<Utc>>,
    /// As the sender calls this update: the same again is a repeat of it.
    pub idempotency_id: Option<String>,
}

/// Orgs whose history is gone through in one transaction.
pub(super) const ORGS_AT_A_TIME: i64 = 500;

/// What an update came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpsertOutcome {
    /// It is stored.
    Done(Upserted),
    /// Its key was changed, revoked or removed since, or has expired: nothing of it was written.
    KeyChanged,
}

/// What an update did, or what its first sending did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upserted {
    /// Our number for the org.
    pub target_org_id: i64,
    /// Whether the org was unknown before this update.
    pub is_new: bool,
    /// Whether it happened before the newest event stored of the org. It then set only what nothing newer is known of.
    pub stale: bool,
    /// Whether it was done before, and not again.
    pub repeated: bool,
}

/// The orgs that the receiver holds.
#[async_trait]
pub trait OrgStore: Send + Sync {
    /// Applies the updates in order, all or none, each as [`plan`] says: with history, what a repeat will be answered, and the
    /// uses of the keys. One outcome for each update, in the same order.
    async fn upsert_orgs(&self, batch: &[OrgUpsert]) -> Result<Vec<UpsertOutcome>, StoreError>;
    /// One org, by its exact id.
    async fn org(&self, product_org_id: &str) -> Result<Option<OrgRecord>, StoreError>;
    /// Orgs in the byte order of their ids, beginning behind `after`, at most `limit`.
    async fn orgs(&self, after: Option<&str>, limit: u32) -> Result<Vec<OrgRecord>, StoreError>;
    /// What changed in an org, the first change first, beginning behind number `after`, at most `limit`.
    async fn history(&self, product_org_id: &str, after: Option<i64>, limit: u32)
    -> Result<Vec<OrgChange>, StoreError>;
    /// Forgets what repeats of updates from before a time would be answered, the oldest first, at most `limit` of them. Returns
    /// how many.
    async fn forget_answers(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;
    /// Forgets changes from before a time, of as many orgs at a time as updates can wait for: those with the numbers from `from` on. The number to
    /// go on with; `None`: those were the last.
    async fn forget_history(&self, before: DateTime<Utc>, from: i64) -> Result<Option<i64>, StoreError>;
    /// Writes something of no meaning, as durably as an update: whether updates could be stored now.
    async fn probe(&self) -> Result<(), StoreError>;
}
