//! Opening, creating and migrating the file.

use super::backup;
use super::checkpoint::{self, Checkpoints};
use super::{BUSY, CANNOT_OPEN, READ_ONLY, SqliteStore, code, words};
use crate::store::StoreError;
use crate::store::schema::{as_known, migration, newest, not_newer};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

pub(super) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    Migrator::with_migrations(vec![
        migration(1, "runs keys orgs", include_str!("../../../migrations/sqlite/0001_runs_keys_orgs.sql")),
        migration(2, "delivery", include_str!("../../../migrations/sqlite/0002_delivery.sql")),
        migration(3, "pauses", include_str!("../../../migrations/sqlite/0003_pauses.sql")),
        migration(4, "forgotten", include_str!("../../../migrations/sqlite/0004_forgotten.sql")),
        migration(5, "keys", include_str!("../../../migrations/sqlite/0005_keys.sql")),
        migration(6, "orgs", include_str!("../../../migrations/sqlite/0006_orgs.sql")),
        migration(7, "fires", include_str!("../../../migrations/sqlite/0007_fires.sql")),
        migration(8, "causes", include_str!("../../../migrations/sqlite/0008_causes.sql")),
        migration(9, "alerts", include_str!("../../../migrations/sqlite/0009_alerts.sql")),
        migration(10, "backfills", include_str!("../../../migrations/sqlite/0010_backfills.sql")),
        migration(11, "admin", include_str!("../../../migrations/sqlite/0011_admin.sql")),
    ])
});

/// How long another process that writes is waited for.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 4;

impl SqliteStore {
    /// Opens the store, creates the file (readable by its owner only) and brings its schema up to date if needed, after a copy of it was made.
    ///
    /// # Errors
    /// [`StoreError::Open`] if that cannot be done, [`StoreError::Newer`] for a store of a newer version.
    pub async fn open(path: &Path) -> Result<SqliteStore, StoreError> {
        create(path)?;
        let options = options(path).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let mut connection = connect(&options).await.map_err(|error| not_open_for_writing(path, &error))?;
        let found = schema(&mut connection).await.map_err(|error| not_open_for_writing(path, &error))?;
        let known = newest(&MIGRATIONS);
        let found = not_newer(&path.to_string_lossy(), found, known)?;
        if let Some(found) = found.filter(|found| *found < known) {
            backup::before_migration(path, &mut connection, found).await?;
        }
        if found.is_none_or(|found| found < known) {
            migrate(path, &mut connection).await?;
        }
        connection.close().await?;
        Ok(SqliteStore::of(writing(options.clone()), options, read_only(path)))
    }

    /// Opens the store for reading only, also for a user who may do no more. Nothing is created, migrated or written;
    /// writes fail. `None`: there is no file, or nothing has been stored in it yet.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Newer`], [`StoreError::Older`].
    pub async fn open_existing_readonly(path: &Path) -> Result<Option<SqliteStore>, StoreError> {
        match File::open(path).and_then(|file| file.metadata()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(cannot_open(path, "this user may not read it; run nightmark as the user that owns it"));
            }
            Err(error) => return Err(cannot_open(path, error)),
            // What is left if a process died between creating the file and filling it.
            Ok(meta) if meta.len() == 0 => return Ok(None),
            Ok(_) => {}
        }
        let (options, found) = look(path).await?;
        let found = as_known(&path.to_string_lossy(), found, newest(&MIGRATIONS))?;
        Ok(found.map(|_| SqliteStore::of(options.clone(), options.clone(), options)))
    }

    fn of(writer: SqliteConnectOptions, beside: SqliteConnectOptions, readers: SqliteConnectOptions) -> SqliteStore {
        let writer = pool(1, writer);
        SqliteStore { checkpoints: Checkpoints::new(beside, &writer), writer, readers: pool(READERS, readers) }
    }
}

pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).foreign_keys(true)
}

/// `query_only` and not SQLite's read-only mode: that one cannot remove the `-wal` and `-shm` files that it needs, so a
/// look at the store would leave two files behind.
fn read_only(path: &Path) -> SqliteConnectOptions {
    options(path).pragma("query_only", "ON")
}

