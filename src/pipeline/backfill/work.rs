//! How a backfill is sent: batch by batch, each under the job's lock, which it lets go of whenever somebody waits for it.

use super::super::measured::Relay;
use super::super::messages::Messages;
use super::super::outbox::Outbox;
use super::super::plan::{Aim, Share};
use super::super::send::{self, StoreLedger};
use super::super::{How, PipelineError, Purpose, Reach, RunReport, Runner, Selection, service, shared};
use super::account::Account;
use super::made::{SELECTION, only};
use super::record::{Sheet, counts};
use super::{HOLDER, pace};
use crate::deliver::{Delivery, Entry, FailedRow, Ledger, StopKind, Stopped, Summary};
use crate::job::secrets::Secrets;
use crate::job::spec::Job;
use crate::receipt::Progress;
use crate::snapshot::{JobLock, Manifest, SnapshotError, spool, spool_aside, spool_lock, spool_sweep};
use crate::spans;
use crate::store::{RunRecord, RunState};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use roaring::RoaringBitmap;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tracing::Instrument as _;

/// Between two looks at who else wants the job's lock.
const LOOKS: Duration = Duration::from_millis(100);

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
struct Filling<'a> {
    runner: &'a Runner,
    job: Arc<Job>,
    dir: PathBuf,
    spool: Manifest,
    outbox: Outbox,
    delivery: Delivery,
    record: RunRecord,
    sheet: Sheet,
    /// Rows that this process has tried: they are not tried again in its next batch.
    tried: Arc<Mutex<RoaringBitmap>>,
    failures: Vec<FailedRow>,
    /// Orgs of the run that it has begun with.
    brought: u64,
}

/// What came of a batch.
enum Batch {
    /// Somebody else wanted the lock.
    Yielded,
    Ended(BackfillEnd),
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
                filling.rest(&error.to_string()).await?;
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

    async fn put(&mut self) -> Result<(), PipelineError> {
        self.record.report = Some(self.sheet.to_json());
        Ok(self.runner.store.put_run(&self.record, self.runner.clock.now()).await?)
    }

    /// The run of what differs. `Some`: why the backfill has to rest.
    async fn bring(&mut self) -> Result<Option<String>, PipelineError> {
        let selection = spool_aside(&self.dir, &self.record.id, SELECTION)?;
        let selection: Selection =
            serde_json::from_slice(&selection).map_err(|e| PipelineError::Internal(e.to_string()))?;
        let how = How { approved: true, sends: true, reach: Reach::All };
        let report: RunReport = loop {
            let aim = Aim { share: Share::Differing, only: only(&selection), ..Aim::usual(Purpose::Run) };
            // A run of its own, whose lines of the log have its own id.
            let run = self.runner.run_all(Arc::clone(&self.job), how, aim).instrument(spans::run(&self.job.name));
            match Box::pin(run).await {
                Err(PipelineError::Snapshot(SnapshotError::Busy { .. })) if !self.is_stopping() => {
                    tokio::time::sleep(LOOKS).await;
                }
                other => break other?,
            }
        };
        failpoint!("backfill.brought");
        if report.state == RunState::Held {
            return Ok(Some(format!("run {} of what differs is held: {}", report.run, report.held.join("; "))));
        }
        let stopped = report.delivery.as_ref().and_then(|delivery| delivery.stopped.as_ref());
        if let Some(stopped) = stopped {
            return Ok(Some(format!("{}; {}", stopped.reason, stopped.remedy)));
        }
        self.sheet.run = Some(report.run);
        self.brought = report.counts.planned();
        Ok(None)
    }

    fn is_stopping(&self) -> bool {
        *self.runner.stop.borrow()
    }

