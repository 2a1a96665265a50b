//! Deliveries that several daemons share: a change set in chunks, each of them one daemon's at a time.

use super::{Fence, LeaseStore, StoreError};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::ops::Range;

/// A delivery that others may help with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The run.
    pub run: String,
    /// Its job.
    pub job: String,
    /// Who may help.
    pub fleet: String,
    /// The epoch of the job's lease, under which it is offered: once somebody else has the job, nobody's help counts.
    pub epoch: i64,
    /// Rows of the change set.
    pub rows: u64,
    /// Rows of a chunk; of the last one maybe fewer.
    pub chunk_rows: u64,
    /// How many take part at most, whoever offers included: each has its share of the destination's limits.
    pub places: u32,
    /// What a helper's job must be like, so that its requests are the same.
    pub plan: String,
    /// When it was offered.
    pub at: DateTime<Utc>,
}

impl Offer {
    /// How many chunks there are.
    pub fn chunks(&self) -> u64 {
        self.rows.div_ceil(self.chunk_rows.max(1))
    }

    /// The rows of a chunk.
    pub fn rows_of(&self, chunk: u64) -> Range<u64> {
        let start = chunk.saturating_mul(self.chunk_rows).min(self.rows);
        start..start.saturating_add(self.chunk_rows).min(self.rows)
    }

    /// The lease of one of its places; the first is that of whoever offers.
    pub fn place(&self, number: u32) -> String {
        format!("share/{}/{number}", self.run)
    }

    /// The lease under which it is offered.
    pub fn parent(&self) -> Fence {
        Fence { name: format!("job/{}", self.job), epoch: self.epoch }
    }
}

/// How far a shared delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareState {
    /// Chunks are still given out.
    pub is_open: bool,
    /// Chunks in all.
    pub chunks: u64,
    /// Of these: done.
    pub done: u64,
}

/// Shared deliveries of a store that several machines share.
#[async_trait]
pub trait ShareStore: LeaseStore {
    /// Offers a delivery; what was given out and done of an earlier offer of the same run is forgotten.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if the job is somebody else's.
    async fn put_offer(&self, offer: &Offer) -> Result<(), StoreError>;
    /// The deliveries that a fleet can help with: open, with chunks that are not done.
    async fn offers(&self, fleet: &str) -> Result<Vec<Offer>, StoreError>;
    /// Gives out a chunk that nobody has; `None`: there is none now, or the offer is closed. Whoever had it before can write nothing more; what may
    /// have been in flight of it counts as unknown.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if the place, or the job, is somebody else's.
    async fn claim_chunk(&self, offer: &Offer, place: &Fence) -> Result<Option<u64>, StoreError>;
    /// A chunk is done: each of its rows has its word.
    ///
    /// # Errors
    /// As [`claim_chunk`](Self::claim_chunk).
    async fn finish_chunk(&self, offer: &Offer, place: &Fence, chunk: u64) -> Result<(), StoreError>;
    /// How far it is; `None`: it was never offered.
    async fn share(&self, run: &str) -> Result<Option<ShareState>, StoreError>;
    /// Gives out no more of it.
    async fn close_offer(&self, run: &str) -> Result<(), StoreError>;
}
