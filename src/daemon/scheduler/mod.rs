//! Begins the runs of all jobs when they are due, each fire once.
//!
//! In: jobs with schedules, the store's memory of fires, [`Work`] that runs a job. Out: fires in the store.
//! Always holds: a fire is claimed in the store before its run begins; a run that the daemon's end has cut off is begun anew by the next
//! daemon of the same place; a job has one run at a time. An error of the store delays what is due, and loses nothing.

use super::due::{self, Due, Step};
use super::fires;
use crate::clock::Clock;
use crate::job::spec::{Job, Schedule};
use crate::metrics::Metrics;
use crate::store::{FireRecord, FireState, FireStore, StoreError};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The longest that nobody looks at the clock, which may be put forward or back.
const LOOK: Duration = Duration::from_secs(20);
/// After that what failed, or was in the way, is tried again.
const AGAIN: TimeDelta = TimeDelta::seconds(20);
/// Fires of a job that are looked through at the beginning.
const KNOWN: u32 = 200;
/// Fires are remembered for so long.
const KEPT: TimeDelta = TimeDelta::days(400);

/// How a run has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// In order; the text says what is worth saying of it.
    Done(Option<String>),
    /// A guard holds it.
    Held(String),
    /// It could not be done.
    Failed(String),
    /// Another process runs the job.
    Busy(String),
    /// The daemon stops, and something is left to do.
    Stopped,
}

/// Runs a job.
#[async_trait]
pub trait Work: Send + Sync + 'static {
    /// One run, to its end.
    async fn run(&self, job: Arc<Job>) -> Ended;
}

/// What is known of a job.
struct Watched {
    job: Arc<Job>,
    schedule: Schedule,
    /// Fires up to here are none of the daemon's business.
    since: DateTime<Utc>,
    /// Fires up to here have been dealt with.
    handled: DateTime<Utc>,
    /// The last fire that was done.
    done: Option<DateTime<Utc>>,
    is_running: bool,
    /// A fire whose run was cut off, or found the job busy; not before the instant.
    left: Option<(FireRecord, DateTime<Utc>)>,
}

/// The jobs of a daemon and their runs.
pub struct Scheduler {
    store: Arc<dyn FireStore>,
    clock: Arc<dyn Clock>,
    work: Arc<dyn Work>,
    holder: String,
    metrics: Arc<dyn Metrics>,
    jobs: BTreeMap<String, Watched>,
    running: JoinSet<(FireRecord, Ended)>,
    /// How fires have ended that could not be written yet.
    unwritten: Vec<FireRecord>,
}

