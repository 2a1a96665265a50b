//! Final words, made durable in batches and then counted.
//!
//! In: one [`Word`] per row. Out: the [`Summary`], once every word is recorded.
//! Always holds: nothing is counted or shown to the observer before the ledger has it.

use super::{FailedRow, FailureKind, Ledger, Observer, Options, Summary};
use crate::receipt::{Outcome, Receipt};
use anyhow::Context as _;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

/// How a row ended in this run.
pub(super) enum Word {
    /// There is a receipt.
    Final {
        /// The row's key, for the report.
        key: String,
        /// What is to be recorded.
        receipt: Receipt,
        /// Why it did not get through, unless it did.
        failure: Option<FailureKind>,
    },
    /// It was surely not applied and is left to the next run.
    Pending,
}

/// Takes words until every sender is gone.
pub(super) async fn collect(
    mut words: Receiver<Word>,
    ledger: Arc<dyn Ledger>,
    observer: Arc<dyn Observer>,
    options: Options,
) -> anyhow::Result<Summary> {
    let mut summary = Summary::default();
    while let Some(batch) = next_batch(&mut words, &options).await {
        settle(batch, &mut summary, &*ledger, &*observer).await?;
    }
    Ok(summary)
}

/// Waits for a word, then takes more until there are enough or the oldest has waited long enough.
async fn next_batch(words: &mut Receiver<Word>, options: &Options) -> Option<Vec<Word>> {
    let mut batch = vec![words.recv().await?];
    let deadline = Instant::now() + options.receipt_interval;
    while batch.len() < options.receipt_rows {
        match timeout_at(deadline, words.recv()).await {
            Ok(Some(word)) => batch.push(word),
            Ok(None) | Err(_) => break,
        }
    }
    Some(batch)
}

async fn settle(
    batch: Vec<Word>,
    summary: &mut Summary,
    ledger: &dyn Ledger,
    observer: &dyn Observer,
) -> anyhow::Result<()> {
    let mut receipts = Vec::with_capacity(batch.len());
    let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(batch.len());
    let mut undelivered = 0;
    for word in batch {
        match word {
            Word::Pending => outcomes.push(None),
            Word::Final { key, receipt, failure } => {
                outcomes.push(Some(receipt.outcome));
                undelivered += u64::from(failure == Some(FailureKind::NotDelivered));
                if let Some(kind) = failure {
                    let detail = receipt.detail.clone().unwrap_or_default();
                    summary.note(FailedRow { key, kind, status: receipt.status, detail });
                }
                receipts.push(receipt);
            }
        }
    }
    if !receipts.is_empty() {
        ledger.record(receipts).await.context("receipts could not be recorded")?;
    }
    summary.undelivered += undelivered;
    for outcome in outcomes {
        summary.count(outcome);
        observer.done(outcome);
    }
    Ok(())
}
