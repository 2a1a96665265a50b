//! Leases: who may do something alone among the processes that share a store.

use super::{StateStore, StoreError};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// What a write is let in by: a lease and the epoch in which it was taken. Once anybody has taken the lease after that, writes under this fence are
/// refused ([`StoreError::LeaseLost`]), however late they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The lease.
    pub name: String,
    /// Counts up with each taking.
    pub epoch: i64,
}

/// A lease as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeaseRecord {
    /// What it is for: `job/NAME`, to run a job; `schedules`, to begin runs.
    pub name: String,
    /// The place of the process that has it: `host:home folder`.
    pub holder: String,
    /// What that process does.
    pub what: String,
    /// Counts up with each taking.
    pub epoch: i64,
    /// When it was taken, by the store's clock.
    pub taken_at: DateTime<Utc>,
    /// When it runs out, by the store's clock, unless it is kept up.
    pub until: DateTime<Utc>,
}

/// Who asks for a lease, and for what.
#[derive(Debug, Clone)]
pub struct Asking<'a> {
    /// The lease's name.
    pub name: &'a str,
    /// The asker's place, for people.
    pub holder: &'a str,
    /// What it does, for people.
    pub what: &'a str,
    /// It runs out after so long, unless it is kept up.
    pub length: Duration,
    /// The epoch of a lease that the asker knows to be its own, though another process took it, which is gone.
    pub own: Option<i64>,
    /// It only counts as long as this one is in this epoch.
    pub parent: Option<&'a Fence>,
}

/// Leases of a store that several machines share. Time is the store's own.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Takes a lease that is free, has run out or is the asker's own. `Err`: who has it.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if its parent is somebody else's.
    async fn take_lease(&self, asking: &Asking<'_>) -> Result<Result<Fence, LeaseRecord>, StoreError>;
    /// Puts its end off to `length` from now; `false`: it has run out, or somebody else has it, or its parent.
    async fn keep_lease(&self, fence: &Fence, length: Duration) -> Result<bool, StoreError>;
    /// Gives it back. One that is lost already is left alone.
    async fn end_lease(&self, fence: &Fence) -> Result<(), StoreError>;
    /// Those that have not run out, by name.
    async fn leases(&self) -> Result<Vec<LeaseRecord>, StoreError>;
    /// How many have not run out of those that count with this one, in its epoch or an earlier one.
    async fn children(&self, parent: &Fence) -> Result<u64, StoreError>;
    /// Forgets those that have run out of these: a write under one of them is refused all the same.
    async fn forget_children(&self, parent: &Fence) -> Result<(), StoreError>;
    /// The same store, in which runs, receipts, refusals, fires and alerts are only written while none of these leases is somebody else's.
    fn fenced(&self, fences: &[Fence]) -> Arc<dyn StateStore>;
}
