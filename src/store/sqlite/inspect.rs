//! A look at the file from outside.

use super::open::{BUSY_TIMEOUT, MIGRATIONS, connect, look, options, side_file};
use super::{BUSY, SqliteStore, code, words};
use crate::store::schema::newest;
use crate::store::{Inspected, StoreError};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use std::path::Path;

/// Lines of damage that are told.
const TOLD: usize = 5;

impl SqliteStore {
    pub(in crate::store) async fn inspect(path: &Path) -> Result<Option<Inspected>, StoreError> {
        if std::fs::metadata(path).is_ok_and(|meta| meta.len() == 0) || !path.exists() {
            return Ok(None);
        }
        let (way, found) = look(path).await?;
        let mut connection = connect(&way).await?;
        let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut connection).await?;
        let damage = damage(&mut connection).await;
        connection.close().await?;
        let unwritable = unwritable(path, &options(path)).await;
        let (engine, known) = (format!("SQLite {version}"), newest(&MIGRATIONS));
        Ok(Some(Inspected { engine, found, known, now: None, damage, unwritable }))
    }
}

/// Every page is read, and indexes are not compared with their tables: that takes far longer.
async fn damage(connection: &mut SqliteConnection) -> Vec<String> {
    let checked: Result<Vec<String>, _> = sqlx::query_scalar("PRAGMA quick_check(5)").fetch_all(connection).await;
    match checked {
        Ok(lines) => lines.into_iter().filter(|line| line != "ok").take(TOLD).collect(),
        Err(error) => vec![words(&error)],
    }
}

/// The lock of a writer is taken and let go of.
async fn unwritable(path: &Path, options: &SqliteConnectOptions) -> Option<String> {
    let lock = async {
        let mut connection = connect(options).await?;
        let transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        transaction.rollback().await?;
        connection.close().await
    };
    let error: sqlx::Error = lock.await.err()?;
    if code(&error) != Some(BUSY) {
        return Some(words(&error));
    }
    let holders = holders(path);
    let by = if holders.is_empty() { "another process".to_owned() } else { holders.join(", ") };
    Some(format!("{by} has it locked, and has not let go of it within {} s", BUSY_TIMEOUT.as_secs()))
}

/// The processes that have a lock for writing on the file or on the one that writers share, as far as the system tells.
#[cfg(target_os = "linux")]
fn holders(path: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt as _;
    let inodes: Vec<u64> = [path.to_owned(), side_file(path, "-shm")]
        .iter()
        .filter_map(|file| Some(std::fs::metadata(file).ok()?.ino()))
        .collect();
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let mut found: Vec<String> = Vec::new();
    for pid in writers(&locks, &inodes) {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let holder = format!("process {pid} ({})", name.trim());
        if !found.contains(&holder) {
            found.push(holder);
        }
    }
    found
}

#[cfg(not(target_os = "linux"))]
fn holders(_: &Path) -> Vec<String> {
    Vec::new()
}

/// Of lines such as `1: POSIX  ADVISORY  WRITE 1234 08:01:567 120 120`.
#[cfg(target_os = "linux")]
fn writers(locks: &str, inodes: &[u64]) -> Vec<u32> {
    let holder = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, "WRITE", pid, place, ..] = words.as_slice() else { return None };
        let inode: u64 = place.rsplit(':').next()?.parse().ok()?;
        pid.parse().ok().filter(|_| inodes.contains(&inode))
    };
    locks.lines().filter_map(holder).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn who_writes_a_file_is_read_from_the_locks_of_the_system() {
        let locks = "1: POSIX  ADVISORY  WRITE 1234 08:01:567 120 120\n2: POSIX  ADVISORY  READ  9 08:01:567 124 124\n\
                     3: FLOCK  ADVISORY  WRITE 77 08:01:568 0 EOF\n2: -> POSIX  ADVISORY  WRITE 5 08:01:567 120 120\n";
        assert_eq!(writers(locks, &[567]), [1234]);
        assert_eq!(writers(locks, &[568, 567]), [1234, 77]);
        assert!(writers(locks, &[1]).is_empty());
    }

    #[tokio::test]
    async fn a_store_that_is_damaged_locked_or_of_another_version_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nightmark.db");
        assert_eq!(SqliteStore::inspect(&path).await.unwrap(), None);
        assert!(!path.exists(), "nothing is made");
        SqliteStore::open(&path).await.unwrap().close().await;
        let well = SqliteStore::inspect(&path).await.unwrap().unwrap();
        assert!(well.found == Some(well.known) && well.damage.is_empty() && well.unwritable.is_none(), "{well:?}");
        let mut connection = connect(&options(&path)).await.unwrap();
        sqlx::query("UPDATE _sqlx_migrations SET version = 1000 WHERE version = 9")
            .execute(&mut connection)
            .await
            .unwrap();
        let newer = SqliteStore::inspect(&path).await.unwrap().unwrap();
        assert!(newer.found == Some(1000) && newer.known < 1000, "{newer:?}");
        connection.close().await.unwrap();
        // A page in the middle.
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 4096].fill(0x5a);
        std::fs::write(&path, bytes).unwrap();
        match SqliteStore::inspect(&path).await {
            Ok(Some(damaged)) => assert!(!damaged.damage.is_empty(), "{damaged:?}"),
            Ok(None) => panic!("the file is there"),
            Err(error) => assert!(error.to_string().contains("malformed"), "{error}"),
        }
    }
}
