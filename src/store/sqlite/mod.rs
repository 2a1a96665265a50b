//! The state store in one SQLite file.
//!
//! In: a path. Out: [`SqliteStore`], which is a [`RunStore`](super::RunStore), a [`KeyStore`](super::KeyStore) and an
//! [`OrgStore`](super::OrgStore).
//! Always holds: a write is on the disk when its call returns (WAL, synchronous FULL). All writes of a process go
//! through one connection and begin with `BEGIN IMMEDIATE`, so that they queue up here instead of failing with
//! SQLITE_BUSY; another process is waited for, up to 5 s. Every statement's text is constant: batches travel as one JSON
//! array that `json_each` takes apart, so a batch of any size is one prepared statement and one round trip.
//! Deliberately absent: who may write what, and when.

mod keys;
mod open;
mod orgs;
mod runs;

use super::StoreError;
use chrono::{DateTime, Utc};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, Sqlite, Transaction};

/// The state store in one SQLite file. A clone shares its connections.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Closes the connections, so that SQLite folds its `-wal` file into the database and removes it. A store that is
    /// dropped instead loses nothing; the next one that opens the file does the folding.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::Database(match error {
            // Only the database's own words: sqlx puts "error returned from database" before them.
            sqlx::Error::Database(error) => error.message().to_owned(),
            other => other.to_string(),
        })
    }
}

/// Microseconds since 1970.
fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

fn time(micros: i64) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| StoreError::Corrupt(format!("the time {micros}")))
}

fn time_at(row: &SqliteRow, column: &str) -> Result<DateTime<Utc>, StoreError> {
    time(row.try_get(column)?)
}

fn optional_time_at(row: &SqliteRow, column: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
    row.try_get::<Option<i64>, _>(column)?.map(time).transpose()
}
