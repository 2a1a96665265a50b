//! What a database's errors mean, whichever it is.

use super::{StoreError, postgres, sqlite};
use sqlx::postgres::PgDatabaseError;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let of_server = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
        match (of_server, &error) {
            (Some(said), _) => postgres::said(said),
            // SQLite knows no such errors.
            (None, sqlx::Error::Io(io)) => StoreError::Database(format!("the database server cannot be reached: {io}")),
            (None, sqlx::Error::PoolTimedOut) => StoreError::Database(
                "the database server cannot be reached, or has no connection free for this process".to_owned(),
            ),
            // Neither database was asked, or a column has something that no version of ours writes.
            (None, sqlx::Error::Encode(_)) => StoreError::Refused(error.to_string()),
            (None, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }) => StoreError::Corrupt(error.to_string()),
            (None, _) => sqlite::said(&error),
        }
    }
}
