//! The way in to a daemon that runs: orders, and what it knows of its jobs.
//!
//! In: orders of the admin API. Out: the fires that they became. Always holds: an order is answered once its fire is in the store, or refused.

use super::timetable::{Known, Timetable, timetable};
use crate::clock::Clock;
use crate::job::spec::Job;
use crate::store::{FireRecord, FireStore, StoreError};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Orders that wait to be heard; whoever has one more waits.
const ORDERS: usize = 64;

/// Something that the scheduler is to do.
#[derive(Debug)]
pub enum Order {
    /// Begin a run of a job.
    Run {
        /// The job.
        job: String,
        /// Told what became of it.
        answer: oneshot::Sender<Result<FireRecord, Refused>>,
    },
    /// Take over these jobs in place of those before.
    Replace {
        /// All of them.
        jobs: Vec<Arc<Job>>,
        /// Told once they are in force.
        answer: oneshot::Sender<Result<(), StoreError>>,
    },
}

impl Order {
    /// It comes too late.
    pub(super) fn refuse(self) {
        match self {
            Order::Run { answer, .. } => drop(answer.send(Err(Refused::Stopping))),
            // Whoever asked is told by the end of the channel.
            Order::Replace { answer, .. } => drop(answer),
        }
    }
}

/// Why no run begins.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such job.
    #[error("there is no such job")]
    Unknown,
    /// Its file has mistakes, and no version before is in force.
    #[error("the job's file has mistakes: {0}")]
    Faulty(String),
    /// A run of the job is on, and others do not wait for it.
    #[error("a run of the job is on since {since} (overlap = \"skip\")")]
    Running {
        /// Since when.
        since: DateTime<Utc>,
    },
    /// The daemon ends.
    #[error("the daemon is stopping")]
    Stopping,
    /// It cannot be put down that a run begins.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A way to a scheduler; a clone leads to the same.
#[derive(Clone)]
pub struct Door {
    orders: mpsc::Sender<Order>,
    known: watch::Receiver<Vec<Known>>,
    store: Arc<dyn FireStore>,
    clock: Arc<dyn Clock>,
}

impl Door {
    /// A door, and where its orders are heard. `known`: the jobs.
    pub fn new(
        known: watch::Receiver<Vec<Known>>,
        store: Arc<dyn FireStore>,
        clock: Arc<dyn Clock>,
    ) -> (Self, mpsc::Receiver<Order>) {
        let (orders, heard) = mpsc::channel(ORDERS);
        (Door { orders, known, store, clock }, heard)
    }

    /// The jobs by name, those behind `after` and at most `limit`, each with so many fires that come and that were.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub async fn jobs(
        &self,
        after: Option<&str>,
        limit: usize,
        fires: (usize, u32),
    ) -> Result<Vec<Timetable>, StoreError> {
        let known = self.known.borrow().clone();
        let is_behind = |one: &&Known| after.is_none_or(|after| one.name.as_str() > after);
        let mut told = Vec::new();
        for one in known.iter().filter(is_behind).take(limit) {
            told.push(timetable(one, Some(&*self.store), self.clock.now(), fires).await?);
        }
        Ok(told)
    }

    /// One job; `None`: there is none of that name.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub async fn job(&self, name: &str, fires: (usize, u32)) -> Result<Option<Timetable>, StoreError> {
        let known = self.known.borrow().iter().find(|one| one.name == name).cloned();
        match known {
            Some(one) => timetable(&one, Some(&*self.store), self.clock.now(), fires).await.map(Some),
            None => Ok(None),
        }
    }

    /// Has a run begun now. The fire is `running`, or `waiting` for the run that is on.
    ///
    /// # Errors
    /// No run begins.
    pub async fn run_now(&self, job: &str) -> Result<FireRecord, Refused> {
        let faulty = self
            .known
            .borrow()
            .iter()
            .find(|one| one.name == job && one.job.is_none())
            .and_then(|one| one.faulty.clone());
        if let Some(reason) = faulty {
            return Err(Refused::Faulty(reason));
        }
        let (answer, told) = oneshot::channel();
        let order = Order::Run { job: job.to_owned(), answer };
        self.orders.send(order).await.map_err(|_| Refused::Stopping)?;
        told.await.unwrap_or(Err(Refused::Stopping))
    }

    /// Has these jobs take over.
    ///
    /// # Errors
    /// The jobs before stay in force.
    pub(super) async fn replace(&self, jobs: Vec<Arc<Job>>) -> Result<(), Refused> {
        let (answer, told) = oneshot::channel();
        self.orders.send(Order::Replace { jobs, answer }).await.map_err(|_| Refused::Stopping)?;
        Ok(told.await.map_err(|_| Refused::Stopping)??)
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}