/// Its cache holds the pages that the orgs of a batch are on: in a large table every org is on another page, and each is needed twice,
/// to read the org and to write it (64 MiB). Each statement of `rows` has several sizes.
fn writing(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .pragma("cache_size", "-65536")
        .pragma("wal_autocheckpoint", checkpoint::BOUND.to_string())
        .statement_cache_capacity(256)
        // What is read of a batch, without a stop: SQLite's thread waits for us where it is full.
        .row_buffer_size(1024)
}

pub(super) fn pool(size: u32, options: SqliteConnectOptions) -> SqlitePool {
    // A connection to a file does not go stale: no ping before each use, no recycling.
    SqlitePoolOptions::new()
        .max_connections(size)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options)
}

pub(super) fn cannot_open(path: &Path, reason: impl ToString) -> StoreError {
    StoreError::Open { path: path.display().to_string(), reason: reason.to_string() }
}

/// The best way in which this user can read the file, and the schema found that way.
pub(super) async fn look(path: &Path) -> Result<(SqliteConnectOptions, Option<i64>), StoreError> {
    // Who may not write next to the file cannot make the `-shm` file that readers and writers share. SQLite's read-only
    // mode then does with the one that a writer has made.
    for way in [read_only(path), options(path).read_only(true)] {
        match found_by(&way).await {
            Ok(found) => return Ok((way, found)),
            Err(error) if is_for_want_of_rights(&error) => {}
            Err(error) => return Err(cannot_open(path, words(&error))),
        }
    }
    // No writer, so the file holds everything and can be read as one that does not change. If one starts meanwhile, this
    // look may fail, but nothing is harmed.
    if std::fs::metadata(side_file(path, "-wal")).is_ok_and(|wal| wal.len() > 0) {
        let reason = "another user's process is writing it, and this user may not read the files next to it; run \
                      nightmark as that user";
        return Err(cannot_open(path, reason));
    }
    let way = options(path).read_only(true).immutable(true);
    match found_by(&way).await {
        Ok(found) => Ok((way, found)),
        Err(error) => Err(cannot_open(path, words(&error))),
    }
}

async fn found_by(way: &SqliteConnectOptions) -> Result<Option<i64>, sqlx::Error> {
    let mut connection = connect(way).await?;
    let found = schema(&mut connection).await?;
    connection.close().await?;
    Ok(found)
}

fn is_for_want_of_rights(error: &sqlx::Error) -> bool {
    matches!(code(error), Some(READ_ONLY | CANNOT_OPEN))
}

pub(super) fn side_file(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn not_open_for_writing(path: &Path, error: &sqlx::Error) -> StoreError {
    if path.is_file() && is_for_want_of_rights(error) {
        return not_writable(path);
    }
    cannot_open(path, words(error))
}

fn not_writable(path: &Path) -> StoreError {
    let home = path.parent().unwrap_or(path).display();
    let reason = format!(
        "the home folder {home} is not writable by this user; run nightmark as the user that owns it, or give another \
         folder with --home"
    );
    cannot_open(path, reason)
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
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            Err(not_writable(path))
        }
        Err(error) => Err(cannot_open(path, error)),
    }
}

