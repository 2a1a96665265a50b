//! The loop that feeds rows to the destination.
//!
//! Rows wait in a window: wide enough that a few that are being retried do not hold up the rest, bounded so that a
//! million messages take no more memory than a thousand. Messages are pulled only when the window has room.

use super::client::Client;
use super::halt::Halt;
use super::limits::Limits;
use super::receipts::{Word, collect};
use super::redact::Redactor;
use super::{Ledger, Message, Observer, Options, Stopped, Summary, row};
use crate::clock::Clock;
use crate::job::spec::Retry;
use anyhow::Context as _;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};

/// The attempt mark is moved in steps of so many rows: each step is a durable write.
const MARK_STEP: u64 = 256;
/// Rows under way at least, whatever the concurrency.
const MIN_WINDOW: usize = 256;
/// Rows under way per request in flight.
const WINDOW_PER_SLOT: usize = 16;

/// What stays the same over the runs of one destination.
pub(super) struct Engine {
    pub(super) client: Client,
    pub(super) limits: Limits,
    pub(super) policy: Retry,
    pub(super) redactor: Redactor,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) concurrency: usize,
    pub(super) options: Options,
}

/// What the rows of one run share.
pub(super) struct Run {
    pub(super) engine: Arc<Engine>,
    pub(super) halt: Halt,
    pub(super) words: mpsc::Sender<Word>,
}

/// Delivers `messages`; see [`super::Delivery::run`].
pub(super) async fn run(
    engine: Arc<Engine>,
    messages: impl Iterator<Item = Message> + Send,
    ledger: Arc<dyn Ledger>,
    observer: Arc<dyn Observer>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Summary> {
    let window = engine.concurrency.saturating_mul(WINDOW_PER_SLOT).max(MIN_WINDOW);
    // A full channel makes rows wait for the ledger, and the window then makes the feed wait for the rows.
    let (words, heard) = mpsc::channel(window);
    let mut collector = tokio::spawn(collect(heard, Arc::clone(&ledger), observer, engine.options.clone()));
    let run = Arc::new(Run { engine, halt: Halt::new(), words });
    let fed = tokio::select! {
        biased;
        // The collector ends before its senders are gone only if the ledger failed. Leaving here drops the feed, and
        // with it every request in flight: without a receipt those rows count as unknown.
        ended = &mut collector => return ended.context(CRASHED)?,
        never = throw_on_request(&run.halt, stop) => match never {},
        fed = feed(&run, messages, &*ledger, window) => fed,
    };
    let stopped = run.halt.reason();
    drop(run);
    // Also after a failure: what was acknowledged until then is worth its receipt.
    let summary = collector.await.context(CRASHED)?;
    fed?;
    Ok(Summary { stopped, ..summary? })
}

const CRASHED: &str = "a delivery task crashed";

/// Pulls messages into the window until there are no more or the run is to stop, then waits for those under way.
async fn feed(
    run: &Arc<Run>,
    mut messages: impl Iterator<Item = Message> + Send,
    ledger: &dyn Ledger,
    window: usize,
) -> anyhow::Result<()> {
    let mut rows = JoinSet::new();
    let mut marked = 0;
    while !run.halt.is_thrown() {
        if rows.len() >= window {
            reap(rows.join_next().await)?;
            continue;
        }
        // Rows that have ended meanwhile must not pile up in the set.
        while let Some(ended) = rows.try_join_next() {
            reap(Some(ended))?;
        }
        let Some(message) = messages.next() else { break };
        if message.seq >= marked {
            marked = message.seq.saturating_add(MARK_STEP);
            ledger.attempting(marked).await.context("the attempt mark could not be recorded")?;
        }
        let run = Arc::clone(run);
        rows.spawn(async move { row::deliver(&run, message).await });
        // Rendering is work without a pause of its own; the rows and the collector need their turn.
        tokio::task::yield_now().await;
    }
    while let Some(ended) = rows.join_next().await {
        reap(Some(ended))?;
    }
    Ok(())
}

fn reap(ended: Option<Result<(), JoinError>>) -> anyhow::Result<()> {
    ended.transpose().map(|_| ()).context(CRASHED)
}

async fn throw_on_request(halt: &Halt, mut stop: watch::Receiver<bool>) -> std::convert::Infallible {
    // An error means that no one is left who could ask.
    if stop.wait_for(|asked| *asked).await.is_ok() {
        halt.throw(Stopped {
            reason: "delivery was asked to stop".to_owned(),
            remedy: "nothing needs mending: the next run sends the rest".to_owned(),
        });
    }
    std::future::pending().await
}
