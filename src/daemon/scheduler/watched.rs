//! What is known of a job.

use super::files::Looks;
use super::seen::Seen;
use super::{KNOWN, Seat};
use crate::job::spec::{Job, Schedule};
use crate::store::{FireCause, FireRecord, FireState, FireStore, StoreError};
use chrono::{DateTime, Utc};
use std::cmp::Reverse;
use std::sync::Arc;

/// The fires of a job that matter, the newest first: the last ones, and those that many others have come after.
async fn known(job: &str, store: &dyn FireStore, open: &[FireRecord]) -> Result<Vec<FireRecord>, StoreError> {
    let mut known = store.fires(Some(job), KNOWN).await?;
    let mut older: Vec<FireRecord> = open.iter().filter(|fire| fire.job == job).cloned().collect();
    older.extend(store.newest_fire(job, Some(FireCause::Schedule), None).await?);
    older.extend(store.newest_fire(job, None, Some(FireState::Done)).await?);
    for fire in older {
        if !known.iter().any(|known| known.due == fire.due) {
            known.push(fire);
        }
    }
    known.sort_by_key(|fire| Reverse(fire.due));
    Ok(known)
}

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
    /// When the last run that was done ended.
    pub(super) succeeded: Option<DateTime<Utc>>,
    /// What of other jobs and files has begun runs, or was read by them.
    pub(super) seen: Seen,
    pub(super) looks: Looks,
    /// A fire whose run was cut off, or found the job busy; not before the instant.
    pub(super) left: Option<(FireRecord, DateTime<Utc>)>,
    /// A fire that was asked for while a run was on.
    pub(super) waiting: Option<FireRecord>,
}

impl Watched {
    /// As the store remembers it. `open`: the fires that run or wait. `seat`: whose runs that were cut off are to be begun anew.
    pub(super) async fn load(
        job: Arc<Job>,
        store: &dyn FireStore,
        open: &[FireRecord],
        seat: &Seat,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let (schedule, since) = match &job.schedule {
            None => (Schedule::never(job.timezone), now),
            Some(schedule) => {
                let mut written = format!("{} {}", schedule.expression.trim(), schedule.timezone);
                if !schedule.run_after.is_empty() {
                    written.push_str(&format!(" after {}", schedule.run_after.join(", ")));
                }
                (schedule.clone(), store.scheduled_since(&job.name, &written, now).await?)
            }
        };
        let known = known(&job.name, store, open).await?;
        let newest = known.iter().find(|fire| fire.cause == FireCause::Schedule).map(|fire| fire.due);
        let done = known.iter().find(|fire| fire.state == FireState::Done).map(|fire| fire.due);
        let ours = |state| known.iter().find(|fire| fire.state == state && seat.has(fire)).cloned();
        Ok(Watched {
            schedule,
            since,
            handled: newest.map_or(since, |newest| newest.max(since)),
            done,
            succeeded: known.iter().filter(|fire| fire.state == FireState::Done).filter_map(|fire| fire.ended_at).max(),
            seen: Seen::of(&known),
            looks: Looks::default(),
            left: ours(FireState::Running).map(|fire| (fire, now)),
            waiting: ours(FireState::Waiting),
            job,
        })
    }

    /// What a run that begins now has seen: it reads what the last look has found, or something later.
    pub(super) fn sees(&self) -> Seen {
        let files = self.looks.last.as_ref().map(|last| last.identity.clone()).or_else(|| self.seen.files.clone());
        Seen { files, ..self.seen.clone() }
    }
}
