//! What is to be done with a job now.

use super::Scheduler;
use super::watched::Watched;
use crate::daemon::due::{self, Due, Step};
use crate::daemon::fires;
use crate::job::spec::Timing;
use crate::store::{FireRecord, FireState, StoreError};
use chrono::{DateTime, TimeDelta, Utc};

/// What came of a look at a job.
pub(super) enum Looked {
    /// Something was done: there may be more.
    Again,
    /// Nothing before then, or before a run ends.
    Wait(Option<DateTime<Utc>>),
}

impl Scheduler {
    /// Does what its schedule, or what it has left, demands now.
    pub(super) async fn look(&mut self, name: &str) -> Result<Looked, StoreError> {
        let now = self.clock.now();
        let Some(watched) = self.jobs.get(name) else { return Ok(Looked::Wait(None)) };
        let step = due::step(name, &watched.schedule, watched.handled, now);
        self.metrics.next_fire(name, step.at());
        // What was missed is noted first: it was missed before anything is begun anew.
        let is_missed = matches!(step, Step::Miss(_));
        if let Some((fire, not_before)) = watched.left.clone().filter(|_| !is_missed) {
            return self.go_on(name, fire, not_before, step).await;
        }
        let is_on = self.on.contains_key(name);
        if let Some(fire) = watched.waiting.clone().filter(|_| !is_missed && !is_on) {
            return self.begin_waiting(name, fire).await;
        }
        let mut besides = None;
        if !is_missed && !is_on {
            match self.look_besides(name).await? {
                Looked::Again => return Ok(Looked::Again),
                Looked::Wait(until) => besides = until,
            }
        }
        match self.look_at_clock(name, step).await? {
            Looked::Again => Ok(Looked::Again),
            Looked::Wait(until) => Ok(Looked::Wait(sooner(until, besides))),
        }
    }

    /// What other jobs and files demand.
    async fn look_besides(&mut self, name: &str) -> Result<Looked, StoreError> {
        let after = match self.look_after(name).await? {
            Looked::Again => return Ok(Looked::Again),
            Looked::Wait(until) => until,
        };
        match self.look_for_files(name).await? {
            Looked::Again => Ok(Looked::Again),
            Looked::Wait(until) => Ok(Looked::Wait(sooner(until, after))),
        }
    }

    async fn look_at_clock(&mut self, name: &str, step: Step) -> Result<Looked, StoreError> {
        let Some(watched) = self.jobs.get(name) else { return Ok(Looked::Wait(None)) };
        let is_on = self.on.contains_key(name);
        match step {
            Step::Never => Ok(Looked::Wait(None)),
            Step::Wait(until) => Ok(Looked::Wait(Some(until))),
            // The end of the run that is on comes first.
            Step::Run(_) if is_on && watched.schedule.queues => Ok(Looked::Wait(None)),
            Step::Run(due) if is_on => {
                let reason = "the job's run before it was still on (overlap = \"skip\")".to_owned();
                self.pass_over(name, due, FireState::Skipped, reason).await
            }
            Step::Run(due) => match self.waits_for(watched, due.at) {
                Some(_) => {
                    Ok(Looked::Wait(Some(due::deadline(name, &watched.schedule, due.at) + TimeDelta::seconds(1))))
                }
                None => self.begin(name, due).await,
            },
            Step::Miss(due) => {
                let waited = self.waits_for(watched, due.at).filter(|_| !is_on);
                let (state, reason) = match waited {
                    Some(reason) => (FireState::Skipped, reason),
                    None if is_on => (FireState::Skipped, "the job's run before it was on for too long".to_owned()),
                    None => (FireState::Missed, "no daemon was there until it was too late (catch_up)".to_owned()),
                };
                self.pass_over(name, due, state, reason).await
            }
        }
    }

