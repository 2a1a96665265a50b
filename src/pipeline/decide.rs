//! What becomes of a run that a guard holds: somebody approves or discards it, or nobody does in time.
//!
//! Always holds: what is approved is exactly what could be looked at, never a later extract; and it is refused once anything has changed that it rests
//! on: another run was published, or changes that were not acknowledged then are by now.

use super::course;
use super::measured::Measured;
use super::outbox::Outbox;
use super::{PipelineError, RunReport, Runner, send, shared};
use crate::config::Home;
use crate::job::spec::Job;
use crate::snapshot::{self, Against, ChangeBatch, ChangeSet, Held, Manifest};
use crate::spans;
use crate::store::{RunRecord, RunState, RunStore};
use crate::template::RenderError;
use chrono::{DateTime, TimeDelta, Utc};
use std::path::Path;
use std::sync::Arc;
use tracing::Instrument as _;

/// A run that waits for a decision.
pub struct HeldRun {
    /// Its record.
    pub record: RunRecord,
    /// Until when it can be approved.
    pub until: DateTime<Utc>,
    outbox: Outbox,
}

impl HeldRun {
    /// What it would send.
    pub fn changes(&self) -> &ChangeSet {
        &self.outbox.changes
    }

    /// The same in order, batch by batch.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn batches(
        &self,
    ) -> Result<impl Iterator<Item = Result<ChangeBatch, PipelineError>> + Send + use<>, PipelineError> {
        self.outbox.batches()
    }

    /// The body of one change.
    ///
    /// # Errors
    /// A value that the payload, the address or a header cannot carry.
    pub fn body(&self, batch: &ChangeBatch, at: usize) -> Result<String, RenderError> {
        self.outbox.body(batch, at, &batch.message_id(at))
    }
}

impl std::fmt::Debug for HeldRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldRun").field("record", &self.record).finish_non_exhaustive()
    }
}

/// What `run`, or the newest run of the job that is held (`None`), would send. Nothing is changed.
///
/// # Errors
/// No such run, one that is not held or has nothing to approve; files that cannot be read.
pub async fn held_run(
    home: &Home,
    store: &dyn RunStore,
    job: &Job,
    run: Option<&str>,
) -> Result<HeldRun, PipelineError> {
    let record = find(store, &job.name, run).await?;
    let dir = home.snapshots(&job.name);
    let held = load(&dir, &record)?;
    let outbox = Outbox::published(job, &dir, &held.manifest, record.started_at)?;
    Ok(HeldRun { until: until(job, &record), outbox, record })
}

impl Runner {
    /// Publishes a run that was held, as it was found then, and sends it. `run`: `None` is the newest run of the job that is held. `who`: who approves it.
    ///
    /// # Errors
    /// A run that is not held, or not any more as it was; whatever keeps changes from being sent.
    pub async fn approve(&self, job: Arc<Job>, run: Option<&str>, who: &str) -> Result<RunReport, PipelineError> {
        let span = spans::run(&job.name);
        self.publish_held(job, run, who).instrument(span).await
    }

    async fn publish_held(&self, job: Arc<Job>, run: Option<&str>, who: &str) -> Result<RunReport, PipelineError> {
        let dir = self.home.snapshots(&job.name);
        find(&*self.store, &job.name, run).await?;
        let _lock = self.lock(&job.name, "approval").await?;
        let sharing = shared::begin(self, &job.name).await?;
        let current = Manifest::load(&dir)?;
        course::recover(self, &job.name, current.as_ref()).await?;
        let mut record = find(&*self.store, &job.name, run).await?;
        spans::tell_run(&record.id);
        let held = load(&dir, &record)?;
        if until(&job, &record) <= self.clock.now() {
            self.give_up(&dir, &mut record, EXPIRED.to_owned()).await?;
            return Err(undecidable(
                &record,
                format!("was held for longer than guard.hold_expires; {}", anew(&job.name)),
            ));
        }
        self.refuse_if_changed(current.as_ref(), &held, &record).await?;
        // A missing secret should be known before anything is published.
        send::client(self, &job)?;
        let (at, of) = (self.clock.now(), dir.clone());
        let publishing = tokio::task::spawn_blocking(move || held.publish(&of, at, sharing.as_deref()));
        let manifest = publishing.await.map_err(|e| PipelineError::Internal(e.to_string()))??;
        failpoint!("held.published");
        let why = record.reason.as_deref().unwrap_or("no reason is recorded");
        let why = format!("approved by {who}; it was held: {why}");
        course::approved(self, &mut record, why).await?;
        let measured = Measured::begin(self, &job.name);
        let outcome = self.resume(&job, &dir, manifest, &mut record).await;
        let outcome = self.close(outcome, &mut record).await;
        measured.ended(record.state);
        outcome
    }

