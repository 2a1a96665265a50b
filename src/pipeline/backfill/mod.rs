//! Orgs that are sent once more, at a rate of their own, over hours or days, while the nights go on (docs/SNAPSHOT.md, "Backfills").
//!
//! In: which orgs, at which rate. Out: a record of kind `backfill` with the progress of its rows, and a change set of its own ([`snapshot::spool`]).
//!
//! A backfill says what the destination is known to have, once more; it never says anything else. What differs from that is a run's to send, and the
//! backfill begins with one about its own orgs. So it publishes nothing, its receipts say nothing of the snapshot, and whatever becomes of it, kills
//! included, the nights stay right. Always holds: a row leaves only while its org is known, surely, as it was when the backfill was made, and no run has
//! sent the org since (`account`); nothing leaves while somebody else has the job's lock, and whoever waits for that gets it between two batches; rows that
//! may be in flight and receipts are durable as a run's are, so that after a kill only what was in flight is sent again, under the same ids; a job has one
//! backfill that is not at its end, on whichever machines they are begun.
//! Deliberately absent: guards (somebody has said yes to a number of orgs), removals.

mod account;
mod batch;
mod made;
mod pace;
mod record;
mod work;

pub use made::{Asked, Prepared};
pub use record::{Backfill, Sheet, backfills};
pub use work::{BackfillEnd, Filled};

use super::{PipelineError, Runner};
use crate::snapshot::spool_sweep;
use crate::store::{RunRecord, RunState};

impl Runner {
    /// The backfill of a job that is not at its end.
    ///
    /// # Errors
    /// None; a state store that cannot be read.
    pub async fn open_backfill(&self, job: &str) -> Result<RunRecord, PipelineError> {
        self.store.open_backfill(job).await?.ok_or_else(|| {
            let why = format!("there is none that is not at its end; `nightmark backfill {job}` begins one");
            PipelineError::Backfill { job: job.to_owned(), why }
        })
    }

    /// Has a backfill rest until it is gone on with. Whoever sends it stops in order.
    ///
    /// # Errors
    /// As [`open_backfill`](Self::open_backfill).
    pub async fn pause_backfill(&self, job: &str, who: &str) -> Result<RunRecord, PipelineError> {
        let open = self.open_backfill(job).await?;
        let hold = self.hold_job(job, "pause of its backfill").await?;
        let outcome = hold.runner().pause_held(job, &open, who).await;
        hold.end().await;
        outcome
    }

    async fn pause_held(&self, job: &str, open: &RunRecord, who: &str) -> Result<RunRecord, PipelineError> {
        let mut record = self.still_open(job, open).await?;
        let mut sheet = Sheet::of(&record)?;
        sheet.is_paused = true;
        (record.reason, record.report) = (Some(format!("paused by {who}")), Some(sheet.to_json()));
        self.store.put_run(&record, self.clock.now()).await?;
        Ok(record)
    }

    /// Gives up a backfill: what it has not sent it never sends.
    ///
    /// # Errors
    /// As [`open_backfill`](Self::open_backfill); a folder that cannot be removed.
    pub async fn cancel_backfill(&self, job: &str, who: &str) -> Result<RunRecord, PipelineError> {
        let open = self.open_backfill(job).await?;
        let hold = self.hold_job(job, "end of its backfill").await?;
        let outcome = hold.runner().cancel_held(job, &open, who).await;
        hold.end().await;
        outcome
    }

    async fn cancel_held(&self, job: &str, open: &RunRecord, who: &str) -> Result<RunRecord, PipelineError> {
        let mut record = self.still_open(job, open).await?;
        (record.reason, record.state) = (Some(format!("cancelled by {who}")), RunState::Discarded);
        record.finished_at = Some(self.clock.now());
        self.store.end_delivery(&record, self.clock.now()).await?;
        failpoint!("backfill.cancelled");
        // Whoever sends it may have its files open; they are removed all the same, and whoever makes the next looks again.
        spool_sweep(&self.home.snapshots(job), &[])?;
        Ok(record)
    }

    async fn still_open(&self, job: &str, open: &RunRecord) -> Result<RunRecord, PipelineError> {
        let record = self.open_backfill(job).await?;
        if record.id == open.id {
            return Ok(record);
        }
        Err(PipelineError::Backfill { job: job.to_owned(), why: format!("{} has ended meanwhile", open.id) })
    }
}
