//! A look at a store from outside, for whoever wants to know whether it is well.

use super::postgres::PostgresStore;
use super::sqlite::SqliteStore;
use super::{Place, StoreError};
use chrono::{DateTime, Utc};

/// What there is to know of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The database and its version.
    pub engine: String,
    /// The version of its schema; `None`: nothing was stored in it yet.
    pub found: Option<i64>,
    /// The version that this program makes of it.
    pub known: i64,
    /// What its server takes for the time, if it has one.
    pub now: Option<DateTime<Utc>>,
    /// What is damaged, in the database's words.
    pub damage: Vec<String>,
    /// Why it cannot be written, and by whose doing.
    pub unwritable: Option<String>,
}

impl Place {
    /// Looks at the store, also one of another version. Nothing is made, migrated or changed. `None`: there is no file yet.
    ///
    /// # Errors
    /// [`StoreError::Open`], a store that cannot be read.
    pub async fn inspect(&self) -> Result<Option<Inspected>, StoreError> {
        match self {
            Place::File(path) => SqliteStore::inspect(path).await,
            Place::Postgres(server) => PostgresStore::inspect(server).await.map(Some),
        }
    }
}
