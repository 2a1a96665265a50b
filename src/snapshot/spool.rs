//! The change set of a backfill, in a folder of its own beside those of runs: `snapshots/JOB/backfill-ID/`.
//!
//! It is no snapshot: no manifest names it, no publication removes it, and it is not shared. Its `manifest.json` says how to read `changes.parquet`, with
//! its checksum, and what was compared when it was made; the files of the run that it began from are none of its own.

use super::{FileEntry, JobLock, Manifest, SnapshotError, files};
use std::fs;
use std::path::{Path, PathBuf};

const PREFIX: &str = "backfill-";
/// While it is made.
const DRAFT: &str = "backfill-new-";

/// The folder of a backfill, relative to the job's.
fn folder(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// Where a backfill's change set is made; removed when it is dropped.
///
/// # Errors
/// A full or read-only disk.
pub fn spool_draft(dir: &Path) -> Result<tempfile::TempDir, SnapshotError> {
    let made = tempfile::Builder::new().prefix(DRAFT).tempdir_in(dir);
    made.map_err(SnapshotError::io(dir))
}

/// Makes a draft the change set of a backfill: from its one rename on it can be opened. `from`: what it was made by. `changes`: its file as it was
/// written. `aside`: what belongs to it besides, by name.
///
/// # Errors
/// A full or read-only disk.
pub fn spool_keep(
    dir: &Path,
    draft: tempfile::TempDir,
    id: &str,
    from: &Manifest,
    changes: FileEntry,
    aside: &[(&str, Vec<u8>)],
) -> Result<(), SnapshotError> {
    let path = draft.path().to_owned();
    files::sync(&path.join("changes.parquet"))?;
    for (name, content) in aside {
        let file = path.join(name);
        fs::write(&file, content).map_err(SnapshotError::io(&file))?;
        files::sync(&file)?;
    }
    let changes = FileEntry { path: format!("{}/changes.parquet", folder(id)), ..changes };
    Manifest { run: id.to_owned(), changes, ..from.clone() }.write(&path.join(Manifest::FILE))?;
    files::sync_dir(&path)?;
    failpoint!("backfill.written");
    let kept = draft.keep();
    let to = dir.join(folder(id));
    fs::rename(&kept, &to).map_err(SnapshotError::io(&to))?;
    files::sync_dir(dir)
}

/// How the change set of a backfill is read; `None`: it is not here.
///
/// # Errors
/// A file that is damaged or cannot be read.
pub fn spool(dir: &Path, id: &str) -> Result<Option<Manifest>, SnapshotError> {
    Manifest::load(&dir.join(folder(id)))
}

/// What belongs to it besides.
///
/// # Errors
/// A file that cannot be read.
pub fn spool_aside(dir: &Path, id: &str, name: &str) -> Result<Vec<u8>, SnapshotError> {
    let path = dir.join(folder(id)).join(name);
    fs::read(&path).map_err(SnapshotError::io(path))
}

/// Removes what backfills have left, but for these. For who has [`spool_lock`].
///
/// # Errors
/// A folder that cannot be removed.
pub fn spool_sweep(dir: &Path, keep: &[&str]) -> Result<(), SnapshotError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(SnapshotError::io(dir)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(SnapshotError::io(dir))?;
        let name = entry.file_name().into_string().unwrap_or_default();
        let is_kept = keep.iter().any(|id| name == folder(id));
        if name.starts_with(PREFIX) && !is_kept && entry.path().is_dir() {
            fs::remove_dir_all(entry.path()).map_err(SnapshotError::io(entry.path()))?;
        }
    }
    Ok(())
}

/// The one process that makes or sends a backfill of the job.
///
/// # Errors
/// [`SnapshotError::Busy`]: another does.
pub fn spool_lock(dir: &Path, job: &str) -> Result<JobLock, SnapshotError> {
    files::create_dir(dir)?;
    JobLock::of(&lock_path(dir), job, &format!("process {}, which sends its backfill", std::process::id()))
}

/// Whether a process makes or sends a backfill of the job.
pub fn spool_is_locked(dir: &Path) -> bool {
    JobLock::is_locked(&lock_path(dir)) == Some(true)
}

fn lock_path(dir: &Path) -> PathBuf {
    dir.join("backfill.lock")
}
