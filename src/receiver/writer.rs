//! One writer for all requests: it commits whatever is queued, so that one fsync serves many.
//!
//! In: the updates of a request, with a place for their answer. Out: the answers, after the commit.
//! Always holds: updates whose answer says so are on the disk; those of one request are in one transaction; updates of one
//! org are applied in the order in which they were queued. There is no wait for more to come: under load the next batch
//! gathers while the last one is written.
//! One request that cannot be written (the database refuses a value of it, the stored record of its org is damaged, a fault of ours) takes
//! no other down: the batch is halved, by requests and in their order, until it stands alone. Of n requests that costs about
//! 2·log₂(n) further transactions. Where the store itself fails, nothing is tried again: its trouble is everybody's.

use super::memory::Share;
use crate::store::{OrgStore, OrgUpsert, StoreError, UpsertOutcome, Upserted};
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::runtime::{self, Handle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Requests in one transaction at most.
const BATCH: usize = 512;
/// Updates after which a transaction takes no further request in.
const BATCH_UPDATES: usize = 2_500;
/// Bytes of bodies after which a transaction takes no further request in: no statement may grow beyond what a database takes.
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Requests that wait at most unless the settings say otherwise; beyond this the receiver says that it is busy.
pub(super) const QUEUE: usize = 4096;
/// Updates that wait at most in requests with several.
const QUEUE_MANY: usize = 2 * super::MAX_EVENTS;

struct Queued {
    upserts: Vec<OrgUpsert>,
    answer: oneshot::Sender<Answer>,
    /// What the body took of the memory; what was read out of it takes about as much.
    memory: Arc<Share>,
    /// Its share of [`QUEUE_MANY`], given back once it is written.
    share: Option<OwnedSemaphorePermit>,
}

/// One for each update.
type Answer = Result<Vec<Upserted>, WriteError>;

/// Why updates were not written. They may be sent again, and all but [`Refused`](WriteError::Refused) at once.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum WriteError {
    /// More is queued than may be.
    #[error("the queue of updates is full")]
    Busy,
    /// The store failed.
    #[error("{0}")]
    Store(String),
    /// It is these updates that cannot be written: they will not be until somebody mends the store, or us.
    #[error("{0}")]
    Refused(String),
    /// Their key is no longer as the receiver knew it. Here they are again, for another try with the key as it is now.
    #[error("the key was changed meanwhile")]
    KeyChanged(Vec<OrgUpsert>),
    /// The writer is gone, which only the end of the process brings about.
    #[error("the writer has stopped")]
    Stopped,
}

/// The way to the writer. A clone leads to the same one; it ends when the last is dropped and the queue is empty.
#[derive(Debug, Clone)]
pub(super) struct OrgWriter {
    /// `None`: nothing is written ([`OrgWriter::nowhere`]).
    queue: Option<mpsc::Sender<Queued>>,
    many: Arc<Semaphore>,
}

impl OrgWriter {
    /// Starts the writer on a thread of its own; answers are given on the current tokio runtime. `queue`: requests that wait at most.
    pub(super) fn start(store: Arc<dyn OrgStore>, queue: usize) -> OrgWriter {
        let (writer, work) = Self::with_queue(store, queue, QUEUE_MANY);
        on_its_own_thread(work);
        writer
    }

    /// A writer, and its work until it ends.
    fn with_queue(
        store: Arc<dyn OrgStore>,
        requests: usize,
        many: usize,
    ) -> (OrgWriter, impl Future<Output = ()> + Send + 'static) {
        let (queue, updates) = mpsc::channel(requests);
        let work = write_all(store, updates, Handle::current());
        (OrgWriter { queue: Some(queue), many: Arc::new(Semaphore::new(many)) }, work)
    }

    /// Writes nothing and answers at once, each time that the org is new. For benches/receiver, which measures by it what all else of a
    /// request costs.
    pub(super) fn nowhere() -> OrgWriter {
        OrgWriter { queue: None, many: Arc::new(Semaphore::new(QUEUE_MANY)) }
    }

