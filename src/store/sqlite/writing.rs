//! Transactions that write.
//!
//! sqlx's own count the transactions that are open. Where SQLite has rolled one back by itself, as it may on a full disk, the count
//! stays, and every BEGIN from then on fails until the process ends.

use super::checkpoint::Checkpoints;
use super::rows::Bound;
use super::{SqliteStore, StoreError};
use futures_util::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteRow;
use sqlx::{Either, Executor, Sqlite, SqliteConnection};
use std::ops::{Deref, DerefMut};

/// A transaction that has the write lock. Dropped, all of it is undone.
pub(super) struct Writing {
    connection: PoolConnection<Sqlite>,
    checkpoints: Checkpoints,
    open: bool,
}

impl SqliteStore {
    pub(super) async fn begin(&self) -> Result<Writing, StoreError> {
        let mut writing = self.writing().await?;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *writing).await?;
        Ok(writing)
    }

    /// Counts as open before its BEGIN: where that fails, or its caller is gone before it is answered, nobody knows.
    async fn writing(&self) -> Result<Writing, StoreError> {
        Ok(Writing { connection: self.writer.acquire().await?, checkpoints: self.checkpoints.clone(), open: true })
    }

    /// The same in one call with what is read at its beginning: `query` is a BEGIN and what follows it. The rows of each of its
    /// statements.
    pub(super) async fn begin_with<const N: usize>(
        &self,
        query: Bound,
    ) -> Result<(Writing, [Vec<SqliteRow>; N]), StoreError> {
        let mut writing = self.writing().await?;
        let mut rows = std::array::from_fn(|_| Vec::new());
        let mut statement = 0;
        let mut steps = (&mut *writing.connection).fetch_many(query);
        while let Some(step) = steps.try_next().await? {
            match (step, rows.get_mut(statement)) {
                (Either::Right(row), Some(rows)) => rows.push(row),
                (Either::Right(_), None) => {}
                (Either::Left(_), _) => statement += 1,
            }
        }
        drop(steps);
        Ok((writing, rows))
    }
}

impl Writing {
    /// Once this returns, it is on the disk.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        sqlx::query("COMMIT").execute(&mut *self.connection).await?;
        self.open = false;
        self.checkpoints.after_commit(&mut self.connection).await;
        Ok(())
    }

    /// As dropping it, but the connection is kept.
    pub(super) async fn undo(mut self) -> Result<(), StoreError> {
        sqlx::query("ROLLBACK").execute(&mut *self.connection).await?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // In whatever state it is: SQLite undoes what a connection has not committed, and the pool opens another.
        if self.open {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for Writing {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}
