//! How a backfill is sent: batch by batch, each under the job's lock, which it lets go of whenever somebody waits for it.

use super::super::aim::{Aim, Share};
use super::super::outbox::Outbox;
use super::super::send;
use super::super::turns::BACKFILL;
use super::super::{How, PipelineError, Purpose, Reach, RunReport, Runner, Selection};
use super::batch::Batch;
use super::made::{SELECTION, only};
use super::pace;
use super::record::Sheet;
use crate::deliver::{Delivery, FailedRow, StopKind};
use crate::job::secrets::Secrets;
use crate::job::spec::Job;
use crate::snapshot::{JobLock, Manifest, SnapshotError, spool, spool_aside, spool_lock};
use crate::spans;
use crate::store::{RunRecord, RunState};
use roaring::RoaringBitmap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::Instrument as _;

/// Between two looks at who else wants the job's lock.
pub(super) const LOOKS: Duration = Duration::from_millis(100);

/// How the sending of a backfill ended, for now or for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackfillEnd {
    /// Every row has its word.
    Finished,
    /// It rests, for this reason, until it is gone on with.
    Paused(String),
    /// Somebody has given it up.
    Cancelled,
}

/// What a process has sent of a backfill.
#[derive(Debug, Clone)]
pub struct Filled {
    /// How it ended.
    pub end: BackfillEnd,
    /// Its record.
    pub record: RunRecord,
    /// What it is about.
    pub sheet: Sheet,
    /// The first rows that did not get through.
    pub failures: Vec<FailedRow>,
}

/// A backfill under way.
pub(super) struct Filling<'a> {
    pub(super) runner: &'a Runner,
    pub(super) job: Arc<Job>,
    pub(super) dir: PathBuf,
    pub(super) spool: Manifest,
    pub(super) outbox: Outbox,
    pub(super) delivery: Delivery,
    pub(super) record: RunRecord,
    pub(super) sheet: Sheet,
    /// Rows that this process has tried: they are not tried again in its next batch.
    pub(super) tried: Arc<Mutex<RoaringBitmap>>,
    pub(super) failures: Vec<FailedRow>,
    /// Orgs that the run has sent that it begins with.
    pub(super) brought: u64,
}

impl Runner {
    /// Sends what is left of a backfill. `rate`: another than it had.
    ///
    /// # Errors
    /// A backfill that is at its end or not here, or that another process sends; whatever keeps rows from being sent. What was sent is in its receipts.
    pub async fn backfill(&self, job: Arc<Job>, id: &str, rate: Option<String>) -> Result<Filled, PipelineError> {
        let span = spans::run(&job.name);
        self.fill(job, id, rate).instrument(span).await
    }

    async fn fill(&self, job: Arc<Job>, id: &str, rate: Option<String>) -> Result<Filled, PipelineError> {
        spans::tell_run(id);
        let dir = self.home.snapshots(&job.name);
        let no = |why: String| PipelineError::Backfill { job: job.name.clone(), why };
        let _worker = spool_lock(&dir, &job.name)?;
        let Some(record) = self.store.run(id).await? else { return Err(no(format!("{id} is not known"))) };
        let Some(spool) = spool(&dir, id)? else {
            let why = format!(
                "the files of {id} are not here: it was begun on another machine, or they are lost; --cancel gives it up"
            );
            return Err(no(why));
        };
        let mut sheet = Sheet::of(&record)?;
        if let Some(rate) = rate {
            pace::parse(&rate).map_err(no)?;
            sheet.rate = Some(rate);
        }
        sheet.is_paused = false;
        let job = Arc::new(pace::slower(&job, sheet.rate.as_deref()));
        let delivery = send::client(self, &job)?;
        let (of, at, started) = (Arc::clone(&job), dir.clone(), record.started_at);
        let read = spool.clone();
        let opening = tokio::task::spawn_blocking(spans::within(move || Outbox::published(&of, &at, &read, started)));
        let outbox = opening.await.map_err(|e| PipelineError::Internal(e.to_string()))??;
        let outbox = outbox.with_secrets(&job, &Secrets::new(&self.home))?;
        let (tried, failures) = (Arc::default(), Vec::new());
        let mut filling =
            Filling { runner: self, job, dir, spool, outbox, delivery, record, sheet, tried, failures, brought: 0 };
        let end = filling.all().await;
        let end = match end {
            Ok(end) => end,
            Err(error) => {
                // What the caller is told is why it stopped; a record that could not be written says it rests all the same.
                let _ = filling.rest(&error.to_string()).await;
                return Err(error);
            }
        };
        let Filling { record, sheet, failures, .. } = filling;
        Ok(Filled { end, record, sheet, failures })
    }
}