/// The first switch to WAL needs the file for itself and does not honour the busy time-out, so two processes that start
/// together on a new file would fail each other.
pub(super) async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    const PAUSE: Duration = Duration::from_millis(50);
    let mut left = BUSY_TIMEOUT;
    loop {
        match options.connect().await {
            Ok(connection) => return Ok(connection),
            Err(error) if code(&error) == Some(BUSY) && !left.is_zero() => {
                tokio::time::sleep(PAUSE).await;
                left = left.saturating_sub(PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}

/// The schema's version; `None` before the first migration.
pub(super) async fn schema(connection: &mut SqliteConnection) -> Result<Option<i64>, sqlx::Error> {
    let (tables,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await?;
    if tables == 0 {
        return Ok(None);
    }
    let (found,): (Option<i64>,) =
        sqlx::query_as("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut *connection).await?;
    Ok(found)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        KeyCounts, KeyStore, KeyUse, OrgPatch, OrgStore, OrgUpsert, Patch, RefusalStore, UpsertOutcome,
    };

    #[tokio::test]
    async fn a_store_of_an_earlier_schema_keeps_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nightmark.db");
        let mut connection = connect(&options(&path).create_if_missing(true)).await.unwrap();
        let earlier = MIGRATIONS.iter().filter(|migration| migration.version <= 2).cloned().collect();
        Migrator::with_migrations(earlier).run(&mut connection).await.unwrap();
        let put =
            "INSERT INTO destinations VALUES ('orgs', 'https://example.com', 'disabled', '410', 'mend it', 1, 'R')";
        sqlx::query(put).execute(&mut connection).await.unwrap();
        let put = "INSERT INTO api_keys VALUES ('key_1', 'n', 'product-orgs', 'sk_ab', zeroblob(32), NULL, '{}', 1, NULL, \
                   NULL, 2)";
        sqlx::query(put).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let store = SqliteStore::open(&path).await.unwrap();
        let record = store.destination("orgs").await.unwrap().unwrap();
        assert_eq!((record.reason.as_str(), record.paused_until), ("410", None));
        let key = store.key("key_1").await.unwrap().unwrap();
        assert_eq!((key.revision, key.previous, key.signature, key.rate), (1, None, None, None));
        assert_eq!((key.counts, key.last_used_at.is_some()), (KeyCounts::default(), true));
    }

    #[tokio::test]
    async fn orgs_of_an_earlier_schema_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nightmark.db");
        let mut connection = connect(&options(&path).create_if_missing(true)).await.unwrap();
        let earlier = MIGRATIONS.iter().filter(|migration| migration.version <= 4).cloned().collect();
        Migrator::with_migrations(earlier).run(&mut connection).await.unwrap();
        let put = "
            INSERT INTO api_keys (id, name, endpoint, prefix, key_hash, created_at) VALUES ('k', 'k', 'product-orgs', 'sk_', x'00', 1);
            INSERT INTO orgs (target_org_id, product_org_id, name, mrr, custom, created_at, updated_at, key_id)
            VALUES (7, 'ws', 'Acme', 5, '{\"a\": 1}', 1, 2, 'k')";
        sqlx::raw_sql(put).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let store = SqliteStore::open(&path).await.unwrap();
        let before = store.org("ws").await.unwrap().unwrap();
        assert_eq!((before.target_org_id, before.fields.name.as_deref(), before.event_at), (7, Some("Acme"), None));
        let at = |seconds| chrono::DateTime::from_timestamp(seconds, 0).unwrap();
        let upsert = |id: &str| OrgUpsert {
            patch: OrgPatch { product_org_id: id.to_owned(), mrr: Patch::Set(6), ..OrgPatch::default() },
            key: KeyUse { id: "k".to_owned(), revision: 1 },
            request_id: "r".to_owned(),
            at: at(10),
            // What was stored without a time is older than nothing.
            event_at: Some(at(-10)),
            idempotency_id: None,
        };
        let done = store.upsert_orgs(&[upsert("ws"), upsert("new")]).await.unwrap();
        let numbers = done.iter().map(|done| match done {
            UpsertOutcome::Done(done) => (done.target_org_id, done.is_new, done.stale),
            UpsertOutcome::KeyChanged => panic!("the key is as it was"),
        });
        assert!(numbers.eq([(7, false, false), (8, true, false)]));
        let after = store.org("ws").await.unwrap().unwrap();
        assert_eq!((after.fields.mrr, after.fields.custom), (Some(6), before.fields.custom));
        let history = store.history("ws", None, 10).await.unwrap();
        assert_eq!(history.iter().map(|change| change.number).collect::<Vec<_>>(), [1]);
    }

    /// A file of the schema before the newest, with a key in it.
    async fn earlier(path: &Path) -> i64 {
        let before = newest(&MIGRATIONS) - 1;
        let mut connection = connect(&options(path).create_if_missing(true)).await.unwrap();
        let earlier = MIGRATIONS.iter().filter(|migration| migration.version <= before).cloned().collect();
        Migrator::with_migrations(earlier).run(&mut connection).await.unwrap();
        let found = schema(&mut connection).await.unwrap().unwrap();
        let put = "INSERT INTO api_keys (id, name, endpoint, prefix, key_hash, created_at) VALUES ('kept', 'k', 'product-orgs', 'sk_', zeroblob(32), 1)";
        sqlx::query(put).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        found
    }

    /// What a copy has: its schema, and keys.
    async fn copied(path: &Path) -> (Option<i64>, i64) {
        let mut connection = connect(&options(path).read_only(true)).await.unwrap();
        let keys = sqlx::query_scalar("SELECT count(*) FROM api_keys").fetch_one(&mut connection).await.unwrap();
        (schema(&mut connection).await.unwrap(), keys)
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
        names.sort();
        names
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_file_is_copied_before_its_schema_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nightmark.db");
        SqliteStore::open(&path).await.unwrap().close().await;
        assert_eq!(names(dir.path()), ["nightmark.db"], "there is nothing to copy of a new file");
        std::fs::remove_file(&path).unwrap();
        let found = earlier(&path).await;
        // Several processes that start together: one migrates, and no copy is of what it has made.
        let opened = futures_util::future::join_all((0..6).map(|_| SqliteStore::open(&path))).await;
        for store in opened {
            let store = store.unwrap();
            assert_eq!(store.keys().await.unwrap().len(), 1);
            store.close().await;
        }
        let copy = backup::place(&path, found);
        assert_eq!(names(dir.path()), ["nightmark.db", copy.file_name().unwrap().to_str().unwrap()]);
        assert_eq!(copied(&copy).await, (Some(found), 1));
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&copy).unwrap().permissions()) & 0o777,
            0o600
        );
        // Nothing more is to be done, and no copy to be made.
        std::fs::remove_file(&copy).unwrap();
        SqliteStore::open(&path).await.unwrap().close().await;
        assert!(!copy.exists());
        assert_eq!(copied(&path).await, (Some(newest(&MIGRATIONS)), 1));
    }

    #[tokio::test]
    async fn without_a_copy_nothing_is_migrated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nightmark.db");
        let found = earlier(&path).await;
        // Something else has the name.
        std::fs::create_dir_all(backup::place(&path, found).join("x")).unwrap();
        let error = SqliteStore::open(&path).await.unwrap_err().to_string();
        assert!(error.contains("before its schema is brought up to date") && error.contains(".schema-"), "{error}");
        assert_eq!(copied(&path).await, (Some(found), 1));
        assert_eq!(names(dir.path()).len(), 2, "no draft is left");
        std::fs::remove_dir_all(backup::place(&path, found)).unwrap();
        SqliteStore::open(&path).await.unwrap().close().await;
        assert_eq!(copied(&backup::place(&path, found)).await, (Some(found), 1));
    }

    /// 2 is FULL: each commit is on the disk, also in WAL.
    #[tokio::test]
    async fn every_connection_is_as_the_promises_need_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nightmark.db");
        // A file that is new, and one that is there.
        for _ in 0..2 {
            let store = SqliteStore::open(&path).await.unwrap();
            for (name, pool, query_only) in [("writer", &store.writer, 0), ("readers", &store.readers, 1)] {
                let mut connection = pool.acquire().await.unwrap();
                let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await.unwrap();
                let mut number = async |pragma: &'static str| -> i64 {
                    sqlx::query_scalar(pragma).fetch_one(&mut *connection).await.unwrap()
                };
                let found = (number("PRAGMA synchronous").await, number("PRAGMA query_only").await);
                assert_eq!((mode.as_str(), found), ("wal", (2, query_only)), "{name}");
                assert_eq!(number("PRAGMA foreign_keys").await, 1, "{name}");
            }
            assert_eq!(store.writer.options().get_max_connections(), 1, "no second writer with other settings");
            store.close().await;
        }
    }
}