    /// A run that was cut off is begun anew, whenever that was: what it has sent and not sent is known. But a later fire takes over.
    async fn go_on(
        &mut self,
        name: &str,
        mut fire: FireRecord,
        not_before: DateTime<Utc>,
        step: Step,
    ) -> Result<Looked, StoreError> {
        let now = self.clock.now();
        if let Step::Run(later) = step {
            let reason = format!("it was cut off or found the job busy; the fire of {} took over", later.at);
            let given_up = FireRecord { state: FireState::Failed, ended_at: Some(now), reason: Some(reason), ..fire };
            if self.store.end_fire(&given_up).await? {
                self.metrics.fired(name, given_up.state.as_str());
            }
        } else if now < not_before {
            return Ok(Looked::Wait(Some(not_before)));
        } else {
            fire.claimed_at = now;
            fire.seen = self.jobs.get(name).and_then(|watched| watched.sees().text());
            fire.holder.clone_from(&self.seat.holder);
            if self.store.end_fire(&fire).await? {
                tracing::info!(event = "fire_resumed", job = name, due = %fire.due, "schedules: a run that was cut off is begun anew");
                self.start(name, fire);
                return Ok(Looked::Again);
            }
        }
        self.watch(name, |watched| watched.left = None);
        Ok(Looked::Again)
    }

    /// What was asked for while a run was on.
    async fn begin_waiting(&mut self, name: &str, fire: FireRecord) -> Result<Looked, StoreError> {
        let seen = self.jobs.get(name).and_then(|watched| watched.sees().text());
        let fire = FireRecord {
            state: FireState::Running,
            claimed_at: self.clock.now(),
            seen,
            holder: self.seat.holder.clone(),
            ..fire
        };
        let is_ours = self.store.end_fire(&fire).await?;
        self.watch(name, |watched| watched.waiting = None);
        if is_ours {
            tracing::info!(event = "fire_begun", job = name, due = %fire.due, cause = fire.cause.as_str(), "schedules: a run that was asked for begins");
            self.start(name, fire);
        }
        Ok(Looked::Again)
    }

    /// A job that this one waits for, in words; `None`: all are done.
    fn waits_for(&self, watched: &Watched, at: DateTime<Utc>) -> Option<String> {
        watched.schedule.depends_on.iter().find_map(|other| {
            let theirs = self.jobs.get(other).filter(|theirs| !matches!(theirs.schedule.timing, Timing::Never));
            let Some(theirs) = theirs else {
                return Some(format!("it depends on job `{other}`, which is not there, is faulty or has no schedule"));
            };
            let due = fires::last(&theirs.schedule, theirs.since, at)?;
            let is_done = theirs.done.is_some_and(|done| done >= due);
            (!is_done).then(|| format!("it depends on job `{other}`, whose fire of {due} was not done"))
        })
    }

    async fn begin(&mut self, name: &str, due: Due) -> Result<Looked, StoreError> {
        let fire = self.fire(name, due.into(), FireState::Running, None);
        let is_ours = self.store.claim_fire(&fire).await?;
        self.watch(name, |watched| watched.handled = due.at);
        if is_ours {
            tracing::info!(event = "fire_begun", job = name, due = %due.at, collapsed = due.collapsed, cause = "schedule", "schedules: a run begins");
            if let Some(watched) = self.jobs.get(name) {
                self.metrics.fire_begins(name, due::begins(name, &watched.schedule, due.at));
            }
            self.start(name, fire);
        }
        Ok(Looked::Again)
    }

    async fn pass_over(
        &mut self,
        name: &str,
        due: Due,
        state: FireState,
        reason: String,
    ) -> Result<Looked, StoreError> {
        tracing::warn!(event = "fire_passed_over", job = name, due = %due.at, state = state.as_str(), reason, "schedules: no run");
        if self.store.claim_fire(&self.fire(name, due.into(), state, Some(reason))).await? {
            self.metrics.fired(name, state.as_str());
        }
        self.watch(name, |watched| watched.handled = due.at);
        Ok(Looked::Again)
    }
}

fn sooner(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    [one, other].into_iter().flatten().min()
}
