//! One run of a job at a time on this machine.

use super::{SnapshotError, files};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
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
        match File::open(dir.join("lock")) {
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
        let path = dir.join("lock");
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(SnapshotError::io(&path))?;
        // Somebody who only looks whether it is held holds it for an instant.
        let patience = Instant::now() + PATIENCE;
        let taken = loop {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) if Instant::now() < patience => std::thread::sleep(PATIENCE / 50),
                other => break other,
            }
        };
        match taken {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                return Err(SnapshotError::Busy { job: job.to_owned(), holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(SnapshotError::io(&path)(error)),
        }
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(holder.as_bytes()));
        written.map_err(SnapshotError::io(&path))?;
        Ok(JobLock { _file: file })
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
    fn who_holds_a_lock_is_told_and_survives_being_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let _lock = JobLock::take(dir.path(), "orgs", "process 7").unwrap();
        assert_eq!(JobLock::is_held(dir.path()), Some(true));
        let busy = JobLock::take(dir.path(), "orgs", "process 8").unwrap_err().to_string();
        assert!(busy.contains("process 7"), "{busy}");
    }
}
