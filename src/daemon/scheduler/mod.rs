//! Begins the runs of all jobs when they are due or asked for, each fire once.
//!
//! In: jobs, the store's memory of fires, [`Order`]s, [`Work`] that runs a job. Out: fires in the store.
//! Always holds: a fire is claimed in the store before its run begins; a run that the daemon's end has cut off is begun anew by the next
//! daemon of the same seat; a job has one run at a time. An error of the store delays what is due, and loses nothing.

mod after;
mod course;
mod files;
mod hear;
mod look;
mod orders;
mod replace;
mod seen;
mod watched;

pub use files::Extract;

use super::door::Order;
use super::due;
use crate::clock::Clock;
use crate::job::spec::Job;
use crate::metrics::Metrics;
use crate::store::{FireRecord, FireStore, StoreError};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use course::Begins;
use look::Looked;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use watched::Watched;

/// The longest that nobody looks at the clock, which may be put forward or back.
const LOOK: Duration = Duration::from_secs(20);
/// After that what failed, or was in the way, is tried again.
const AGAIN: TimeDelta = TimeDelta::seconds(20);
/// The newest fires of a job that are looked through.
const KNOWN: u32 = 200;

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

/// Who schedules.
#[derive(Debug, Clone)]
pub struct Seat {
    /// Which daemon this is; one that comes after it in its place has the same.
    pub holder: String,
    /// Daemons take turns over one store: what any of them has left is taken over, and what any of them was asked for is done.
    pub is_shared: bool,
}

impl Seat {
    /// Whether a fire that was left `running` or `waiting` is to be dealt with from here.
    fn has(&self, fire: &FireRecord) -> bool {
        self.is_shared || fire.holder == self.holder
    }
}

/// Runs a job.
#[async_trait]
pub trait Work: Send + Sync + 'static {
    /// One run, to its end.
    async fn run(&self, job: Arc<Job>) -> Ended;
    /// Which extract it would read now; an error says why none can be had.
    async fn look(&self, job: Arc<Job>) -> Result<Extract, String>;
}

/// The jobs of a daemon and their runs.
pub struct Scheduler {
    store: Arc<dyn FireStore>,
    clock: Arc<dyn Clock>,
    work: Arc<dyn Work>,
    seat: Seat,
    metrics: Arc<dyn Metrics>,
    jobs: BTreeMap<String, Watched>,
    /// The jobs whose run is on, and since when.
    on: BTreeMap<String, DateTime<Utc>>,
    running: JoinSet<(FireRecord, Ended)>,
    looking: JoinSet<files::Look>,
    /// How fires have ended that could not be written yet.
    unwritten: Vec<FireRecord>,
}

impl Scheduler {
    /// Takes over the jobs.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub async fn new(
        jobs: Vec<Arc<Job>>,
        store: Arc<dyn FireStore>,
        clock: Arc<dyn Clock>,
        work: Arc<dyn Work>,
        seat: Seat,
    ) -> Result<Self, StoreError> {
        let now = clock.now();
        let open = store.open_fires().await?;
        let mut watched = BTreeMap::new();
        for job in jobs {
            watched.insert(job.name.clone(), Watched::load(job, &*store, &open, &seat, now).await?);
        }
        let (on, running, looking, unwritten) = (BTreeMap::new(), JoinSet::new(), JoinSet::new(), Vec::new());
        let metrics = Arc::new(());
        Ok(Scheduler { store, clock, work, seat, metrics, jobs: watched, on, running, looking, unwritten })
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

    /// Begins what is due and what is asked for, until it is told to stop; then waits for the runs that are on. Returns the jobs that were in force last.
    pub async fn run(
        mut self,
        mut stopping: watch::Receiver<bool>,
        orders: &mut mpsc::Receiver<Order>,
    ) -> Vec<Arc<Job>> {
        while !*stopping.borrow() {
            let wait = match self.tick().await {
                Ok(next) => next
                    .map_or(LOOK, |next| (next - self.clock.now()).to_std().unwrap_or_default().min(LOOK))
                    .min(self.longest()),
                Err(error) => {
                    tracing::error!(event = "schedule_store_failed", %error, "schedules: the state store fails; what is due waits for it");
                    LOOK
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stopping.changed() => {}
                ended = self.running.join_next(), if !self.running.is_empty() => self.take(ended),
                looked = self.looking.join_next(), if !self.looking.is_empty() => self.take_look(looked),
                Some(order) = orders.recv() => self.obey(order).await,
            }
        }
        self.looking.abort_all();
        loop {
            tokio::select! {
                ended = self.running.join_next() => match ended {
                    None => break,
                    ended => self.take(ended),
                },
                Some(order) = orders.recv() => order.refuse(),
            }
        }
        if let Err(error) = self.write().await {
            tracing::error!(event = "fires_not_written", %error, "schedules: the state store fails; the runs that have ended now are begun anew by the next start");
        }
        self.jobs.into_values().map(|watched| watched.job).collect()
    }

    /// Waits for a run to end; `false` if none is on.
    pub async fn wait(&mut self) -> bool {
        let ended = self.running.join_next().await;
        let is_one = ended.is_some();
        self.take(ended);
        is_one
    }

    /// Waits for a look at an extract to end; `false` if none is on.
    pub async fn wait_for_look(&mut self) -> bool {
        let looked = self.looking.join_next().await;
        let is_one = looked.is_some();
        self.take_look(looked);
        is_one
    }

    /// Does what is to be done now. Returns when there is more to do, if no run ends before; `None`: never.
    ///
    /// # Errors
    /// A store that cannot be written: to be called again.
    pub async fn tick(&mut self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.write().await?;
        self.hear().await?;
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

    fn watch(&mut self, name: &str, change: impl FnOnce(&mut Watched)) {
        if let Some(watched) = self.jobs.get_mut(name) {
            change(watched);
        }
    }
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler").field("jobs", &self.jobs.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
