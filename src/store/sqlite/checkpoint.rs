//! Folding the log (`-wal`) back into the database, beside the writer.
//!
//! SQLite does it by itself within the commit that passes a number of pages, and that commit then waits for as many writes all over the
//! file and for two more fsyncs. Here another connection does the bulk while commits go on; then the writer's connection
//! folds the little that was added meanwhile, and the log begins anew. So few commits wait, for a short time each, and the log is bounded.

use sqlx::SqliteConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Pages of the log at which SQLite itself folds it within a commit: its bound, should the way beside not get through (128 MiB).
pub(super) const BOUND: u32 = 32_768;
/// Pages that are not folded yet from which on it is done (16 MiB).
const FOLD: i64 = 4096;
/// Commits between two looks.
const EVERY: u32 = 16;

/// The way beside the writer. A clone shares it.
#[derive(Debug, Clone)]
pub(super) struct Checkpoints {
    beside: SqlitePool,
    writer: SqlitePool,
    commits: Arc<AtomicU32>,
    running: Arc<AtomicBool>,
}

impl Checkpoints {
    /// Opens nothing yet.
    pub(super) fn new(options: SqliteConnectOptions, writer: &SqlitePool) -> Checkpoints {
        let beside = super::open::pool(1, options);
        Checkpoints { beside, writer: writer.clone(), commits: Arc::default(), running: Arc::default() }
    }

    /// To be called after a commit, on its connection: now and then looks how long the log is, and has it folded.
    pub(super) async fn after_commit(&self, connection: &mut SqliteConnection) {
        if !self.commits.fetch_add(1, Ordering::Relaxed).is_multiple_of(EVERY) || self.running.load(Ordering::Relaxed) {
            return;
        }
        let looked: Result<(i64, i64, i64), _> =
            sqlx::query_as("PRAGMA wal_checkpoint(NOOP)").fetch_one(connection).await;
        let waits = looked.is_ok_and(|(_, pages, folded)| pages - folded >= FOLD);
        if waits && !self.running.swap(true, Ordering::Relaxed) {
            tokio::spawn(self.clone().fold());
        }
    }

    async fn fold(self) {
        for pool in [&self.beside, &self.writer] {
            // PASSIVE waits for nobody. What it cannot do now, the next one does; at the latest SQLite at its bound.
            if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(pool).await {
                tracing::debug!(event = "log_not_folded", %error, "the log of the state store was not folded into it");
            }
        }
        self.running.store(false, Ordering::Relaxed);
    }

    pub(super) async fn close(&self) {
        self.beside.close().await;
    }
}

#[cfg(test)]
mod tests {
    use crate::store::sqlite::SqliteStore;
    use crate::store::{RunRecord, RunStore};
    use std::time::Duration;

    #[tokio::test]
    async fn a_long_log_is_folded_while_the_store_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&dir.path().join("nightmark.db")).await.unwrap();
        let at = chrono::DateTime::UNIX_EPOCH;
        let run = |number: u32| RunRecord {
            // Some pages each.
            reason: Some("x".repeat(64 * 1024)),
            ..RunRecord::new(&format!("r{number:04}"), "a", at)
        };
        let folded = async || {
            let looked: (i64, i64, i64) =
                sqlx::query_as("PRAGMA wal_checkpoint(NOOP)").fetch_one(&store.writer).await.unwrap();
            looked.2
        };
        let mut number = 0;
        // No more than SQLite itself would let it become; the rest of the time is for the task beside.
        while folded().await == 0 {
            number += 1;
            assert!(number < 1500, "it was never folded");
            store.put_run(&run(number), at).await.unwrap();
            tokio::time::sleep(Duration::from_micros(1)).await;
        }
        assert_eq!(store.runs(None, 10_000).await.unwrap().len(), number as usize);
        store.close().await;
    }
}
