//! A run's beginning and its end.

use super::watched::Watched;
use super::{AGAIN, Ended, Scheduler};
use crate::daemon::due::Due;
use crate::pipeline;
use crate::store::{FireCause, FireRecord, FireState, StoreError};
use chrono::{DateTime, SubsecRound as _, Utc};
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// What is to begin a run.
pub(super) struct Begins {
    pub(super) due: DateTime<Utc>,
    pub(super) collapsed: u64,
    pub(super) cause: FireCause,
    pub(super) origin: Option<String>,
}

impl From<Due> for Begins {
    fn from(due: Due) -> Self {
        Begins { due: due.at, collapsed: due.collapsed, cause: FireCause::Schedule, origin: None }
    }
}

impl Scheduler {
    /// A fire as it is put down now.
    pub(super) fn fire(&self, name: &str, begins: Begins, state: FireState, reason: Option<String>) -> FireRecord {
        let now = self.clock.now();
        let watched = self.jobs.get(name);
        let seen = match state {
            FireState::Running => watched.map(Watched::sees),
            _ => watched.map(|watched| watched.seen.clone()),
        };
        FireRecord {
            job: name.to_owned(),
            due: begins.due,
            state,
            holder: self.seat.holder.clone(),
            claimed_at: now,
            ended_at: (!matches!(state, FireState::Running | FireState::Waiting)).then_some(now),
            collapsed: begins.collapsed,
            reason,
            cause: begins.cause,
            origin: begins.origin,
            seen: seen.and_then(|seen| seen.text()),
        }
    }

    /// Begins the run of a fire that is in the store.
    pub(super) fn start(&mut self, name: &str, fire: FireRecord) {
        let Some(watched) = self.jobs.get_mut(name) else { return };
        watched.left = None;
        watched.seen = watched.sees();
        self.on.insert(name.to_owned(), fire.claimed_at);
        let (work, job) = (Arc::clone(&self.work), Arc::clone(&watched.job));
        self.running.spawn(async move {
            let ended = AssertUnwindSafe(work.run(job)).catch_unwind().await;
            (fire, ended.unwrap_or_else(|_| Ended::Failed("the run panicked: this is a bug of nightmark".to_owned())))
        });
    }

    /// What came of a run.
    pub(super) fn take(&mut self, ended: Option<Result<(FireRecord, Ended), tokio::task::JoinError>>) {
        let Some(Ok((mut fire, ended))) = ended else { return };
        // As the store keeps it.
        let now = self.clock.now().trunc_subsecs(6);
        self.on.remove(&fire.job);
        self.metrics.fire_over(&fire.job);
        // `None`: it was removed meanwhile.
        let mut watched = self.jobs.get_mut(&fire.job);
        // What was asked for is done, and not left out for a run that had begun before.
        let is_asked = fire.cause != FireCause::Schedule;
        let (state, reason) = match ended {
            // It stays `running`, and is begun anew by the next daemon.
            Ended::Stopped => return,
            // A run of this process may have it: the turn was lost while it planned, and is back.
            Ended::Busy(holder)
                if pipeline::is_own_run(&holder)
                    || watched.as_ref().is_some_and(|watched| watched.schedule.queues || is_asked) =>
            {
                if let Some(watched) = &mut watched {
                    watched.left = Some((fire, now + AGAIN));
                }
                return;
            }
            Ended::Busy(holder) => (FireState::Skipped, Some(format!("another process ran the job: {holder}"))),
            Ended::Done(reason) => (FireState::Done, reason),
            Ended::Held(reason) => (FireState::Held, Some(reason)),
            Ended::Failed(reason) => (FireState::Failed, Some(reason)),
        };
        if let (FireState::Done, Some(watched)) = (state, watched) {
            watched.done = watched.done.max(Some(fire.due));
            watched.succeeded = Some(now);
        }
        self.metrics.fired(&fire.job, state.as_str());
        (fire.state, fire.reason, fire.ended_at) = (state, reason, Some(now));
        self.unwritten.push(fire);
    }

    /// Writes how runs have ended.
    pub(super) async fn write(&mut self) -> Result<(), StoreError> {
        while let Some(fire) = self.unwritten.last() {
            self.store.end_fire(fire).await?;
            self.unwritten.pop();
        }
        Ok(())
    }
}