    /// Gives up a run that was held: nothing of it is ever sent. The next run compares anew. `run`: `None` is the newest run of the job that is held.
    ///
    /// # Errors
    /// A run that is not held; a folder that cannot be removed.
    pub async fn discard(&self, job: &str, run: Option<&str>, who: &str) -> Result<RunRecord, PipelineError> {
        let dir = self.home.snapshots(job);
        find(&*self.store, job, run).await?;
        let _lock = self.lock(job, "discard").await?;
        let mut record = find(&*self.store, job, run).await?;
        self.give_up(&dir, &mut record, format!("discarded by {who}")).await?;
        Ok(record)
    }

    /// Gives up the runs of a job that have been held for too long. Returns which. A job that is busy is left for the next time.
    ///
    /// # Errors
    /// A state store or a folder that cannot be read or written.
    pub async fn expire_held(&self, job: &Job) -> Result<Vec<RunRecord>, PipelineError> {
        let now = self.clock.now();
        let is_over = |run: &RunRecord| run.state == RunState::Held && until(job, run) <= now;
        if !self.store.open_runs(&job.name).await?.iter().any(is_over) {
            return Ok(Vec::new());
        }
        let dir = self.home.snapshots(&job.name);
        let Ok(_lock) = self.lock(&job.name, "expiry of a held run").await else { return Ok(Vec::new()) };
        let mut expired: Vec<_> = self.store.open_runs(&job.name).await?.into_iter().filter(is_over).collect();
        for record in &mut expired {
            self.give_up(&dir, record, EXPIRED.to_owned()).await?;
        }
        Ok(expired)
    }

    async fn give_up(&self, dir: &Path, record: &mut RunRecord, why: String) -> Result<(), PipelineError> {
        let earlier = record.reason.take().map(|reason| format!("; it was held: {reason}")).unwrap_or_default();
        (record.reason, record.state) = (Some(format!("{why}{earlier}")), RunState::Discarded);
        self.store.put_run(record, self.clock.now()).await?;
        failpoint!("held.discarded");
        // What a kill leaves here nobody refers to; the next publication or hold removes it.
        let (dir, run) = (dir.to_owned(), record.id.clone());
        let removing = tokio::task::spawn_blocking(move || snapshot::discard_held(&dir, &run));
        Ok(removing.await.map_err(|e| PipelineError::Internal(e.to_string()))??)
    }

    async fn refuse_if_changed(
        &self,
        current: Option<&Manifest>,
        held: &Held,
        record: &RunRecord,
    ) -> Result<(), PipelineError> {
        let now = match current {
            Some(manifest) => Some(Against::new(manifest, &self.store.progress(&manifest.run).await?)),
            None => None,
        };
        if now == held.against {
            return Ok(());
        }
        let what = match (&now, &held.against) {
            (Some(now), Some(then)) if now.run == then.run => {
                format!("what run {} had left then has been sent since (`retry`)", now.run)
            }
            (Some(now), _) => format!("run {} has been published since", now.run),
            (None, _) => "the snapshot that it was compared with is gone".to_owned(),
        };
        Err(undecidable(record, format!("cannot be approved any more: {what}; {}", anew(&record.job))))
    }
}

const EXPIRED: &str = "nobody decided within guard.hold_expires";

fn anew(job: &str) -> String {
    format!("nothing was sent. `nightmark run {job}` compares anew, and with --approve sends what it finds")
}

fn until(job: &Job, record: &RunRecord) -> DateTime<Utc> {
    let held_at = record.finished_at.unwrap_or(record.started_at);
    let length = TimeDelta::from_std(job.guard.hold_expires).unwrap_or(TimeDelta::MAX);
    held_at.checked_add_signed(length).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn undecidable(record: &RunRecord, why: String) -> PipelineError {
    PipelineError::Undecidable { job: record.job.clone(), run: record.id.clone(), why }
}

async fn find(store: &dyn RunStore, job: &str, run: Option<&str>) -> Result<RunRecord, PipelineError> {
    let Some(run) = run else {
        let held = store.open_runs(job).await?.into_iter().rfind(|run| run.state == RunState::Held);
        return held.ok_or_else(|| PipelineError::NothingHeld(job.to_owned()));
    };
    let none = |why: &str| PipelineError::Undecidable { job: job.to_owned(), run: run.to_owned(), why: why.to_owned() };
    let record = store.run(run).await?.filter(|record| record.job == job);
    let record = record.ok_or_else(|| none("is not known; `nightmark runs` lists what there is"))?;
    match record.state {
        RunState::Held => Ok(record),
        state => {
            let why = record.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            Err(none(&format!("is not held: it is {}{why}", state.as_str())))
        }
    }
}

fn load(dir: &Path, record: &RunRecord) -> Result<Held, PipelineError> {
    let gone = || {
        let why = "has nothing that could be approved: it was held before there was a change set (a drifted schema, which `nightmark schema` mends), or on \
                   another machine, whose files are not here";
        undecidable(record, format!("{why}; {}", anew(&record.job)))
    };
    Held::load(dir, &record.id)?.ok_or_else(gone)
}
