//! How a backfill is sent: batch by batch, each by who has the job, which it lets go of whenever somebody waits for it. That is seen on this machine
//! alone: where machines share the state store, it gives the job's lease back after each [`SLICE`], for long enough to be seen by whoever waits.

use super::super::aim::{Aim, Share};
use super::super::hold::{Hold, Now};
use super::super::outbox::Outbox;
use super::super::send;
use super::super::turns;
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

/// Between two looks at who else wants the job.
pub(super) const LOOKS: Duration = Duration::from_millis(100);
/// A batch takes no longer where other machines may want the job, but for its requests in flight.
pub(super) const SLICE: Duration = Duration::from_secs(5);
/// For so long they may take it then.
const GAP: Duration = Duration::from_millis(500);
/// Between two looks at a lease that another machine has.
const ASKS: Duration = Duration::from_secs(1);

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
    /// What `delivery` sends under.
    pub(super) now: Now,
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
        let now = Now::default();
        let delivery = send::client(&now.sender(self), &job)?;
        let (of, at, started) = (Arc::clone(&job), dir.clone(), record.started_at);
        let read = spool.clone();
        let opening = tokio::task::spawn_blocking(spans::within(move || Outbox::published(&of, &at, &read, started)));
        let outbox = opening.await.map_err(|e| PipelineError::Internal(e.to_string()))??;
        let outbox = outbox.with_secrets(&job, &Secrets::new(&self.home))?;
        let (tried, failures) = (Arc::default(), Vec::new());
        let (runner, brought) = (self, 0);
        let mut filling =
            Filling { runner, job, dir, spool, outbox, delivery, now, record, sheet, tried, failures, brought };
        let end = filling.all().await;
        let end = match end {
            Ok(end) => end,
            Err(error) => {
                // What the caller is told is why it stopped; a record that could not be written says it rests all the same.
                let _ = filling.rest(self, &error.to_string()).await;
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
            return self.paused(self.runner, end).await;
        }
        // The bar has counted the run's rows already.
        self.runner.progress.sending(self.brought + self.record.counts.pending);
        loop {
            let Some(hold) = self.turn().await? else {
                return self.paused(self.runner, "it was asked to stop".to_owned()).await;
            };
            let outcome = match self.batch(hold.runner()).await {
                Ok(Batch::Ended(BackfillEnd::Paused(why))) => self.paused(hold.runner(), why).await.map(Batch::Ended),
                other => other,
            };
            hold.end().await;
            match outcome? {
                Batch::Yielded if self.runner.leases.is_some() => tokio::time::sleep(GAP).await,
                Batch::Yielded => {}
                Batch::Ended(end) => return Ok(end),
            }
        }
    }

    /// Somebody sends it now.
    async fn begin(&mut self) -> Result<(), PipelineError> {
        let Some(hold) = self.turn().await? else { return Ok(()) };
        let begun = async {
            self.refuse_if_over(hold.runner()).await?;
            self.put(hold.runner()).await
        };
        let begun = begun.await;
        hold.end().await;
        begun
    }

    /// The state may have been changed by others while this had no lock. What this process knows better is kept.
    async fn refuse_if_over(&self, runner: &Runner) -> Result<(), PipelineError> {
        let gone = || PipelineError::Backfill {
            job: self.job.name.clone(),
            why: format!("{} is not known any more", self.record.id),
        };
        let stored = runner.store.run(&self.record.id).await?.ok_or_else(gone)?;
        if stored.state == RunState::Discarded {
            let why = format!("{} was given up", stored.id);
            return Err(PipelineError::Backfill { job: self.job.name.clone(), why });
        }
        Ok(())
    }

    pub(super) async fn put(&mut self, runner: &Runner) -> Result<(), PipelineError> {
        self.record.report = Some(self.sheet.to_json());
        Ok(runner.store.put_run(&self.record, runner.clock.now()).await?)
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
            let (stop, looking) = self.until_wanted(None);
            let mut runner = Runner { stop, ..self.runner.clone() };
            // It keeps to the backfill's rate, which others of the fleet do not know.
            runner.settings.fleet.name = None;
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

    /// The job, once nobody else wants it. `None`: it is to stop.
    async fn turn(&self) -> Result<Option<Hold>, PipelineError> {
        let mut stop = self.runner.stop.clone();
        while !self.is_stopping() {
            let mut wait = LOOKS;
            if !JobLock::is_wanted(&self.dir) {
                match self.runner.take_job(&self.job.name, &turns::backfill(&self.record.id)).await {
                    Err(PipelineError::Snapshot(SnapshotError::Busy { .. })) if self.runner.leases.is_some() => {
                        wait = ASKS
                    }
                    Err(PipelineError::Snapshot(SnapshotError::Busy { .. })) => {}
                    other => return other.map(Some),
                }
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                Ok(_) = stop.wait_for(|stop| *stop) => {}
            }
        }
        Ok(None)
    }

    async fn paused(&mut self, runner: &Runner, why: String) -> Result<BackfillEnd, PipelineError> {
        self.rest(runner, &why).await?;
        Ok(BackfillEnd::Paused(why))
    }

    /// It rests, for this reason. Nothing of it that others have said meanwhile is undone.
    async fn rest(&mut self, runner: &Runner, why: &str) -> Result<(), PipelineError> {
        let stored = runner.store.run(&self.record.id).await?;
        if stored.is_none_or(|stored| stored.state.is_final()) {
            return Ok(());
        }
        self.sheet.begun_at = None;
        (self.record.reason, self.record.finished_at) = (Some(why.to_owned()), Some(runner.clock.now()));
        tracing::info!(event = "backfill_paused", "a backfill rests");
        self.put(runner).await
    }
}
