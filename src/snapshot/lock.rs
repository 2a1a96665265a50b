//! One run of a job at a time on this machine.

use super::{SnapshotError, files};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// Held while a run of the job is on; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct JobLock {
    _file: File,
}

impl JobLock {
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
        match file.try_lock() {
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
