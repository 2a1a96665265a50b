//! Who works on a job when: one at a time, by the lock of its snapshot folder. A backfill lets others have their turn.

use super::{PipelineError, Runner};
use crate::snapshot::{JobLock, SnapshotError};
use std::time::Duration;

/// Stands in what the lock says of its holder, if that is a backfill.
pub(super) const BACKFILL: &str = ", backfill ";

/// How long a backfill is waited for: its requests in flight may take their whole time-out. Each look takes a second besides.
const WAITS: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOKS: Duration = Duration::from_millis(50);

impl Runner {
    /// `what`: what is done meanwhile, for others who want to. A backfill that has the lock is waited for: it lets go of it between its batches.
    pub(super) async fn lock(&self, job: &str, what: &str) -> Result<JobLock, PipelineError> {
        let (dir, holder) = (self.home.snapshots(job), format!("process {}, {what}", std::process::id()));
        let (mut wanted, mut waited) = (None, Duration::ZERO);
        loop {
            match JobLock::take(&dir, job, &holder) {
                Err(SnapshotError::Busy { holder, .. }) if holder.contains(BACKFILL) && waited < WAITS => {
                    if wanted.is_none() {
                        tracing::info!(
                            event = "backfill_waited_for",
                            job,
                            holder,
                            "a backfill is to let others have their turn"
                        );
                        wanted = Some(JobLock::want(&dir)?);
                    }
                    tokio::time::sleep(LOOKS).await;
                    waited += LOOKS;
                }
                other => return Ok(other?),
            }
        }
    }
}
