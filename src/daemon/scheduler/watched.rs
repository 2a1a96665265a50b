//! What is known of a job.

use super::KNOWN;
use crate::job::spec::{Job, Schedule};
use crate::store::{FireCause, FireRecord, FireState, FireStore, StoreError};
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// A job, and how far its fires have been dealt with.
pub(super) struct Watched {
    pub(super) job: Arc<Job>,
    /// Its own, or one that never fires.
    pub(super) schedule: Schedule,
    /// Fires of the schedule up to here are none of the daemon's business.
    pub(super) since: DateTime<Utc>,
    /// Fires of the schedule up to here have been dealt with.
    pub(super) handled: DateTime<Utc>,
    /// When the last fire that was done was due.
    pub(super) done: Option<DateTime<Utc>>,
    /// A fire whose run was cut off, or found the job busy; not before the instant.
    pub(super) left: Option<(FireRecord, DateTime<Utc>)>,
    /// A fire that was asked for while a run was on.
    pub(super) waiting: Option<FireRecord>,
}

impl Watched {
    /// As the store remembers it. `holder`: whose runs that were cut off are to be begun anew.
    pub(super) async fn load(
        job: Arc<Job>,
        store: &dyn FireStore,
        holder: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let (schedule, since) = match &job.schedule {
            None => (Schedule::never(job.timezone), now),
            Some(schedule) => {
                let written = format!("{} {}", schedule.expression.trim(), schedule.timezone);
                (schedule.clone(), store.scheduled_since(&job.name, &written, now).await?)
            }
        };
        let known = store.fires(Some(&job.name), KNOWN).await?;
        let newest = known.iter().find(|fire| fire.cause == FireCause::Schedule).map(|fire| fire.due);
        let done = known.iter().find(|fire| fire.state == FireState::Done).map(|fire| fire.due);
        let ours = |state| known.iter().find(|fire| fire.state == state && fire.holder == holder).cloned();
        Ok(Watched {
            schedule,
            since,
            handled: newest.map_or(since, |newest| newest.max(since)),
            done,
            left: ours(FireState::Running).map(|fire| (fire, now)),
            waiting: ours(FireState::Waiting),
            job,
        })
    }
}
