//! One batch of a backfill: what is sent of it until somebody else wants the job, or may want it.

use super::super::measured::Relay;
use super::super::messages::Messages;
use super::super::send::StoreLedger;
use super::super::{PipelineError, Runner, service, shared};
use super::account::Account;
use super::record::{Sheet, counts};
use super::work::{BackfillEnd, Filling, LOOKS, SLICE};
use crate::deliver::{Entry, Ledger, StopKind, Stopped, Summary};
use crate::receipt::Progress;
use crate::snapshot::{JobLock, Manifest, spool_sweep};
use crate::spans;
use crate::store::RunState;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use roaring::RoaringBitmap;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What came of a batch.
pub(super) enum Batch {
    /// Somebody else wanted the job, or it was time to let others ask for it.
    Yielded,
    Ended(BackfillEnd),
}

impl Filling<'_> {
    /// One batch: until every row has its word, or somebody wants the job, or it cannot go on. `runner`: who has the job.
    pub(super) async fn batch(&mut self, runner: &Runner) -> Result<Batch, PipelineError> {
        let id = self.record.id.clone();
        self.now.under(runner);
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
        let passed = self.account(runner, &progress).await?;
        if let Some(stopped) = service::out_of_service(runner, &self.job).await? {
            return Ok(Batch::Ended(BackfillEnd::Paused(format!("{}; {}", stopped.reason, stopped.remedy))));
        }
        let begun = runner.clock.now();
        (self.record.state, self.record.finished_at, self.record.reason) = (RunState::Delivering, None, None);
        self.sheet.begun_at = Some(begun);
        self.put(runner).await?;
        failpoint!("backfill.batch_begun");
        let (summary, is_complete) = self.deliver(runner, &progress, &passed).await?;
        failpoint!("backfill.delivered");
        self.end(runner, summary, is_complete, begun, &passed).await
    }

    /// The rows that are not to be sent, as runs have sent their orgs since.
    async fn account(&mut self, runner: &Runner, progress: &Progress) -> Result<RoaringBitmap, PipelineError> {
        let mut passed = self.sheet.passed(&self.record)?;
        let current = Manifest::load(&self.dir)?;
        let current = current.ok_or_else(|| PipelineError::NothingPublished(self.job.name.clone()))?;
        if current.run == self.sheet.accounted {
            return Ok(passed);
        }
        let known = runner.store.progress(&current.run).await?;
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
        self.put(runner).await?;
        failpoint!("backfill.accounted");
        Ok(passed)
    }

    async fn deliver(
        &self,
        runner: &Runner,
        progress: &Progress,
        passed: &RoaringBitmap,
    ) -> Result<(Summary, bool), PipelineError> {
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
        // What other machines want is not seen here.
        let (stop, looking) = self.until_wanted(runner.leases.as_ref().map(|_| SLICE));
        let sent = runner.while_held(&self.job.name, self.delivery.run(messages, ledger, observer, stop)).await;
        looking.abort();
        let summary = sent?.map_err(|e| PipelineError::Delivery(format!("{e:#}")))?;
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        match found.broken.take() {
            Some(error) => Err(PipelineError::Delivery(error.to_string())),
            None => Ok((summary, found.is_complete)),
        }
    }

    /// Becomes true once the process is to stop, or somebody on this machine wants the job, or after so long.
    pub(super) fn until_wanted(
        &self,
        longest: Option<Duration>,
    ) -> (watch::Receiver<bool>, tokio::task::JoinHandle<()>) {
        let (sender, receiver) = watch::channel(false);
        let (stop, dir) = (self.runner.stop.clone(), self.dir.clone());
        let looking = tokio::spawn(async move {
            let until = longest.map(|longest| Instant::now() + longest);
            while !*stop.borrow() && !JobLock::is_wanted(&dir) && until.is_none_or(|until| Instant::now() < until) {
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
        runner: &Runner,
        summary: Summary,
        is_complete: bool,
        begun: DateTime<Utc>,
        passed: &RoaringBitmap,
    ) -> Result<Batch, PipelineError> {
        let (id, now) = (self.record.id.clone(), runner.clock.now());
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
