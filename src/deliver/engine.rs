//! One run: a renderer fills the desk, workers empty it, a collector makes durable what they did.

use super::desk::{Ahead, Desk};
use super::limits::Limits;
use super::parcel::{Packed, Packer};
use super::receipts::{Word, collect, unsendable};
use super::verdict::Peer;
use super::{Item, Ledger, Observer, Options, Stopped, Summary, Transport, attempt};
use crate::clock::Clock;
use crate::job::redact::Redactor;
use crate::job::spec::{Destination, PerOperation};
use crate::spans::within;
use anyhow::Context as _;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tracing::Instrument as _;

/// What stays the same over the runs of one destination.
pub(super) struct Engine {
    pub(super) client: Box<dyn Transport>,
    pub(super) limits: Arc<Limits>,
    pub(super) destination: Destination,
    /// Who answers, by operation.
    pub(super) peers: PerOperation<Peer>,
    pub(super) redactor: Redactor,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: Options,
}

/// What the tasks of one run share.
pub(super) struct Run {
    pub(super) engine: Arc<Engine>,
    pub(super) desk: Arc<Desk>,
    pub(super) observer: Arc<dyn Observer>,
}

/// Closes the desk when it goes.
struct Closing(Arc<Desk>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

const CRASHED: &str = "a delivery task crashed";

/// Delivers `items`; see [`super::Delivery::run`].
pub(super) async fn run(
    engine: Arc<Engine>,
    items: impl Iterator<Item = Item> + Send + 'static,
    ledger: Arc<dyn Ledger>,
    observer: Arc<dyn Observer>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Summary> {
    let ahead = if engine.destination.batch.is_some() { Ahead::BATCHES } else { Ahead::ROWS };
    let concurrency = engine.destination.concurrency;
    let desk = Arc::new(Desk::new(Arc::clone(&engine.limits), concurrency, ahead, engine.options.clone()));
    // Also when this future is dropped: the collector then records what it has, and ends.
    let closing = Closing(Arc::clone(&desk));
    let mut collector = tokio::spawn(collect(Arc::clone(&desk), ledger, Arc::clone(&observer)).in_current_span());
    let run = Arc::new(Run { engine, desk, observer });
    let sent = tokio::select! {
        biased;
        // The collector ends before the desk is closed only if the ledger failed. Leaving here drops the workers, and
        // with them every request in flight: without a receipt those rows count as unknown.
        ended = &mut collector => return ended.context(CRASHED)?,
        never = throw_on_request(&run.desk, stop) => match never {},
        sent = send(&run, items) => sent,
    };
    let left = run.desk.leftovers();
    left.into_iter().for_each(|job| run.desk.finish(attempt::words(&run, job, None)));
    drop(closing);
    // Also after a failure: what was acknowledged until then is worth its receipt.
    let summary = collector.await.context(CRASHED)?;
    sent?;
    Ok(Summary { stopped: run.desk.reason(), limits: run.engine.limits.report(), ..summary? })
}

/// Returns when every row has its final word or delivery has stopped, and no request is in flight.
async fn send(run: &Arc<Run>, items: impl Iterator<Item = Item> + Send + 'static) -> anyhow::Result<()> {
    let mut workers = JoinSet::new();
    for _ in 0..run.engine.destination.concurrency.max(1) {
        let run = Arc::clone(run);
        let work = async move {
            while let Some((job, permit)) = run.desk.next().await {
                let span = job.span();
                attempt::attempt(&run, job, permit).instrument(span).await;
            }
        };
        workers.spawn(work.in_current_span());
    }
    let ended = async {
        while let Some(ended) = workers.join_next().await {
            ended.context(CRASHED)?;
        }
        Ok(())
    };
    tokio::try_join!(render(run, items), ended).map(drop)
}

/// Rendering is work without a pause of its own, so it has a thread. One for the whole run: hopping over the threads of the
/// pool would leave free memory behind in each of them.
async fn render(run: &Arc<Run>, mut items: impl Iterator<Item = Item> + Send + 'static) -> anyhow::Result<()> {
    let (run, runtime) = (Arc::clone(run), Handle::current());
    let rendering = spawn_blocking(within(move || {
        let mut packer = Packer::new(&run.engine.destination);
        // There is no more room once delivery has stopped or this run was dropped.
        while let Some(room) = runtime.block_on(run.desk.room()) {
            if put(&run, &mut packer, &mut items, room) {
                break;
            }
        }
        run.desk.drained();
    }));
    rendering.await.context(CRASHED)
}

/// Puts so many parcels and words on the desk, or all that are left. Returns whether these are the last.
fn put(run: &Run, packer: &mut Packer, items: &mut impl Iterator<Item = Item>, room: usize) -> bool {
    let mut packed = Packed { parcels: Vec::with_capacity(room), ..Packed::default() };
    let mut words: Vec<Word> = Vec::new();
    let (now, mut is_last) = (|| run.engine.clock.now(), false);
    while packed.len() + words.len() < room {
        match items.next() {
            Some(Item::Send(message)) => packer.put(message, &mut packed),
            Some(Item::Unsendable { seq, key, problem }) => words.push(unsendable(seq, key, problem, now())),
            None => {
                packer.rest(&mut packed);
                is_last = true;
                break;
            }
        }
    }
    words.extend(packed.unfit.into_iter().map(|(row, problem)| unsendable(row.seq, row.key, problem, now())));
    run.desk.put(packed.parcels, words);
    is_last
}

async fn throw_on_request(desk: &Desk, mut stop: watch::Receiver<bool>) -> std::convert::Infallible {
    // An error means that no one is left who could ask.
    if stop.wait_for(|asked| *asked).await.is_ok() {
        desk.throw(Stopped::asked());
    }
    std::future::pending().await
}
