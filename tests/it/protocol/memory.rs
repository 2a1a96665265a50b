//! The state store's port over maps: what is durable is what is in them. It stands for SQLite where that would take most of the time,
//! and is held to the same model.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use nightmark::receipt::{FailureKind, Progress, Receipt};
use nightmark::store::{
    DestinationRecord, FailedReceipt, Past, Refusal, RefusalChange, RefusalStore, RunEvent, RunRecord, RunStore,
    StoreError,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

#[derive(Default)]
struct State {
    runs: BTreeMap<String, (RunRecord, Progress)>,
    refusals: BTreeMap<String, Refusal>,
    destination: Option<DestinationRecord>,
}

/// Of one job.
#[derive(Default)]
pub struct Memory(Mutex<State>);

impl Memory {
    /// Others get their turn first, as with a database.
    async fn state(&self) -> MutexGuard<'_, State> {
        tokio::task::yield_now().await;
        self.0.lock().unwrap()
    }
}

impl State {
    fn put(&mut self, run: &RunRecord) -> &mut Progress {
        let entry = self.runs.entry(run.id.clone()).or_insert_with(|| (run.clone(), Progress::default()));
        entry.0 = run.clone();
        &mut entry.1
    }

    fn count(&mut self, job: &str, run: &str, receipt: &Receipt) {
        let Some(failure) = receipt.failure.as_ref().filter(|failure| failure.kind == FailureKind::Refused) else {
            return;
        };
        let refusal = self.refusals.entry(failure.webhook_id.clone()).or_insert_with(|| Refusal {
            job: job.to_owned(),
            webhook_id: failure.webhook_id.clone(),
            key: failure.key.clone(),
            count: 0,
            status: None,
            detail: None,
            first_at: receipt.at,
            last_at: receipt.at,
            run: String::new(),
            dropped: false,
        });
        refusal.count += 1;
        (refusal.status, refusal.detail) = (receipt.status, receipt.detail.clone());
        (refusal.last_at, refusal.run) = (receipt.at, run.to_owned());
    }
}

#[async_trait]
impl RunStore for Memory {
    async fn put_run(&self, run: &RunRecord, _: DateTime<Utc>) -> Result<(), StoreError> {
        self.state().await.put(run);
        Ok(())
    }

    async fn end_delivery(&self, run: &RunRecord, _: DateTime<Utc>) -> Result<(), StoreError> {
        self.state().await.put(run).release();
        Ok(())
    }

    async fn begin_backfill(&self, backfill: &RunRecord, _: DateTime<Utc>) -> Result<Option<RunRecord>, StoreError> {
        self.state().await.put(backfill);
        Ok(None)
    }

    async fn runs(&self, _: Option<&str>, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        let state = self.state().await;
        Ok(state.runs.values().rev().take(limit as usize).map(|(run, _)| run.clone()).collect())
    }

    async fn backfills(&self, _: Option<&str>, _: u32) -> Result<Vec<RunRecord>, StoreError> {
        Ok(Vec::new())
    }

    async fn open_backfill(&self, _: &str) -> Result<Option<RunRecord>, StoreError> {
        Ok(None)
    }

    async fn open_runs(&self, _: &str) -> Result<Vec<RunRecord>, StoreError> {
        let state = self.state().await;
        Ok(state.runs.values().filter(|(run, _)| !run.state.is_final()).map(|(run, _)| run.clone()).collect())
    }

    async fn run(&self, id: &str) -> Result<Option<RunRecord>, StoreError> {
        Ok(self.state().await.runs.get(id).map(|(run, _)| run.clone()))
    }

    async fn events(&self, _: &str) -> Result<Vec<RunEvent>, StoreError> {
        Ok(Vec::new())
    }

    async fn commit(&self, run: &str, attempting: &[Range<u64>], receipts: &[Receipt]) -> Result<(), StoreError> {
        let mut state = self.state().await;
        let Some((record, progress)) = state.runs.get_mut(run) else {
            return Err(StoreError::UnknownRun(run.to_owned()));
        };
        attempting.iter().for_each(|rows| progress.attempt(rows.clone()));
        receipts.iter().for_each(|receipt| progress.receive(receipt.seq, receipt.outcome));
        let job = record.job.clone();
        receipts.iter().for_each(|receipt| state.count(&job, run, receipt));
        Ok(())
    }

    async fn cut_off(&self, run: &str) -> Result<(), StoreError> {
        if let Some((_, progress)) = self.state().await.runs.get_mut(run) {
            progress.cut_off();
        }
        Ok(())
    }

    async fn progress(&self, run: &str) -> Result<Progress, StoreError> {
        Ok(self.state().await.runs.get(run).map_or_else(Progress::forgotten, |(_, progress)| progress.clone()))
    }

    async fn forget_runs(&self, _: &str, past: &Past<'_>) -> Result<(), StoreError> {
        let mut state = self.state().await;
        let is_past = |run: &RunRecord| run.state.is_final() && !past.except.contains(&run.id);
        state.runs.retain(|_, (run, _)| run.started_at >= past.before || !is_past(run));
        let older = state.runs.values_mut().rev().skip(past.rows_of as usize);
        older.filter(|(run, _)| is_past(run)).for_each(|(_, progress)| *progress = Progress::forgotten());
        Ok(())
    }

    async fn failures(&self, _: &str, _: u32) -> Result<Vec<FailedReceipt>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl RefusalStore for Memory {
    async fn refusals(&self, _: Option<&str>) -> Result<Vec<Refusal>, StoreError> {
        Ok(self.state().await.refusals.values().cloned().collect())
    }

    async fn change_refusals(&self, _: &str, ids: &[String], change: RefusalChange) -> Result<u64, StoreError> {
        let mut state = self.state().await;
        let known = ids.iter().filter(|id| state.refusals.contains_key(*id)).count();
        match change {
            RefusalChange::Forget => state.refusals.retain(|id, _| !ids.contains(id)),
            RefusalChange::Drop => of(&mut state, ids).for_each(|refusal| refusal.dropped = true),
            RefusalChange::Retry => of(&mut state, ids).for_each(|of| (of.count, of.dropped) = (0, false)),
        }
        Ok(known as u64)
    }

    async fn destination(&self, _: &str) -> Result<Option<DestinationRecord>, StoreError> {
        Ok(self.state().await.destination.clone())
    }

    async fn destinations(&self) -> Result<Vec<DestinationRecord>, StoreError> {
        Ok(self.state().await.destination.iter().cloned().collect())
    }

    async fn put_destination(&self, record: &DestinationRecord) -> Result<(), StoreError> {
        self.state().await.destination = Some(record.clone());
        Ok(())
    }

    async fn clear_destination(&self, _: &str) -> Result<bool, StoreError> {
        Ok(self.state().await.destination.take().is_some())
    }
}

fn of<'a>(state: &'a mut State, ids: &'a [String]) -> impl Iterator<Item = &'a mut Refusal> {
    state.refusals.iter_mut().filter(|(id, _)| ids.contains(id)).map(|(_, refusal)| refusal)
}