impl Scheduler {
    /// Takes over the jobs that have a schedule. `holder`: which daemon this is; one that comes after it in its place has the same.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub async fn new(
        jobs: Vec<Job>,
        store: Arc<dyn FireStore>,
        clock: Arc<dyn Clock>,
        work: Arc<dyn Work>,
        holder: String,
    ) -> Result<Self, StoreError> {
        let now = clock.now();
        let mut watched = BTreeMap::new();
        for job in jobs {
            let Some(schedule) = job.schedule.clone() else { continue };
            let written = format!("{} {}", schedule.expression.trim(), schedule.timezone);
            let since = store.scheduled_since(&job.name, &written, now).await?;
            let known = store.fires(Some(&job.name), KNOWN).await?;
            let newest = known.first().map(|fire| fire.due);
            let done = known.iter().find(|fire| fire.state == FireState::Done).map(|fire| fire.due);
            let left = known.into_iter().find(|fire| fire.state == FireState::Running && fire.holder == holder);
            let watch = Watched {
                handled: newest.map_or(since, |newest| newest.max(since)),
                job: Arc::new(job),
                schedule,
                since,
                done,
                is_running: false,
                left: left.map(|fire| (fire, now)),
            };
            watched.insert(watch.job.name.clone(), watch);
        }
        store.forget_fires(now - KEPT).await?;
        let (metrics, running) = (Arc::new(()), JoinSet::new());
        Ok(Scheduler { store, clock, work, holder, metrics, jobs: watched, running, unwritten: Vec::new() })
    }

    /// Tells what becomes of fires, and when the next are due.
    #[must_use]
    pub fn with_metrics(self, metrics: Arc<dyn Metrics>) -> Self {
        let now = self.clock.now();
        for (name, watched) in &self.jobs {
            metrics.next_fire(name, due::step(name, &watched.schedule, watched.handled, now).at());
        }
        Scheduler { metrics, ..self }
    }

    /// How many jobs there are.
    pub fn jobs(&self) -> usize {
        self.jobs.len()
    }

    /// Begins what is due, until it is told to stop; then waits for the runs that are on.
    pub async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        while !*stopping.borrow() {
            let wait = match self.tick().await {
                Ok(next) => next.map_or(LOOK, |next| (next - self.clock.now()).to_std().unwrap_or_default().min(LOOK)),
                Err(error) => {
                    tracing::error!(event = "schedule_store_failed", %error, "schedules: the state store fails; what is due waits for it");
                    LOOK
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stopping.changed() => {}
                ended = self.running.join_next(), if !self.running.is_empty() => self.take(ended),
            }
        }
        while let Some(ended) = self.running.join_next().await {
            self.take(Some(ended));
        }
        if let Err(error) = self.write().await {
            tracing::error!(event = "fires_not_written", %error, "schedules: the state store fails; the runs that have ended now are begun anew by the next start");
        }
    }

    /// Waits for a run to end; `false` if none is on.
    pub async fn wait(&mut self) -> bool {
        let ended = self.running.join_next().await;
        let is_one = ended.is_some();
        self.take(ended);
        is_one
    }

    /// Does what is to be done now. Returns when there is more to do, if no run ends before; `None`: never.
    ///
    /// # Errors
    /// A store that cannot be written: to be called again.
    pub async fn tick(&mut self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.write().await?;
        let names: Vec<String> = self.jobs.keys().cloned().collect();
        let mut next = None;
        for name in names {
            // A fire that was dealt with may have another behind it.
            let wait = loop {
                match self.look(&name).await? {
                    Looked::Again => {}
                    Looked::Wait(until) => break until,
                }
            };
            next = [next, wait].into_iter().flatten().min();
        }
        Ok(next)
    }

    async fn look(&mut self, name: &str) -> Result<Looked, StoreError> {
        let now = self.clock.now();
        let Some(watched) = self.jobs.get(name) else { return Ok(Looked::Wait(None)) };
        let step = due::step(name, &watched.schedule, watched.handled, now);
        self.metrics.next_fire(name, step.at());
        // What was missed is noted first: it was missed before anything is begun anew.
        let is_missed = matches!(step, Step::Miss(_));
        if let Some((fire, not_before)) = watched.left.clone().filter(|_| !is_missed) {
            return self.go_on(name, fire, not_before, step).await;
        }
        match step {
            Step::Never => Ok(Looked::Wait(None)),
            Step::Wait(until) => Ok(Looked::Wait(Some(until))),
            // The end of the run that is on comes first.
            Step::Run(_) if watched.is_running && watched.schedule.queues => Ok(Looked::Wait(None)),
            Step::Run(due) if watched.is_running => {
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
                let waited = self.waits_for(watched, due.at).filter(|_| !watched.is_running);
                let (state, reason) = match waited {
                    Some(reason) => (FireState::Skipped, reason),
                    None if watched.is_running => {
                        (FireState::Skipped, "the job's run before it was on for too long".to_owned())
                    }
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
            fire.holder.clone_from(&self.holder);
            if self.store.end_fire(&fire).await? {
                tracing::info!(event = "fire_resumed", job = name, due = %fire.due, "schedules: a run that was cut off is begun anew");
                self.start(name, fire);
                return Ok(Looked::Again);
            }
        }
        self.jobs.entry(name.to_owned()).and_modify(|watched| watched.left = None);
        Ok(Looked::Again)
    }

    /// A job that this one waits for, in words; `None`: all are done.
    fn waits_for(&self, watched: &Watched, at: DateTime<Utc>) -> Option<String> {
        watched.schedule.depends_on.iter().find_map(|other| {
            let Some(theirs) = self.jobs.get(other) else {
                return Some(format!("it depends on job `{other}`, which is not there, is faulty or has no schedule"));
            };
            let due = fires::last(&theirs.schedule, theirs.since, at)?;
            let is_done = theirs.done.is_some_and(|done| done >= due);
            (!is_done).then(|| format!("it depends on job `{other}`, whose fire of {due} was not done"))
        })
    }

    async fn begin(&mut self, name: &str, due: Due) -> Result<Looked, StoreError> {
        let fire = self.fire(name, due, FireState::Running, None);
        let is_ours = self.store.claim_fire(&fire).await?;
        self.jobs.entry(name.to_owned()).and_modify(|watched| watched.handled = due.at);
        if is_ours {
            tracing::info!(event = "fire_begun", job = name, due = %due.at, collapsed = due.collapsed, "schedules: a run begins");
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
        if self.store.claim_fire(&self.fire(name, due, state, Some(reason))).await? {
            self.metrics.fired(name, state.as_str());
        }
        self.jobs.entry(name.to_owned()).and_modify(|watched| watched.handled = due.at);
        Ok(Looked::Again)
    }

    fn fire(&self, name: &str, due: Due, state: FireState, reason: Option<String>) -> FireRecord {
        let now = self.clock.now();
        FireRecord {
            job: name.to_owned(),
            due: due.at,
            state,
            holder: self.holder.clone(),
            claimed_at: now,
            ended_at: (state != FireState::Running).then_some(now),
            collapsed: due.collapsed,
            reason,
        }
    }

    fn start(&mut self, name: &str, fire: FireRecord) {
        let Some(watched) = self.jobs.get_mut(name) else { return };
        watched.is_running = true;
        watched.left = None;
        let (work, job) = (Arc::clone(&self.work), Arc::clone(&watched.job));
        self.running.spawn(async move {
            let ended = AssertUnwindSafe(work.run(job)).catch_unwind().await;
            (fire, ended.unwrap_or_else(|_| Ended::Failed("the run panicked: this is a bug of nightmark".to_owned())))
        });
    }

    /// What came of a run.
    fn take(&mut self, ended: Option<Result<(FireRecord, Ended), tokio::task::JoinError>>) {
        let Some(Ok((mut fire, ended))) = ended else { return };
        let now = self.clock.now();
        let Some(watched) = self.jobs.get_mut(&fire.job) else { return };
        watched.is_running = false;
        let (state, reason) = match ended {
            // It stays `running`, and is begun anew by the next daemon.
            Ended::Stopped => return,
            Ended::Busy(_) if watched.schedule.queues => {
                watched.left = Some((fire, now + AGAIN));
                return;
            }
            Ended::Busy(holder) => (FireState::Skipped, Some(format!("another process ran the job: {holder}"))),
            Ended::Done(reason) => (FireState::Done, reason),
            Ended::Held(reason) => (FireState::Held, Some(reason)),
            Ended::Failed(reason) => (FireState::Failed, Some(reason)),
        };
        if state == FireState::Done {
            watched.done = watched.done.max(Some(fire.due));
        }
        self.metrics.fired(&fire.job, state.as_str());
        (fire.state, fire.reason, fire.ended_at) = (state, reason, Some(now));
        self.unwritten.push(fire);
    }

    async fn write(&mut self) -> Result<(), StoreError> {
        while let Some(fire) = self.unwritten.last() {
            self.store.end_fire(fire).await?;
            self.unwritten.pop();
        }
        Ok(())
    }
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler").field("jobs", &self.jobs.keys()).finish_non_exhaustive()
    }
}

/// What came of a look at a job.
enum Looked {
    /// Something was done: there may be more.
    Again,
    /// Nothing before then, or before a run ends.
    Wait(Option<DateTime<Utc>>),
}

#[cfg(test)]
mod tests;
