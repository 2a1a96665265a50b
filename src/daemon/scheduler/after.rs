//! Runs that other jobs' successes begin: each success once, whenever it was; those that come while a run is on, or in a blackout, together.

use super::look::Looked;
use super::seen::Seen;
use super::watched::Watched;
use super::{Begins, KNOWN, Scheduler};
use crate::daemon::due;
use crate::store::{FireCause, FireRecord, FireState, StoreError};
use chrono::{DateTime, TimeDelta, Utc};

/// A success that has begun no run of the job yet.
struct Success {
    job: String,
    /// When it ended.
    at: DateTime<Utc>,
}

impl Scheduler {
    /// Begins a run, if there are such successes.
    pub(super) async fn look_after(&mut self, name: &str) -> Result<Looked, StoreError> {
        let Some(watched) = self.jobs.get(name) else { return Ok(Looked::Wait(None)) };
        let new = self.successes(watched);
        let Some(due) = new.iter().map(|success| success.at).max() else { return Ok(Looked::Wait(None)) };
        if let Some(end) = due::blackout_end(&watched.schedule, self.clock.now()) {
            return Ok(Looked::Wait(Some(end)));
        }
        let mut seen = watched.sees();
        let collapsed = self.count(watched, &new).await?.saturating_sub(1);
        let names: Vec<&str> = new.iter().map(|success| success.job.as_str()).collect();
        let origin = Some(names.join(", "));
        seen.after.extend(new.iter().map(|success| (success.job.clone(), success.at)));
        let begins = Begins { due, collapsed, cause: FireCause::Job, origin };
        self.begin_by(name, begins, seen).await?;
        Ok(Looked::Again)
    }

    fn successes(&self, watched: &Watched) -> Vec<Success> {
        let new = |job: &String| {
            let at = self.jobs.get(job)?.succeeded?;
            let is_new = at > watched.since && watched.seen.after.get(job) != Some(&at);
            is_new.then(|| Success { job: job.clone(), at })
        };
        watched.schedule.run_after.iter().filter_map(new).collect()
    }

    /// How many successes there are in all.
    async fn count(&self, watched: &Watched, new: &[Success]) -> Result<u64, StoreError> {
        let mut count = 0;
        for success in new {
            let seen = watched.seen.after.get(&success.job).copied().unwrap_or(watched.since).max(watched.since);
            let fires = self.store.fires(Some(&success.job), KNOWN).await?;
            let is_new =
                |fire: &&FireRecord| fire.state == FireState::Done && fire.ended_at.is_some_and(|at| at > seen);
            count += fires.iter().filter(is_new).count().max(1) as u64;
        }
        Ok(count)
    }

    /// Begins a run by what was seen, and puts that down with it.
    pub(super) async fn begin_by(&mut self, name: &str, begins: Begins, seen: Seen) -> Result<(), StoreError> {
        let cause = begins.cause;
        let mut fire = self.fire(name, begins, FireState::Running, None);
        fire.seen = seen.text();
        let is_ours = self.claim_beside(&mut fire).await?;
        self.watch(name, |watched| watched.seen = seen);
        if is_ours {
            let (cause, origin) = (cause.as_str(), fire.origin.as_deref());
            tracing::info!(event = "fire_begun", job = name, due = %fire.due, collapsed = fire.collapsed, cause, origin, "schedules: a run begins");
            self.start(name, fire);
        }
        Ok(())
    }

    /// Claims a fire that is not of the schedule, a microsecond later where another fire is due at its instant; `false`: it was dealt with.
    async fn claim_beside(&self, fire: &mut FireRecord) -> Result<bool, StoreError> {
        while !self.store.claim_fire(fire).await? {
            let known = self.store.fires(Some(&fire.job), KNOWN).await?;
            let there = known.iter().find(|known| known.due == fire.due);
            if there.is_none_or(|there| (there.cause, &there.origin) == (fire.cause, &fire.origin)) {
                return Ok(false);
            }
            fire.due += TimeDelta::microseconds(1);
        }
        Ok(true)
    }
}