    /// Queues the updates of a request and waits until they are on the disk, all or none of them: one answer for each, in
    /// their order. A caller that stops waiting does not take them back. `memory` is given back once they are written.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub(super) async fn write(&self, upserts: Vec<OrgUpsert>, memory: Arc<Share>) -> Result<Vec<Upserted>, WriteError> {
        let Some(queue) = &self.queue else {
            return Ok(vec![Upserted { target_org_id: 1, is_new: true, stale: false, repeated: false }; upserts.len()]);
        };
        let share = match upserts.len() {
            0 => return Ok(Vec::new()),
            1 => None,
            several => {
                let several = u32::try_from(several).map_err(|_| WriteError::Busy)?;
                let share = Arc::clone(&self.many).try_acquire_many_owned(several);
                Some(share.map_err(|_| WriteError::Busy)?)
            }
        };
        let (answer, answered) = oneshot::channel();
        let queued = Queued { upserts, answer, memory, share };
        queue.try_send(queued).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => WriteError::Busy,
            mpsc::error::TrySendError::Closed(_) => WriteError::Stopped,
        })?;
        answered.await.map_err(|_| WriteError::Stopped)?
    }
}

/// A batch takes turns with the database three times. As a task among those of the requests it would wait each time until all of these
/// have had theirs.
fn on_its_own_thread(work: impl Future<Output = ()> + Send + 'static) {
    let requests = Handle::current();
    let thread = std::thread::Builder::new().name("writer".to_owned());
    let started = thread.spawn(move || match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(own) => own.block_on(work),
        Err(error) => {
            tracing::warn!(event = "writer_without_runtime", %error, "the writer has no runtime of its own");
            requests.block_on(work);
        }
    });
    // The system has no thread left: every update is then answered 503, and the log says why.
    if let Err(error) = started {
        tracing::error!(event = "writer_not_started", %error, "the writer cannot be started; nothing will be stored");
    }
}

/// `answers`: where requests wait.
async fn write_all(store: Arc<dyn OrgStore>, mut updates: mpsc::Receiver<Queued>, answers: Handle) {
    let mut queued = Vec::with_capacity(BATCH);
    while updates.recv_many(&mut queued, BATCH).await > 0 {
        let mut requests = queued.drain(..).peekable();
        while requests.peek().is_some() {
            write_some(store.as_ref(), &mut requests, &answers).await;
        }
    }
}

/// Writes, in one transaction, as many requests as it may have; at least one.
async fn write_some(store: &dyn OrgStore, requests: &mut (impl Iterator<Item = Queued> + Send), answers: &Handle) {
    // What is still to be written; what is next stands last.
    let mut parts = vec![Batch::gather(requests)];
    while let Some(mut batch) = parts.pop() {
        match batch.write(store).await {
            // By one task there: from here each answer would have to be brought over by itself.
            Ok(outcomes) => drop(answers.spawn(async move { batch.answer(outcomes) })),
            Err(Failed::Itself(_)) if batch.requests.len() > 1 => {
                parts.push(batch.split_off_half());
                parts.push(batch);
            }
            Err(Failed::Itself(reason)) => batch.fail(&WriteError::Refused(reason)),
            Err(Failed::Store(reason)) => {
                let left = std::iter::once(batch).chain(parts.drain(..).rev());
                left.for_each(|batch| batch.fail(&WriteError::Store(reason.clone())));
            }
        }
    }
}

/// Requests for one transaction, with their updates in a row.
struct Batch {
    upserts: Vec<OrgUpsert>,
    requests: Vec<Waiting>,
}

/// A request that waits for its answer.
struct Waiting {
    /// So many of the batch's updates are its own.
    updates: usize,
    answer: oneshot::Sender<Answer>,
    /// Both are given back with its answer.
    _memory: Arc<Share>,
    _share: Option<OwnedSemaphorePermit>,
}