impl Filling<'_> {
    async fn all(&mut self) -> Result<BackfillEnd, PipelineError> {
        self.begin().await?;
        if self.sheet.differing > 0
            && self.sheet.run.is_none()
            && let Some(end) = self.bring().await?
        {
            return self.paused(end).await;
        }
        // The bar has counted the run's rows already.
        self.runner.progress.sending(self.brought + self.record.counts.pending);
        loop {
            let Some(_lock) = self.turn().await? else {
                return self.paused("it was asked to stop".to_owned()).await;
            };
            match self.batch().await? {
                Batch::Yielded => {}
                Batch::Ended(BackfillEnd::Paused(why)) => return self.paused(why).await,
                Batch::Ended(end) => return Ok(end),
            }
        }
    }

    /// Somebody sends it now.
    async fn begin(&mut self) -> Result<(), PipelineError> {
        let Some(_lock) = self.turn().await? else { return Ok(()) };
        self.refuse_if_over().await?;
        self.put().await?;
        Ok(())
    }

    /// The state may have been changed by others while this had no lock. What this process knows better is kept.
    async fn refuse_if_over(&mut self) -> Result<(), PipelineError> {
        let gone = || PipelineError::Backfill {
            job: self.job.name.clone(),
            why: format!("{} is not known any more", self.record.id),
        };
        let stored = self.runner.store.run(&self.record.id).await?.ok_or_else(gone)?;
        if stored.state == RunState::Discarded {
            let why = format!("{} was given up", stored.id);
            return Err(PipelineError::Backfill { job: self.job.name.clone(), why });
        }
        Ok(())
    }

    pub(super) async fn put(&mut self) -> Result<(), PipelineError> {
        self.record.report = Some(self.sheet.to_json());
        Ok(self.runner.store.put_run(&self.record, self.runner.clock.now()).await?)
    }

    /// The run of what differs. It lets others have their turn as well: what is left of it then is for them to send, or for another such run after them.
    /// `Some`: why the backfill has to rest.
    async fn bring(&mut self) -> Result<Option<String>, PipelineError> {
        let selection = spool_aside(&self.dir, &self.record.id, SELECTION)?;
        let selection: Selection =
            serde_json::from_slice(&selection).map_err(|e| PipelineError::Internal(e.to_string()))?;
        loop {
            let report = self.run_once(&selection).await?;
            failpoint!("backfill.brought");
            if report.state == RunState::Held {
                return Ok(Some(format!("run {} of what differs is held: {}", report.run, report.held.join("; "))));
            }
            self.brought += report.counts.acknowledged;
            match report.delivery.as_ref().and_then(|delivery| delivery.stopped.as_ref()) {
                Some(stopped) if stopped.kind == StopKind::Asked && !self.is_stopping() => {}
                Some(stopped) => return Ok(Some(format!("{}; {}", stopped.reason, stopped.remedy))),
                None => {
                    self.sheet.run = Some(report.run);
                    return Ok(None);
                }
            }
        }
    }

    async fn run_once(&self, selection: &Selection) -> Result<RunReport, PipelineError> {
        let how = How { approved: true, sends: true, reach: Reach::All };
        loop {
            // Who waits goes first.
            while JobLock::is_wanted(&self.dir) && !self.is_stopping() {
                tokio::time::sleep(LOOKS).await;
            }
            let aim = Aim { share: Share::Differing, only: only(selection), ..Aim::usual(Purpose::Run) };
            let (stop, looking) = self.until_wanted();
            let runner = Runner { stop, ..self.runner.clone() };
            // A run of its own, whose lines of the log have its own id.
            let run = runner.run_all(Arc::clone(&self.job), how, aim).instrument(spans::run(&self.job.name));
            let outcome = Box::pin(run).await;
            looking.abort();
            match outcome {
                Err(PipelineError::Snapshot(SnapshotError::Busy { .. })) if !self.is_stopping() => {
                    tokio::time::sleep(LOOKS).await;
                }
                other => return other,
            }
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.runner.stop.borrow()
    }

    /// The job's lock, once nobody else wants it. `None`: it is to stop.
    async fn turn(&self) -> Result<Option<JobLock>, PipelineError> {
        let holder = format!("process {}{BACKFILL}{}", std::process::id(), self.record.id);
        while !self.is_stopping() {
            if !JobLock::is_wanted(&self.dir) {
                match JobLock::take(&self.dir, &self.job.name, &holder) {
                    Err(SnapshotError::Busy { .. }) => {}
                    other => return Ok(Some(other?)),
                }
            }
            tokio::time::sleep(LOOKS).await;
        }
        Ok(None)
    }

    async fn paused(&mut self, why: String) -> Result<BackfillEnd, PipelineError> {
        self.rest(&why).await?;
        Ok(BackfillEnd::Paused(why))
    }

    /// It rests, for this reason. Nothing of it that others have said meanwhile is undone.
    async fn rest(&mut self, why: &str) -> Result<(), PipelineError> {
        let stored = self.runner.store.run(&self.record.id).await?;
        if stored.is_none_or(|stored| stored.state.is_final()) {
            return Ok(());
        }
        self.sheet.begun_at = None;
        (self.record.reason, self.record.finished_at) = (Some(why.to_owned()), Some(self.runner.clock.now()));
        tracing::info!(event = "backfill_paused", "a backfill rests");
        self.put().await
    }
}
