//! Final words and grants, made durable together, and then counted and handed out.
//!
//! In: one [`Word`] per row. Out: the [`Summary`], once every word is recorded.
//! Always holds: nothing is counted, shown to the observer or let go before the ledger has it.

use super::desk::Desk;
use super::{Entry, FailedRow, FailureKind, Ledger, Observer, Summary};
use crate::receipt::{Failure, Outcome, Receipt};
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// How a row ended in this run.
pub(super) enum Word {
    /// What is to be recorded.
    Final(Receipt),
    /// It was surely not applied and is left to the next run.
    Pending,
}

/// The word about a row whose body cannot be built: it never leaves.
pub(super) fn unsendable(seq: u64, key: String, problem: String, at: DateTime<Utc>) -> Word {
    let detail = Some(problem);
    let kind = FailureKind::NotDelivered;
    // Only what a destination refuses counts for a version, so that its id is not needed.
    let failure = Some(Failure { kind, key, webhook_id: String::new() });
    Word::Final(Receipt { seq, outcome: Outcome::Refused, status: None, attempts: 0, detail, at, failure })
}

/// Takes words and hands out grants until the desk is closed. The only one that talks to the ledger.
pub(super) async fn collect(
    desk: Arc<Desk>,
    ledger: Arc<dyn Ledger>,
    observer: Arc<dyn Observer>,
) -> anyhow::Result<Summary> {
    let mut summary = Summary::default();
    while let Some(load) = desk.load().await {
        let attempting = load.grant;
        let Batch { receipts, outcomes, failures, undelivered } = Batch::of(load.words);
        let failed = if receipts.is_empty() { NOT_GRANTED } else { NOT_RECORDED };
        if !receipts.is_empty() || !attempting.is_empty() {
            ledger.commit(Entry { attempting, receipts }).await.context(failed)?;
        }
        // First of all: workers may be waiting for these.
        desk.release();
        summary.undelivered += undelivered;
        failures.into_iter().for_each(|row| summary.note(row));
        for outcome in outcomes {
            summary.count(outcome);
            observer.done(outcome);
        }
    }
    Ok(summary)
}

const NOT_GRANTED: &str = "the rows to be attempted could not be recorded";
const NOT_RECORDED: &str = "receipts could not be recorded";

/// What the words of one write come to.
#[derive(Default)]
struct Batch {
    receipts: Vec<Receipt>,
    outcomes: Vec<Option<Outcome>>,
    failures: Vec<FailedRow>,
    undelivered: u64,
}

impl Batch {
    fn of(words: Vec<Word>) -> Batch {
        let mut batch = Batch { receipts: Vec::with_capacity(words.len()), ..Batch::default() };
        for word in words {
            match word {
                Word::Pending => batch.outcomes.push(None),
                Word::Final(receipt) => {
                    batch.outcomes.push(Some(receipt.outcome));
                    if let Some(Failure { kind, key, .. }) = &receipt.failure {
                        batch.undelivered += u64::from(*kind == FailureKind::NotDelivered);
                        if batch.failures.len() < Summary::MAX_FAILURES {
                            let (key, detail) = (key.clone(), receipt.detail.clone().unwrap_or_default());
                            batch.failures.push(FailedRow { key, kind: *kind, status: receipt.status, detail });
                        }
                    }
                    batch.receipts.push(receipt);
                }
            }
        }
        batch
    }
}