/// Why a batch was not written.
enum Failed {
    /// Something that stands in it. Another batch may be written.
    Itself(String),
    /// The store has trouble, whatever the batch.
    Store(String),
}

impl Batch {
    fn gather(requests: impl Iterator<Item = Queued>) -> Batch {
        let (mut batch, mut bytes) = (Batch { upserts: Vec::new(), requests: Vec::new() }, 0);
        for Queued { upserts, answer, memory, share } in requests {
            bytes += memory.bytes();
            batch.requests.push(Waiting { updates: upserts.len(), answer, _memory: memory, _share: share });
            batch.upserts.extend(upserts);
            if batch.upserts.len() >= BATCH_UPDATES || bytes >= BATCH_BYTES {
                break;
            }
        }
        batch
    }

    /// In one transaction. One outcome for each update.
    async fn write(&self, store: &dyn OrgStore) -> Result<Vec<UpsertOutcome>, Failed> {
        // A fault of ours in the midst of one batch must not end the writer for good: all later updates would be refused.
        let written = AssertUnwindSafe(store.upsert_orgs(&self.upserts)).catch_unwind().await;
        match written.map_err(|_| Failed::Itself("writing it panicked; this is a bug of nightmark".to_owned()))? {
            Ok(outcomes) if outcomes.len() == self.upserts.len() => Ok(outcomes),
            Ok(_) => Err(Failed::Store("the store has not answered each update".to_owned())),
            Err(error @ (StoreError::Corrupt(_) | StoreError::Refused(_))) => Err(Failed::Itself(error.to_string())),
            Err(error) => Err(Failed::Store(error.to_string())),
        }
    }

    /// The later half of the requests, which go into a transaction of their own.
    fn split_off_half(&mut self) -> Batch {
        let requests = self.requests.split_off(self.requests.len() / 2);
        let kept = self.requests.iter().map(|request| request.updates).sum();
        Batch { upserts: self.upserts.split_off(kept), requests }
    }

    fn answer(self, outcomes: Vec<UpsertOutcome>) {
        let (mut outcomes, mut upserts) = (outcomes.into_iter(), self.upserts.into_iter());
        for request in self.requests {
            // All of them are taken, whatever the answer: what is left would be taken for the next request's.
            let own: Vec<_> = outcomes.by_ref().take(request.updates).collect();
            let own = answer_of(own, upserts.by_ref().take(request.updates).collect());
            // A client that has gone away does not wait for its answer.
            let _ = request.answer.send(own);
        }
    }

    fn fail(self, error: &WriteError) {
        for request in self.requests {
            let _ = request.answer.send(Err(error.clone()));
        }
    }
}