    /// The job's lock, once nobody else wants it. `None`: it is to stop.
    async fn turn(&self) -> Result<Option<JobLock>, PipelineError> {
        let holder = format!("process {}{HOLDER}{}", std::process::id(), self.record.id);
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

    /// One batch: until every row has its word, or somebody wants the lock, or it cannot go on. For who has the lock.
    async fn batch(&mut self) -> Result<Batch, PipelineError> {
        let (runner, id) = (self.runner, self.record.id.clone());
        let Some(stored) = runner.store.run(&id).await? else { return Ok(Batch::Ended(BackfillEnd::Cancelled)) };
        if stored.state == RunState::Discarded {
            self.record = stored;
            return Ok(Batch::Ended(BackfillEnd::Cancelled));
        }
        if Sheet::of(&stored)?.is_paused {
            self.sheet.is_paused = true;
            return Ok(Batch::Ended(BackfillEnd::Paused(stored.reason.unwrap_or_default())));
        }
        shared::begin(runner, &self.job.name).await?;
        let mut progress = runner.store.progress(&id).await?;
        if !progress.attempting.is_empty() {
            runner.store.cut_off(&id).await?;
            failpoint!("backfill.cut_off");
            progress.cut_off();
        }
        let passed = self.account(&progress).await?;
        if let Some(stopped) = service::out_of_service(runner, &self.job).await? {
            return Ok(Batch::Ended(BackfillEnd::Paused(format!("{}; {}", stopped.reason, stopped.remedy))));
        }
        let begun = runner.clock.now();
        (self.record.state, self.record.finished_at, self.record.reason) = (RunState::Delivering, None, None);
        self.sheet.begun_at = Some(begun);
        self.put().await?;
        failpoint!("backfill.batch_begun");
        let (summary, is_complete) = self.deliver(&progress, &passed).await?;
        failpoint!("backfill.delivered");
        self.end(summary, is_complete, begun, &passed).await
    }

    /// The rows that are not to be sent, as runs have sent their orgs since.
    async fn account(&mut self, progress: &Progress) -> Result<RoaringBitmap, PipelineError> {
        let mut passed = self.sheet.passed(&self.record)?;
        let current = Manifest::load(&self.dir)?;
        let current = current.ok_or_else(|| PipelineError::NothingPublished(self.job.name.clone()))?;
        if current.run == self.sheet.accounted {
            return Ok(passed);
        }
        let known = self.runner.store.progress(&current.run).await?;
        let done = &progress.acknowledged | &passed;
        let (dir, job, spool, from) =
            (self.dir.clone(), self.job.name.clone(), self.spool.clone(), self.sheet.accounted.clone());
        let run = current.run.clone();
        let accounting = tokio::task::spawn_blocking(spans::within(move || {
            let account =
                Account { dir: &dir, job: &job, spool: &spool, current: &current, progress: &known, from: &from };
            account.passed(&done)
        }));
        let more = accounting.await.map_err(|e| PipelineError::Internal(e.to_string()))??;
        tracing::info!(
            event = "backfill_accounted",
            published = run,
            rows = more.len(),
            "what runs have sent since is not sent by the backfill"
        );
        passed |= more;
        self.sheet.set_passed(&mut passed);
        self.sheet.accounted = run;
        self.put().await?;
        failpoint!("backfill.accounted");
        Ok(passed)
    }

    async fn deliver(&self, progress: &Progress, passed: &RoaringBitmap) -> Result<(Summary, bool), PipelineError> {
        let runner = self.runner;
        let mut seen = progress.clone();
        seen.acknowledged |= passed;
        seen.acknowledged |= &*self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let (messages, found) = Messages::new(self.outbox.clone(), &seen, Vec::new(), 0, HashSet::new())?;
        let inner = StoreLedger::new(runner, &self.record.id);
        let ledger = Arc::new(Tried { inner, tried: Arc::clone(&self.tried) });
        runner.metrics.delivering(&self.job.name, self.delivery.limits());
        let observer = Arc::new(Relay {
            job: self.job.name.clone(),
            progress: Arc::clone(&runner.progress),
            metrics: Arc::clone(&runner.metrics),
        });
        let (stop, looking) = self.until_wanted();
        let sent = self.delivery.run(messages, ledger, observer, stop).await;
        looking.abort();
        let summary = sent.map_err(|e| PipelineError::Delivery(format!("{e:#}")))?;
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        match found.broken.take() {
            Some(error) => Err(PipelineError::Delivery(error.to_string())),
            None => Ok((summary, found.is_complete)),
        }
    }

    /// Becomes true once the process is to stop, or somebody wants the lock.
    fn until_wanted(&self) -> (watch::Receiver<bool>, tokio::task::JoinHandle<()>) {
        let (sender, receiver) = watch::channel(false);
        let (stop, dir) = (self.runner.stop.clone(), self.dir.clone());
        let looking = tokio::spawn(async move {
            while !*stop.borrow() && !JobLock::is_wanted(&dir) {
                tokio::time::sleep(LOOKS).await;
            }
            let _ = sender.send(true);
            // The receiver must not take its end for nobody's wish.
            std::future::pending::<()>().await;
        });
        (receiver, looking)
    }

    async fn end(
        &mut self,
        summary: Summary,
        is_complete: bool,
        begun: DateTime<Utc>,
        passed: &RoaringBitmap,
    ) -> Result<Batch, PipelineError> {
        let (runner, id, now) = (self.runner, self.record.id.clone(), self.runner.clock.now());
        let room = Summary::MAX_FAILURES.saturating_sub(self.failures.len());
        self.failures.extend(summary.failures.iter().take(room).cloned());
        let mut progress = runner.store.progress(&id).await?;
        progress.release();
        self.record.counts = counts(self.spool.changes.rows, &progress, passed);
        self.sheet.active_seconds += (now - begun).to_std().unwrap_or_default().as_secs_f64();
        self.sheet.begun_at = None;
        let is_done = is_complete && summary.stopped.is_none();
        self.record.state = if is_done { RunState::Finished } else { RunState::Delivering };
        (self.record.finished_at, self.record.report) = (is_done.then_some(now), Some(self.sheet.to_json()));
        failpoint!("backfill.before_end");
        runner.store.end_delivery(&self.record, now).await?;
        failpoint!("backfill.batch_ended");
        service::note(runner, &self.job, &id, &summary).await?;
        if is_done {
            tracing::info!(event = "backfill_ended", "a backfill has ended");
            // What it leaves is removed by the next one, if not now.
            let _ = spool_sweep(&self.dir, &[]);
            return Ok(Batch::Ended(BackfillEnd::Finished));
        }
        Ok(match summary.stopped {
            Some(Stopped { kind: StopKind::Asked, .. }) if self.is_stopping() => {
                Batch::Ended(BackfillEnd::Paused("it was asked to stop".to_owned()))
            }
            Some(Stopped { kind: StopKind::Asked, .. }) | None => Batch::Yielded,
            Some(stopped) => Batch::Ended(BackfillEnd::Paused(format!("{}; {}", stopped.reason, stopped.remedy))),
        })
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

/// The store, and a note of which rows have had their word.
struct Tried {
    inner: StoreLedger,
    tried: Arc<Mutex<RoaringBitmap>>,
}

#[async_trait]
impl Ledger for Tried {
    async fn commit(&self, entry: Entry) -> anyhow::Result<()> {
        let told: Vec<u64> = entry.receipts.iter().map(|receipt| receipt.seq).collect();
        self.inner.commit(entry).await?;
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.extend(told.into_iter().filter_map(|seq| u32::try_from(seq).ok()));
        Ok(())
    }
}
