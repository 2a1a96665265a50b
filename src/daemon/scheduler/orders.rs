//! Runs that somebody asks for.

use super::{Begins, Scheduler};
use crate::daemon::door::{Order, Refused};
use crate::store::{FireCause, FireRecord, FireState, StoreError};
use chrono::{SubsecRound as _, TimeDelta};

impl Scheduler {
    /// Does what is asked, and answers. That nobody waits for the answer any more changes nothing.
    pub(super) async fn obey(&mut self, order: Order) {
        match order {
            Order::Run { job, answer } => {
                let told = self.run_now(&job).await;
                let _ = answer.send(told);
            }
            Order::Replace { jobs, answer } => {
                let told = self.replace(jobs).await;
                let _ = answer.send(told);
            }
        }
    }

    /// Begins a run of a job now, whatever its schedule and blackouts say. The fire that is returned is `running`; or `waiting`, where a run is on
    /// and the job's `overlap` is `queue`: of several orders one waits.
    pub(super) async fn run_now(&mut self, name: &str) -> Result<FireRecord, Refused> {
        self.write().await?;
        let watched = self.jobs.get(name).ok_or(Refused::Unknown)?;
        if let Some(waiting) = &watched.waiting {
            return Ok(waiting.clone());
        }
        let left = watched.left.as_ref().map(|(fire, _)| fire.claimed_at);
        let state = match self.on.get(name).copied().or(left) {
            None => FireState::Running,
            Some(_) if watched.schedule.queues => FireState::Waiting,
            Some(since) => return Err(Refused::Running { since }),
        };
        let fire = self.claim_now(name, state).await?;
        tracing::info!(event = "run_asked", job = name, due = %fire.due, state = state.as_str(), "schedules: a run was asked for");
        match state {
            FireState::Running => self.start(name, fire.clone()),
            _ => self.watch(name, |watched| watched.waiting = Some(fire.clone())),
        }
        Ok(fire)
    }

    /// A fire that is due at this instant; at the next one where there is one already.
    async fn claim_now(&self, name: &str, state: FireState) -> Result<FireRecord, StoreError> {
        // As the store keeps it.
        let due = self.clock.now().trunc_subsecs(6);
        let mut fire =
            self.fire(name, Begins { due, collapsed: 0, cause: FireCause::Request, origin: None }, state, None);
        while !self.store.claim_fire(&fire).await? {
            fire.due += TimeDelta::microseconds(1);
        }
        Ok(fire)
    }
}
