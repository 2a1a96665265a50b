//! Transactions that write.
//!
//! sqlx's own count the transactions that are open. Where SQLite has rolled one back by itself, as it does on a full disk, the count stays,
//! and every BEGIN from then on fails until the process ends.

use super::checkpoint::Checkpoints;
use super::{SqliteStore, StoreError};
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection};
use std::ops::{Deref, DerefMut};

/// A transaction that has the write lock. Dropped, all of it is undone.
pub(super) struct Writing {
    connection: PoolConnection<Sqlite>,
    checkpoints: Checkpoints,
    open: bool,
}

impl SqliteStore {
    pub(super) async fn begin(&self) -> Result<Writing, StoreError> {
        let mut connection = self.writer.acquire().await?;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
        Ok(Writing { connection, checkpoints: self.checkpoints.clone(), open: true })
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
