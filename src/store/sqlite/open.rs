//! Opening, creating and migrating the file.

use super::SqliteStore;
use crate::store::StoreError;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlSafeStr, SqliteConnection};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

/// Embedded one by one and not by sqlx's macro, which would build SQLite a second time for the compiler's own use.
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let migration = |version, description: &'static str, sql: &'static str| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(vec![migration(
        1,
        "runs keys orgs",
        include_str!("../../../migrations/sqlite/0001_runs_keys_orgs.sql"),
    )])
});

/// How long another process that writes is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 4;

impl SqliteStore {
    /// Opens the store, creates the file (readable by its owner only) and brings its schema up to date if needed.
    ///
    /// # Errors
    /// [`StoreError::Open`] if that cannot be done, [`StoreError::Newer`] for a store of a newer version.
    pub async fn open(path: &Path) -> Result<SqliteStore, StoreError> {
        create(path)?;
        let options = options(path).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let mut connection = connect(path, &options).await?;
        if schema(path, &mut connection).await?.is_none_or(|found| found < newest()) {
            migrate(path, &mut connection).await?;
        }
        connection.close().await?;
        Ok(SqliteStore { writer: pool(1, options), readers: pool(READERS, read_only(path)) })
    }

    /// Opens the store for reading only. Nothing is created, migrated or written; writes fail. `None`: there is no file,
    /// or nothing has been stored in it yet.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Newer`], [`StoreError::Older`].
    pub async fn open_existing_readonly(path: &Path) -> Result<Option<SqliteStore>, StoreError> {
        match std::fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot_open(path, error)),
            // What is left if a process died between creating the file and filling it.
            Ok(meta) if meta.len() == 0 => return Ok(None),
            Ok(_) => {}
        }
        let options = read_only(path);
        let mut connection = connect(path, &options).await?;
        let found = schema(path, &mut connection).await?;
        connection.close().await?;
        match found {
            None => Ok(None),
            Some(found) if found < newest() => {
                Err(StoreError::Older { path: path.display().to_string(), found, known: newest() })
            }
            Some(_) => Ok(Some(SqliteStore { writer: pool(1, options.clone()), readers: pool(READERS, options) })),
        }
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).foreign_keys(true)
}

/// `query_only` and not SQLite's read-only mode: that one cannot remove the `-wal` and `-shm` files that it needs, so a
/// look at the store would leave two files behind.
fn read_only(path: &Path) -> SqliteConnectOptions {
    options(path).pragma("query_only", "ON")
}

fn pool(size: u32, options: SqliteConnectOptions) -> SqlitePool {
    // A connection to a file does not go stale: no ping before each use, no recycling.
    SqlitePoolOptions::new()
        .max_connections(size)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options)
}

fn cannot_open(path: &Path, reason: impl ToString) -> StoreError {
    StoreError::Open { path: path.display().to_string(), reason: reason.to_string() }
}

/// SQLite would create the file with the umask's rights; it holds hashes and orgs. Its side files inherit the rights.
fn create(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(cannot_open(path, "its folder does not exist; create it, or give another one with --home"))
        }
        Err(error) => Err(cannot_open(path, error)),
    }
}

/// The first switch to WAL needs the file for itself and does not honour the busy time-out, so two processes that start
/// together on a new file would fail each other.
async fn connect(path: &Path, options: &SqliteConnectOptions) -> Result<SqliteConnection, StoreError> {
    const PAUSE: Duration = Duration::from_millis(50);
    let mut left = BUSY_TIMEOUT;
    loop {
        match options.connect().await {
            Ok(connection) => return Ok(connection),
            Err(error) if is_busy(&error) && !left.is_zero() => {
                tokio::time::sleep(PAUSE).await;
                left = left.saturating_sub(PAUSE);
            }
            Err(error) => return Err(cannot_open(path, StoreError::from(error))),
        }
    }
}

/// SQLITE_BUSY is 5; the extended codes have it in their low byte.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code()).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

fn newest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The schema's version; `None` before the first migration.
async fn schema(path: &Path, connection: &mut SqliteConnection) -> Result<Option<i64>, StoreError> {
    let (tables,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| cannot_open(path, StoreError::from(error)))?;
    if tables == 0 {
        return Ok(None);
    }
    let (found,): (Option<i64>,) =
        sqlx::query_as("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut *connection).await?;
    match found {
        Some(found) if found > newest() => {
            Err(StoreError::Newer { path: path.display().to_string(), found, known: newest() })
        }
        found => Ok(found),
    }
}

/// In one transaction that takes the write lock first, so that of two processes that start together one migrates and the
/// other finds it done.
async fn migrate(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    MIGRATIONS
        .run(&mut *transaction)
        .await
        .map_err(|error| cannot_open(path, format!("its schema cannot be brought up to date: {error}")))?;
    Ok(transaction.commit().await?)
}
