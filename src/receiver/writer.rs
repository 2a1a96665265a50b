//! One writer for all requests: it commits whatever is queued, so that one fsync serves many.
//!
//! In: updates, each with a place for its answer. Out: the answers, after the commit.
//! Always holds: an update whose answer says so is on the disk; updates of one org are applied in the order in which they
//! were queued. There is no wait for more to come: under load the next batch gathers while the last one is written.

use crate::store::{OrgStore, OrgUpsert, StoreError, Upserted};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Updates in one transaction at most.
pub const BATCH: usize = 512;
/// Updates that wait at most; beyond this the receiver says that it is busy.
pub const QUEUE: usize = 4096;

struct Queued {
    upsert: OrgUpsert,
    answer: oneshot::Sender<Result<Upserted, String>>,
}

/// Why an update was not written. It may be sent again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// More is queued than may be.
    #[error("the queue of updates is full")]
    Busy,
    /// The store failed; nothing of the update was stored.
    #[error("{0}")]
    Store(String),
    /// The writer is gone, which only the end of the process brings about.
    #[error("the writer has stopped")]
    Stopped,
}

/// The way to the writer. A clone leads to the same one; it ends when the last is dropped and the queue is empty.
#[derive(Debug, Clone)]
pub struct OrgWriter {
    queue: mpsc::Sender<Queued>,
}

impl OrgWriter {
    /// Starts the writer as a task of the current tokio runtime.
    pub fn start(store: Arc<dyn OrgStore>) -> OrgWriter {
        Self::with_queue(store, QUEUE)
    }

    fn with_queue(store: Arc<dyn OrgStore>, size: usize) -> OrgWriter {
        let (queue, updates) = mpsc::channel(size);
        tokio::spawn(write_all(store, updates));
        OrgWriter { queue }
    }

    /// Queues an update and waits until it is on the disk. A caller that stops waiting does not take it back.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn write(&self, upsert: OrgUpsert) -> Result<Upserted, WriteError> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Queued { upsert, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => WriteError::Busy,
            mpsc::error::TrySendError::Closed(_) => WriteError::Stopped,
        })?;
        answered.await.map_err(|_| WriteError::Stopped)?.map_err(WriteError::Store)
    }
}

async fn write_all(store: Arc<dyn OrgStore>, mut updates: mpsc::Receiver<Queued>) {
    let mut queued = Vec::with_capacity(BATCH);
    while updates.recv_many(&mut queued, BATCH).await > 0 {
        let (upserts, answers): (Vec<_>, Vec<_>) = queued.drain(..).map(|q| (q.upsert, q.answer)).unzip();
        for (answer, result) in answers.into_iter().zip(write_batch(store.as_ref(), &upserts).await) {
            // A client that has gone away does not wait for its answer.
            let _ = answer.send(result);
        }
    }
}

async fn write_batch(store: &dyn OrgStore, upserts: &[OrgUpsert]) -> Vec<Result<Upserted, String>> {
    match store.upsert_orgs(upserts).await {
        Ok(done) => done.into_iter().map(Ok).collect(),
        // One org whose stored record is damaged must not take its neighbours down.
        Err(StoreError::Corrupt(_)) if upserts.len() > 1 => {
            let mut results = Vec::with_capacity(upserts.len());
            for upsert in upserts {
                results.push(write_one(store, upsert).await);
            }
            results
        }
        Err(error) => vec![Err(error.to_string()); upserts.len()],
    }
}

async fn write_one(store: &dyn OrgStore, upsert: &OrgUpsert) -> Result<Upserted, String> {
    let done = store.upsert_orgs(std::slice::from_ref(upsert)).await.map_err(|error| error.to_string())?;
    done.first().copied().ok_or_else(|| "the store gave no answer".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{OrgPatch, OrgRecord};
    use async_trait::async_trait;
    use std::sync::Mutex;
    use tokio::sync::Semaphore;

    /// Answers with the update's number, one batch for each permit; the org "bad" is damaged.
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
        async fn upsert_orgs(&self, batch: &[OrgUpsert]) -> Result<Vec<Upserted>, StoreError> {
            self.permits.acquire().await.expect("open").forget();
            self.batches.lock().expect("not poisoned").push(batch.len());
            if batch.iter().any(|upsert| upsert.patch.product_org_id == "bad") {
                return Err(StoreError::Corrupt("bad".into()));
            }
            Ok(batch.iter().map(|_| Upserted { target_org_id: 7, is_new: true }).collect())
        }

        async fn org(&self, _: &str) -> Result<Option<OrgRecord>, StoreError> {
            Ok(None)
        }

        async fn orgs(&self, _: Option<&str>, _: u32) -> Result<Vec<OrgRecord>, StoreError> {
            Ok(Vec::new())
        }
    }

    fn upsert(id: &str) -> OrgUpsert {
        let patch = OrgPatch { product_org_id: id.to_owned(), ..OrgPatch::default() };
        OrgUpsert { patch, key_id: "k".into(), at: chrono::DateTime::UNIX_EPOCH }
    }

    #[tokio::test]
    async fn what_is_queued_is_written_together() {
        let store = Scripted::new(1);
        let writer = OrgWriter::start(Arc::clone(&store) as Arc<dyn OrgStore>);
        // One thread: all three are queued before the writer gets its turn.
        let results = futures_util::future::join_all(["a", "b", "c"].map(|id| writer.write(upsert(id)))).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(*store.batches.lock().expect("not poisoned"), [3]);
    }

    #[tokio::test]
    async fn a_damaged_org_fails_alone() {
        let writer = OrgWriter::start(Scripted::new(100));
        let results = futures_util::future::join_all(["a", "bad", "c"].map(|id| writer.write(upsert(id)))).await;
        assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    }

    #[tokio::test]
    async fn a_full_queue_says_busy() {
        let store = Scripted::new(0);
        let writer = OrgWriter::with_queue(Arc::clone(&store) as Arc<dyn OrgStore>, 2);
        let writes = futures_util::future::join_all(["a", "b", "c"].map(|id| writer.write(upsert(id))));
        let (results, ()) = tokio::join!(writes, async { store.permits.add_permits(10) });
        assert_eq!(results[2], Err(WriteError::Busy));
        assert!(results[0].is_ok() && results[1].is_ok(), "{results:?}");
    }
}
