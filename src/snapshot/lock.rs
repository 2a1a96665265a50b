//! One run of a job at a time on this machine.

use super::{SnapshotError, files};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Held while a run of the job is on; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct JobLock {
    _file: File,
}

/// How long a lock is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

impl JobLock {
    /// Whether a process holds the lock of a job's snapshot folder; `None` if that cannot be told. Writes nothing, and
    /// excludes nobody for longer than an instant.
    pub fn is_held(dir: &Path) -> Option<bool> {
        Self::is_locked(&dir.join("lock"))
    }

    /// The same of any lock file.
    pub(super) fn is_locked(path: &Path) -> Option<bool> {
        match File::open(path) {
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => Some(false),
                Err(TryLockError::WouldBlock) => Some(true),
                Err(TryLockError::Error(_)) => None,
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Some(false),
            Err(_) => None,
        }
    }

    /// Takes the lock of a job's snapshot folder, which is made if need be. `holder`: what others are told.
    ///
    /// # Errors
    /// [`SnapshotError::Busy`] if another process has it.
    pub fn take(dir: &Path, job: &str, holder: &str) -> Result<Self, SnapshotError> {
        files::create_dir(dir)?;
        Self::of(&dir.join("lock"), job, holder)
    }

    /// The same of any lock file.
    pub(super) fn of(path: &Path, job: &str, holder: &str) -> Result<Self, SnapshotError> {
        // Somebody who only looks whether it is held holds it for an instant.
        match lock(path, holder, PATIENCE).map_err(SnapshotError::io(path))? {
            Locked::Taken(file) => Ok(JobLock { _file: file }),
            Locked::Held(holder) => Err(SnapshotError::Busy { job: job.to_owned(), holder }),
        }
    }

    /// Tells whoever has the lock and can let go of it for a while ([`is_wanted`](Self::is_wanted)) that it is waited for, as long as what is
    /// returned is there.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn want(dir: &Path) -> Result<Wanted, SnapshotError> {
        let path = dir.join("wanted");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(SnapshotError::io(&path))?;
        // Who looks holds it for an instant, and no longer.
        file.lock_shared().map_err(SnapshotError::io(&path))?;
        Ok(Wanted { _file: file })
    }

    /// Whether somebody waits for the lock who has said so.
    pub fn is_wanted(dir: &Path) -> bool {
        let file = OpenOptions::new().read(true).write(true).open(dir.join("wanted"));
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }
}

/// Somebody waits for a job's lock; the system forgets it when the process ends.
#[derive(Debug)]
pub struct Wanted {
    _file: File,
}

/// What came of an attempt to lock a file.
#[derive(Debug)]
pub enum Locked {
    /// It is ours as long as this is open.
    Taken(File),
    /// Another process has it, which says this of itself.
    Held(String),
}

/// Locks a file, which is made if need be, and writes into it who has it. `patience`: so long another process is waited for.
///
/// # Errors
/// A file that cannot be made, locked or written.
pub fn lock(path: &Path, holder: &str, patience: Duration) -> io::Result<Locked> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let until = Instant::now() + patience;
    let taken = loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(patience / 50),
            other => break other,
        }
    };
    match taken {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            return Ok(Locked::Held(holder.trim().to_owned()));
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(holder.as_bytes()))?;
    Ok(Locked::Taken(file))
}

/// Who has locked a file by [`lock`], as far as that can be told. Writes nothing, and excludes nobody for longer than an instant.
pub fn who_holds(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            Some(holder.trim().to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn looking_at_a_lock_keeps_nobody_from_taking_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(JobLock::is_held(dir.path()), Some(false), "there is none yet");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let _ = JobLock::is_held(dir.path());
                    }
                });
            }
            for _ in 0..200 {
                let lock = JobLock::take(dir.path(), "orgs", "process 7");
                assert!(lock.is_ok(), "{lock:?}");
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(JobLock::is_held(dir.path()), Some(false));
    }

    #[test]
    fn whoever_waits_for_a_lock_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!JobLock::is_wanted(dir.path()), "nobody ever waited");
        let (one, other) = (JobLock::want(dir.path()).unwrap(), JobLock::want(dir.path()).unwrap());
        assert!(JobLock::is_wanted(dir.path()));
        drop(one);
        assert!(JobLock::is_wanted(dir.path()), "one of two is left");
        drop(other);
        assert!(!JobLock::is_wanted(dir.path()));
    }

    #[test]
    fn who_holds_a_lock_is_told_and_survives_being_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let _lock = JobLock::take(dir.path(), "orgs", "process 7").unwrap();
        assert_eq!(JobLock::is_held(dir.path()), Some(true));
        let busy = JobLock::take(dir.path(), "orgs", "process 8").unwrap_err().to_string();
        assert!(busy.contains("process 7"), "{busy}");
    }
}
