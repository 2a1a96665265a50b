//! The versions of a store's schema.

use super::StoreError;
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// One step. Its text is embedded by `include_str!` and not by sqlx's macro, which would build SQLite a second time for the
/// compiler's own use.
pub(super) fn migration(version: i64, description: &'static str, sql: &'static str) -> Migration {
    Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
}

/// The version that all the steps lead to.
pub(super) fn newest(migrations: &Migrator) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// What was found in a store that is opened for reading only: `None` before anything was stored in it.
///
/// # Errors
/// [`StoreError::Newer`], [`StoreError::Older`].
pub(super) fn as_known(place: &str, found: Option<i64>, known: i64) -> Result<Option<i64>, StoreError> {
    match not_newer(place, found, known)? {
        Some(found) if found < known => Err(StoreError::Older { path: place.to_owned(), found, known }),
        found => Ok(found),
    }
}

/// What was found in a store that may be brought up to date.
///
/// # Errors
/// [`StoreError::Newer`].
pub(super) fn not_newer(place: &str, found: Option<i64>, known: i64) -> Result<Option<i64>, StoreError> {
    match found {
        Some(found) if found > known => Err(StoreError::Newer { path: place.to_owned(), found, known }),
        found => Ok(found),
    }
}
