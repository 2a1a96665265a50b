//! The state store in one SQLite file.
//!
//! In: a path. Out: [`SqliteStore`], which is a [`RunStore`](super::RunStore), a [`KeyStore`](super::KeyStore) and an
//! [`OrgStore`](super::OrgStore).
//! Always holds: a write is on the disk when its call returns (WAL, synchronous FULL). All writes of a process go
//! through one connection and begin with `BEGIN IMMEDIATE`, so that they queue up here instead of failing with
//! SQLITE_BUSY; another process is waited for, up to 5 s. Every statement's text is one of few: batches travel as one JSON
//! array that `json_each` takes apart, or, where that is too slow, as values in pieces of a fixed size (`rows`).
//! Deliberately absent: who may write what, and when.

mod admin;
mod alerts;
mod backup;
mod checkpoint;
mod fires;
mod inspect;
mod keys;
mod open;
mod orgs;
mod progress;
mod refusals;
mod rows;
mod runs;
mod transfer;
mod writing;

use super::StoreError;
use super::columns::{Columns, micros, time};
use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

/// The state store in one SQLite file. A clone shares its connections.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    checkpoints: checkpoint::Checkpoints,
}

impl SqliteStore {
    /// Closes the connections, so that SQLite folds its `-wal` file into the database and removes it. A store that is
    /// dropped instead loses nothing; the next one that opens the file does the folding.
    pub async fn close(&self) {
        self.checkpoints.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// What SQLite's words mean for us.
pub(super) fn said(error: &sqlx::Error) -> StoreError {
    match code(error) {
        Some(TOO_BIG | CONSTRAINT | MISMATCH) => StoreError::Refused(words(error)),
        _ => StoreError::Database(words(error)),
    }
}

/// What went wrong and, where SQLite's own words do not say it, what to do.
fn words(error: &sqlx::Error) -> String {
    // Only the database's own words: sqlx puts "error returned from database" before them.
    let said = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    match code(error).and_then(remedy) {
        Some(remedy) => format!("{said}; {remedy}"),
        None => said,
    }
}

/// SQLite's result code, without what an extended code adds to it in the higher bytes.
fn code(error: &sqlx::Error) -> Option<u32> {
    Some(error.as_database_error()?.code()?.parse::<u32>().ok()? & 0xff)
}

const BUSY: u32 = 5;
const READ_ONLY: u32 = 8;
const IO_ERROR: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANNOT_OPEN: u32 = 14;
const TOO_BIG: u32 = 18;
const CONSTRAINT: u32 = 19;
const MISMATCH: u32 = 20;
const NOT_A_DATABASE: u32 = 26;

/// What to do about an error, where SQLite's words do not say it.
fn remedy(code: u32) -> Option<&'static str> {
    Some(match code {
        BUSY => "another process is writing it for long: try again once that has ended",
        READ_ONLY => "the home folder, or nightmark.db in it, is not writable by this user",
        // Where the shared index of the log finds no room, this is all that SQLite says.
        IO_ERROR => {
            "the disk of the home folder is full or failing: make room on the disk, or look into the system's log"
        }
        FULL => "make room on the disk of the home folder",
        CORRUPT | NOT_A_DATABASE => {
            "put a backup of nightmark.db back, or move the file away to begin with an empty one (without it, keys, \
             received orgs and past runs are gone, and what the last run sent is sent once more)"
        }
        _ => return None,
    })
}

impl Columns for SqliteRow {
    fn optional_text(&self, column: &str) -> Result<Option<&str>, StoreError> {
        Ok(self.try_get(column)?)
    }

    fn optional_integer(&self, column: &str) -> Result<Option<i64>, StoreError> {
        Ok(self.try_get(column)?)
    }

    fn optional_bytes(&self, column: &str) -> Result<Option<&[u8]>, StoreError> {
        Ok(self.try_get(column)?)
    }

    fn optional_time(&self, column: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.optional_integer(column)?.map(time).transpose()
    }

    fn flag(&self, column: &str) -> Result<bool, StoreError> {
        Ok(self.try_get(column)?)
    }
}