/// A request's answer. All of it came with one key, so either all of it was written or nothing.
fn answer_of(outcomes: Vec<UpsertOutcome>, upserts: Vec<OrgUpsert>) -> Answer {
    let done = outcomes.into_iter().map(|outcome| match outcome {
        UpsertOutcome::Done(upserted) => Some(upserted),
        UpsertOutcome::KeyChanged => None,
    });
    done.collect::<Option<Vec<_>>>().ok_or(WriteError::KeyChanged(upserts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::memory::Memory;
    use crate::store::{KeyUse, OrgChange, OrgPatch, OrgRecord};
    use async_trait::async_trait;
    use chrono::{DateTime, Utc};
    use std::sync::Mutex;
    use tokio::sync::Semaphore;

    /// Answers with the first letter of the org's id, one batch for each permit; the org "bad" is damaged, a value of "large" is refused,
    /// and from "down" on the database is away.
    struct Scripted {
        permits: Semaphore,
        batches: Mutex<Vec<usize>>,
    }

    impl Scripted {
        fn new(permits: usize) -> Arc<Self> {
            Arc::new(Scripted { permits: Semaphore::new(permits), batches: Mutex::default() })
        }
    }

    #[async_trait]
    impl OrgStore for Scripted {
        async fn upsert_orgs(&self, batch: &[OrgUpsert]) -> Result<Vec<UpsertOutcome>, StoreError> {
            self.permits.acquire().await.expect("open").forget();
            self.batches.lock().expect("not poisoned").push(batch.len());
            assert!(batch.iter().all(|upsert| upsert.patch.product_org_id != "panic"), "as asked for");
            let has = |id: &str| batch.iter().any(|upsert| upsert.patch.product_org_id == id);
            if has("bad") {
                return Err(StoreError::Corrupt("bad".into()));
            }
            if has("large") {
                return Err(StoreError::Refused("too large".into()));
            }
            if has("down") {
                return Err(StoreError::Database("away".into()));
            }
            let number = |upsert: &OrgUpsert| i64::from(upsert.patch.product_org_id.as_bytes()[0]);
            let outcome = |upsert: &OrgUpsert| match upsert.key.revision {
                1 => UpsertOutcome::Done(Upserted {
                    target_org_id: number(upsert),
                    is_new: true,
                    stale: false,
                    repeated: false,
                }),
                _ => UpsertOutcome::KeyChanged,
            };
            Ok(batch.iter().map(outcome).collect())
        }

        async fn org(&self, _: &str) -> Result<Option<OrgRecord>, StoreError> {
            Ok(None)
        }

        async fn orgs(&self, _: Option<&str>, _: u32) -> Result<Vec<OrgRecord>, StoreError> {
            Ok(Vec::new())
        }

        async fn history(&self, _: &str, _: Option<i64>, _: u32) -> Result<Vec<OrgChange>, StoreError> {
            Ok(Vec::new())
        }

        async fn forget_answers(&self, _: DateTime<Utc>, _: u32) -> Result<u64, StoreError> {
            Ok(0)
        }

        async fn forget_history(&self, _: DateTime<Utc>, _: i64) -> Result<Option<i64>, StoreError> {
            Ok(None)
        }

        async fn probe(&self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    /// A writer on the test's own thread, so that what is queued first does not depend on the machine.
    fn started(store: Arc<dyn OrgStore>, requests: usize, many: usize) -> OrgWriter {
        let (writer, work) = OrgWriter::with_queue(store, requests, many);
        tokio::spawn(work);
        writer
    }

    fn upsert(id: &str) -> OrgUpsert {
        let patch = OrgPatch { product_org_id: id.to_owned(), ..OrgPatch::default() };
        OrgUpsert {
            patch,
            key: KeyUse { id: "k".into(), revision: 1 },
            request_id: "r".into(),
            at: DateTime::UNIX_EPOCH,
            event_at: None,
            idempotency_id: None,
        }
    }

    fn nothing() -> Arc<Share> {
        Arc::new(Memory::new(0).share())
    }

    #[tokio::test]
    async fn what_is_queued_is_written_together() {
        let store = Scripted::new(1);
        let writer = started(Arc::clone(&store) as Arc<dyn OrgStore>, QUEUE, QUEUE_MANY);
        // One thread: all three are queued before the writer gets its turn.
        let results =
            futures_util::future::join_all(["a", "b", "c"].map(|id| writer.write(vec![upsert(id)], nothing()))).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(*store.batches.lock().expect("not poisoned"), [3]);
    }

    #[tokio::test]
    async fn a_damaged_org_fails_alone() {
        let writer = started(Scripted::new(100), QUEUE, QUEUE_MANY);
        let results =
            futures_util::future::join_all(["a", "bad", "c"].map(|id| writer.write(vec![upsert(id)], nothing()))).await;
        assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert!(matches!(results[1], Err(WriteError::Refused(_))), "{results:?}");
    }

    /// Writes one request for each id, all in one batch, and says which were written.
    async fn written(store: &Arc<Scripted>, ids: &[&str]) -> Vec<Result<i64, WriteError>> {
        let writer = started(Arc::clone(store) as Arc<dyn OrgStore>, QUEUE, QUEUE_MANY);
        let results = futures_util::future::join_all(ids.iter().map(|id| writer.write(vec![upsert(id)], nothing())));
        results.await.into_iter().map(|result| result.map(|done| done[0].target_org_id)).collect()
    }

    #[tokio::test]
    async fn a_request_that_is_refused_costs_few_transactions() {
        for (bad, at) in [("large", 0), ("large", 300), ("bad", 511), ("panic", 77)] {
            let store = Scripted::new(10_000);
            let mut ids = vec!["a"; BATCH];
            ids[at] = bad;
            let results = written(&store, &ids).await;
            for (place, result) in results.iter().enumerate() {
                match place == at {
                    true => assert!(matches!(result, Err(WriteError::Refused(_))), "{bad}: {result:?}"),
                    false => assert_eq!(*result, Ok(i64::from(b'a')), "{bad}: {place}"),
                }
            }
            let batches = store.batches.lock().expect("not poisoned").clone();
            assert_eq!((batches[0], batches.len()), (BATCH, 1 + 2 * BATCH.ilog2() as usize), "{bad}: {batches:?}");
        }
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_not_asked_again_for_each_request() {
        let store = Scripted::new(10_000);
        let results = written(&store, &["a", "bad", "c", "down", "e", "f", "g", "h"]).await;
        let away = |result: &Result<i64, WriteError>| matches!(result, Err(WriteError::Store(_)));
        assert_eq!(
            (&results[0], results[2..].iter().filter(|result| away(result)).count()),
            (&Ok(97), 6),
            "{results:?}"
        );
        assert!(matches!(results[1], Err(WriteError::Refused(_))), "{results:?}");
        // All, the first four, its halves down to "bad", and the two that end it.
        assert_eq!(*store.batches.lock().expect("not poisoned"), [8, 4, 2, 1, 1, 2]);
    }

    #[tokio::test]
    async fn a_full_queue_says_busy() {
        let store = Scripted::new(0);
        let writer = started(Arc::clone(&store) as Arc<dyn OrgStore>, 2, 3);
        let writes =
            futures_util::future::join_all(["a", "b", "c"].map(|id| writer.write(vec![upsert(id)], nothing())));
        let (results, ()) = tokio::join!(writes, async { store.permits.add_permits(10) });
        assert_eq!(results[2], Err(WriteError::Busy));
        assert!(results[0].is_ok() && results[1].is_ok(), "{results:?}");
    }

    #[tokio::test]
    async fn a_requests_updates_are_answered_together() {
        let store = Scripted::new(100);
        let writer = started(Arc::clone(&store) as Arc<dyn OrgStore>, QUEUE, QUEUE_MANY);
        let write = |ids: &[&str]| writer.write(ids.iter().map(|id| upsert(id)).collect(), nothing());
        let (two, none, one) = tokio::join!(write(&["a", "b"]), write(&[]), write(&["c"]));
        let orgs = |result: Result<Vec<Upserted>, WriteError>| -> Vec<i64> {
            result.expect("written").iter().map(|done| done.target_org_id).collect()
        };
        let [a, b, c, d] = *b"abcd";
        let [a, b, c, d] = [a, b, c, d].map(i64::from);
        assert_eq!([two, none, one].map(orgs), [vec![a, b], vec![], vec![c]]);
        assert_eq!(*store.batches.lock().expect("not poisoned"), [3], "in one transaction");
        // A damaged org fails its request; what stands beside it is written all the same.
        let (damaged, other) = tokio::join!(write(&["bad", "a", "b"]), write(&["d", "c"]));
        assert!(damaged.is_err(), "{damaged:?}");
        assert_eq!(orgs(other), [d, c], "each has its own answer");
        assert_eq!(store.batches.lock().expect("not poisoned")[1..], [5, 3, 2], "no request is taken apart");
    }

    #[tokio::test]
    async fn a_changed_key_fails_its_request_and_gives_it_back() {
        let writer = started(Scripted::new(100), QUEUE, QUEUE_MANY);
        let key = KeyUse { id: "k".into(), revision: 2 };
        let changed: Vec<OrgUpsert> = ["a", "b"].map(|id| OrgUpsert { key: key.clone(), ..upsert(id) }).into();
        let (first, second, third) = tokio::join!(
            writer.write(vec![upsert("c")], nothing()),
            writer.write(changed.clone(), nothing()),
            writer.write(vec![upsert("d")], nothing())
        );
        assert!(first.is_ok() && third.is_ok(), "{first:?} {third:?}");
        assert_eq!(second, Err(WriteError::KeyChanged(changed)));
    }

    #[tokio::test]
    async fn many_updates_wait_within_their_share() {
        let store = Scripted::new(0);
        let writer = started(Arc::clone(&store) as Arc<dyn OrgStore>, 10, 3);
        let write = |ids: &[&str]| writer.write(ids.iter().map(|id| upsert(id)).collect(), nothing());
        let writes = async { tokio::join!(write(&["a", "b"]), write(&["c", "d"]), write(&["e"])) };
        let ((first, second, single), ()) = tokio::join!(writes, async { store.permits.add_permits(10) });
        assert_eq!((first.is_ok(), second, single.is_ok()), (true, Err(WriteError::Busy), true));
        assert!(write(&["c", "d"]).await.is_ok(), "a share is given back");
    }

    #[tokio::test]
    async fn a_fault_in_a_batch_does_not_end_the_writer() {
        let writer = started(Scripted::new(100), QUEUE, QUEUE_MANY);
        let (one, other) =
            tokio::join!(writer.write(vec![upsert("panic")], nothing()), writer.write(vec![upsert("a")], nothing()));
        assert!(matches!((one, other), (Err(WriteError::Refused(_)), Ok(_))), "nor fail what stands beside it");
        assert!(writer.write(vec![upsert("a")], nothing()).await.is_ok());
    }

    #[tokio::test]
    async fn large_requests_share_no_transaction() {
        let store = Scripted::new(100);
        let writer = started(Arc::clone(&store) as Arc<dyn OrgStore>, 10, 100_000);
        let memory = Memory::new(1 << 30);
        let large = || {
            let mut share = memory.share();
            assert!(share.grow_to(BATCH_BYTES / 2));
            Arc::new(share)
        };
        let write = |share: Arc<Share>| writer.write(vec![upsert("a")], share);
        let (one, two, three) = tokio::join!(write(large()), write(large()), write(nothing()));
        assert!(one.is_ok() && two.is_ok() && three.is_ok());
        let many = || writer.write(vec![upsert("a"); BATCH_UPDATES - 1], nothing());
        let (one, two, three) = tokio::join!(many(), many(), many());
        assert!(one.is_ok() && two.is_ok() && three.is_ok());
        let batches = store.batches.lock().expect("not poisoned").clone();
        assert_eq!(batches, [2, 1, 2 * (BATCH_UPDATES - 1), BATCH_UPDATES - 1]);
    }

    #[tokio::test]
    async fn memory_is_held_until_it_is_written_though_nobody_waits() {
        let store = Scripted::new(0);
        let writer = started(Arc::clone(&store) as Arc<dyn OrgStore>, QUEUE, QUEUE_MANY);
        let memory = Memory::new(64 * 1024);
        let mut share = memory.share();
        assert!(share.grow_to(64 * 1024));
        {
            let mut write = std::pin::pin!(writer.write(vec![upsert("a")], Arc::new(share)));
            assert!(write.as_mut().now_or_never().is_none());
        }
        assert!(!memory.share().grow_to(1), "what is queued counts");
        store.permits.add_permits(10);
        assert!(writer.write(vec![upsert("b")], nothing()).await.is_ok());
        assert!(memory.share().grow_to(64 * 1024), "what is written does not");
    }
}
