//! Who works on a job when: one at a time. A backfill lets others have their turn.

use super::hold::Hold;
use super::{PipelineError, Runner};
use crate::snapshot::{JobLock, SnapshotError};
use std::time::Duration;

/// Stands in what a hold says of its holder, if that is a backfill.
const BACKFILL: &str = ", backfill ";

/// How long a backfill is waited for: its requests in flight may take their whole time-out. Each look takes a second besides, but for one at a lease.
const WAITS: Duration = Duration::from_secs(20);
/// Between two looks; a backfill of another machine lets go of its lease for longer than that.
const LOOKS: Duration = Duration::from_millis(50);

/// What a backfill says of itself while it has a job.
pub(super) fn backfill(id: &str) -> String {
    format!("backfill {id}")
}

impl Runner {
    /// `what`: what is done meanwhile, for others who want to. A backfill that has the job is waited for: it lets go of it between its batches.
    ///
    /// # Errors
    /// [`SnapshotError::Busy`]: somebody else has it.
    pub(super) async fn hold_job(&self, job: &str, what: &str) -> Result<Hold, PipelineError> {
        let (mut wanted, mut waited) = (None, Duration::ZERO);
        loop {
            match self.take_job(job, what).await {
                Err(PipelineError::Snapshot(SnapshotError::Busy { holder, .. }))
                    if holder.contains(BACKFILL) && waited < WAITS =>
                {
                    if wanted.is_none() {
                        tracing::info!(
                            event = "backfill_waited_for",
                            job,
                            holder,
                            "a backfill is to let others have their turn"
                        );
                        wanted = Some(JobLock::want(&self.home.snapshots(job))?);
                    }
                    tokio::time::sleep(LOOKS).await;
                    waited += LOOKS;
                }
                other => return other,
            }
        }
    }
}
