//! A snapshot in an object store, where the daemons that run a job in turn share it.
//!
//! In: the store, a job's local folder, a manifest to publish. Out: the local folder as the store has it ([`Sharing::begin`]); the
//! manifest in the store ([`Sharing::publish`]), or the word that another daemon was there first.
//! Always holds: the store has the truth, the local folder a copy; a run becomes visible by one conditional write of `manifest.json`, so that of
//! two daemons that began from the same state one publishes, and the other learns of it before it has sent anything; what comes from the
//! store is checked against its manifest before it counts. Clocks do not matter.
//! Deliberately absent: who runs a job when; receipts, which the state store has.
//!
//! ```text
//! PREFIX/JOB/manifest.json        as in the local folder, and RUN/…
//! PREFIX/JOB/conditions           shows that the store keeps the conditions of writes
//! ```

mod fetch;
mod publish;

use super::{Manifest, SnapshotError};
use crate::objects::{Fault, Objects, Version};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A folder of an object store with the snapshots of jobs.
#[derive(Debug)]
pub struct Shared {
    objects: Objects,
    folder: String,
}

impl Shared {
    /// `folder`: the path in the store, without slashes around it. Nothing is asked of the store.
    pub fn new(objects: Objects, folder: &str) -> Self {
        Shared { objects, folder: folder.trim_matches('/').to_owned() }
    }
}

/// A job's shared snapshot, from the beginning of a run on. Its calls block.
#[derive(Debug)]
pub struct Sharing {
    shared: Shared,
    job: String,
    /// The version of the manifest that the local folder is up to; `None`: there is none.
    version: Mutex<Option<Version>>,
}

impl Sharing {
    /// Brings the local folder `dir` of a job to the state of the store. For who holds the job's lock.
    ///
    /// # Errors
    /// A store that cannot be reached, what is damaged there or here, a disk that cannot be written.
    pub fn begin(shared: Shared, job: &str, dir: &Path) -> Result<Self, SnapshotError> {
        let sharing = Sharing { shared, job: job.to_owned(), version: Mutex::new(None) };
        let mine = Manifest::load(dir)?;
        match (sharing.current()?, mine) {
            (Some((theirs, version)), mine) => {
                if mine.as_ref() != Some(&theirs) {
                    sharing.fetch(dir, mine.as_ref(), &theirs)?;
                }
                sharing.set(version);
                sharing.mark(dir)?;
            }
            (None, Some(mine)) if sharing.is_marked(dir) => return Err(sharing.unshared(dir, mine.run)),
            (None, _) => {}
        }
        Ok(sharing)
    }

    /// Gives the store what the local folder `dir` has, if it has nothing of the job yet.
    ///
    /// # Errors
    /// As [`begin`](Self::begin); another daemon that does the same.
    pub fn give(&self, dir: &Path) -> Result<(), SnapshotError> {
        match Manifest::load(dir)? {
            Some(mine) if self.version().is_none() => {
                tracing::info!(job = self.job, run = mine.run, "the snapshot of this machine is shared from now on");
                self.publish(dir, &mine)
            }
            _ => Ok(()),
        }
    }

    /// The manifest in the store.
    fn current(&self) -> Result<Option<(Manifest, Version)>, SnapshotError> {
        let path = self.path(Manifest::FILE);
        let Some((text, version)) = self.shared.objects.get(&path).map_err(|fault| self.fault(&path, &fault))? else {
            return Ok(None);
        };
        let place = PathBuf::from(self.shown(&path));
        let manifest = Manifest::unsealed(&text, &place)?;
        if manifest.job != self.job {
            return Err(SnapshotError::damaged(place, format!("it is of job `{}`", manifest.job)));
        }
        Ok(Some((manifest, version)))
    }

    fn set(&self, version: Version) {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
    }

    fn version(&self) -> Option<Version> {
        self.version.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Of a file of the job.
    fn path(&self, name: &str) -> String {
        match self.shared.folder.as_str() {
            "" => format!("{}/{name}", self.job),
            folder => format!("{folder}/{}/{name}", self.job),
        }
    }

    fn shown(&self, path: &str) -> String {
        self.shared.objects.shown(path)
    }

    fn fault(&self, path: &str, fault: &Fault) -> SnapshotError {
        let hint = fault.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        SnapshotError::Shared { place: self.shown(path), problem: format!("{}{hint}", fault.message) }
    }

    /// Says in the local folder where it is shared: a manifest that is gone there must not be taken for one that never was.
    fn mark(&self, dir: &Path) -> Result<(), SnapshotError> {
        if self.is_marked(dir) {
            return Ok(());
        }
        super::files::create_dir(dir)?;
        let path = dir.join(MARK);
        std::fs::write(&path, self.shown(&self.path(""))).map_err(SnapshotError::io(&path))?;
        super::files::sync(&path)?;
        super::files::sync_dir(dir)
    }

    fn is_marked(&self, dir: &Path) -> bool {
        std::fs::read_to_string(dir.join(MARK)).is_ok_and(|place| place == self.shown(&self.path("")))
    }

    fn unshared(&self, dir: &Path, run: String) -> SnapshotError {
        let copy = dir.join(Manifest::FILE);
        SnapshotError::Unshared { place: self.shown(&self.path(Manifest::FILE)), run, copy, mark: dir.join(MARK) }
    }
}

const MARK: &str = "shared";
