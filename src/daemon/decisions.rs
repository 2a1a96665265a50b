//! Held runs in a daemon that runs: looked at, approved, discarded.
//!
//! In: who asks for what. Out: what is held, or what became of it. Always holds: a decision names the run that was looked at, so that it is never
//! taken on a later one; what was begun is done to its end, also when whoever asked does not wait for it. It is refused for the same reasons as by
//! command (`pipeline::decide`).

use super::timetable::Known;
use super::work;
use crate::job::spec::Job;
pub use crate::pipeline::ShownChange;
use crate::pipeline::{self, PipelineError, Runner};
use crate::receipt::Counts;
use crate::store::{RunRecord, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use utoipa::ToSchema;

/// Whoever asks is answered by then, though what was asked for goes on.
const PATIENCE: Duration = Duration::from_secs(10);

/// A run that waits for a decision, and some of its changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldRun {
    /// The run's id, which a decision names.
    pub run: String,
    /// The job.
    pub job: String,
    /// Since when it is held.
    pub held_at: DateTime<Utc>,
    /// Until when it can be approved (`guard.hold_expires`).
    pub until: DateTime<Utc>,
    /// Why.
    pub reason: Option<String>,
    /// What it has found.
    pub counts: Counts,
    /// How many changes it would send.
    pub changes: u64,
    /// A page of them, in their order.
    pub items: Vec<ShownChange>,
    /// Where the next page begins; `null` on the last one.
    pub next: Option<String>,
}

/// Why nothing was decided or shown.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such job.
    #[error("there is no such job")]
    Unknown,
    /// Nothing of it is held.
    #[error("{0}")]
    NothingHeld(String),
    /// It cannot be done, and why.
    #[error("{0}")]
    Refused(String),
    /// The daemon ends.
    #[error("the daemon is stopping")]
    Stopping,
    /// The state cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<PipelineError> for Refusal {
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::NothingHeld(_) => Refusal::NothingHeld(error.to_string()),
            PipelineError::Store(error) => Refusal::Store(error),
            _ => Refusal::Refused(error.to_string()),
        }
    }
}

/// Decides; a clone does the same.
#[derive(Clone)]
pub struct Decisions {
    runner: Runner,
    known: watch::Receiver<Vec<Known>>,
    on: Arc<Mutex<JoinSet<()>>>,
}

impl Decisions {
    /// Of these jobs.
    pub fn new(runner: Runner, known: watch::Receiver<Vec<Known>>) -> Self {
        Decisions { runner, known, on: Arc::default() }
    }

    /// The job's newest run that is held, and at most so many of its changes from that place on.
    ///
    /// # Errors
    /// Nothing is held, or nothing that could be looked at.
    pub async fn held(&self, job: &str, from: u64, most: usize) -> Result<HeldRun, Refusal> {
        let job = self.job(job)?;
        let held = pipeline::held_run(&self.runner.home, &*self.runner.store, &job, None).await?;
        let reading = tokio::task::spawn_blocking(move || held.shown(from, most).map(|items| (held, items)));
        let (held, items) = reading.await.map_err(|error| Refusal::Refused(format!("internal error: {error}")))??;
        let (record, changes) = (held.record.clone(), held.changes().len());
        let end = from.saturating_add(items.len() as u64);
        Ok(HeldRun {
            run: record.id,
            job: record.job,
            held_at: record.finished_at.unwrap_or(record.started_at),
            until: held.until,
            reason: record.reason,
            counts: record.counts,
            changes,
            next: (end < changes && !items.is_empty()).then(|| end.to_string()),
            items,
        })
    }

    /// Publishes a held run and begins to send it. Returned is the run once it is published: what is not sent then is pending, whatever comes between; or
    /// as it is after ten seconds.
    ///
    /// # Errors
    /// As of [`Runner::approve`], as long as nothing is published.
    pub async fn approve(&self, job: &str, run: &str, who: &str) -> Result<RunRecord, Refusal> {
        let job = self.job(job)?;
        let (answer, answered) = oneshot::channel();
        let (runner, of, by) = (self.runner.clone(), run.to_owned(), who.to_owned());
        self.begin(async move {
            let (name, mut answer) = (job.name.clone(), Some(answer));
            let published = |record: &RunRecord| {
                tracing::info!(
                    event = "run_approved",
                    job = record.job,
                    run = record.id,
                    who = by,
                    "a held run is approved"
                );
                if let Some(answer) = answer.take() {
                    _ = answer.send(Ok(record.clone()));
                }
            };
            let sent = runner.approve_telling(job, Some(&of), &by, published).await;
            match (sent, answer) {
                (Ok(report), _) => work::log(&name, &report, &work::ended(&report, *runner.stop.borrow())),
                (Err(error), None) => {
                    tracing::error!(event = "run_failed", job = name, run = of, %error, "a run failed");
                }
                (Err(error), Some(answer)) => _ = answer.send(Err(error)),
            }
        })?;
        self.answer(run, answered).await
    }

    /// Gives up a held run. The job's file may be gone by now.
    ///
    /// # Errors
    /// As of [`Runner::discard`].
    pub async fn discard(&self, job: &str, run: &str, who: &str) -> Result<RunRecord, Refusal> {
        let (answer, answered) = oneshot::channel();
        let (runner, name, of, by) = (self.runner.clone(), job.to_owned(), run.to_owned(), who.to_owned());
        self.begin(async move {
            let discarded = runner.discard(&name, Some(&of), &by).await;
            if discarded.is_ok() {
                tracing::info!(event = "run_discarded", job = name, run = of, who = by, "a held run is discarded");
            }
            _ = answer.send(discarded);
        })?;
        self.answer(run, answered).await
    }

    /// Waits for what was begun. To be called once the daemon stops: from then on nothing more is.
    pub async fn finish(&self) {
        let mut on = std::mem::take(&mut *self.on.lock().unwrap_or_else(PoisonError::into_inner));
        while on.join_next().await.is_some() {}
    }

    fn begin(&self, decision: impl Future<Output = ()> + Send + 'static) -> Result<(), Refusal> {
        let mut on = self.on.lock().unwrap_or_else(PoisonError::into_inner);
        // Within the lock: whatever is begun, `finish` waits for.
        if *self.runner.stop.borrow() {
            return Err(Refusal::Stopping);
        }
        while on.try_join_next().is_some() {}
        on.spawn(decision);
        Ok(())
    }

    async fn answer(
        &self,
        run: &str,
        answered: oneshot::Receiver<Result<RunRecord, PipelineError>>,
    ) -> Result<RunRecord, Refusal> {
        let internal = || Refusal::Refused("internal error: the decision was broken off".to_owned());
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(answer) => Ok(answer.map_err(|_| internal())??),
            Err(_) => self.runner.store.run(run).await?.ok_or_else(internal),
        }
    }

    fn job(&self, name: &str) -> Result<Arc<Job>, Refusal> {
        let known = self.known.borrow();
        let one = known.iter().find(|one| one.name == name).ok_or(Refusal::Unknown)?;
        one.job.clone().ok_or_else(|| {
            let reason = one.faulty.as_deref().unwrap_or_default();
            Refusal::Refused(format!("the job's file has mistakes, and nothing of it is in force: {reason}"))
        })
    }
}

impl std::fmt::Debug for Decisions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decisions").finish_non_exhaustive()
    }
}
