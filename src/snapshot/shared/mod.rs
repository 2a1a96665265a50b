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
use crate::objects::{Condition, Fault, Objects, Version};
use chrono::{DateTime, Utc};
use std::cmp::Ordering;
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

    /// Writes, reads and removes a small object of this name, which no job has. What time it is by the store, as far as its answers say so.
    ///
    /// # Errors
    /// A store that cannot be reached, or does not let us.
    pub fn try_out(&self, name: &str) -> Result<Option<DateTime<Utc>>, SnapshotError> {
        let path = self.path(".doctor", name);
        let fault = |fault: Fault| self.fault(&path, &fault);
        self.objects.put_if(&path, name.as_bytes(), Condition::Absent).map_err(fault)?;
        let read = self.objects.get(&path);
        self.objects.remove(&path).map_err(fault)?;
        match read.map_err(fault)? {
            Some((content, _)) if content == name.as_bytes() => Ok(self.objects.now()),
            _ => {
                Err(SnapshotError::damaged(PathBuf::from(self.objects.shown(&path)), "it is not what was just written"))
            }
        }
    }

    /// The manifest of a job.
    fn current(&self, job: &str) -> Result<Option<(Manifest, Version)>, SnapshotError> {
        let path = self.path(job, Manifest::FILE);
        let Some((text, version)) = self.objects.get(&path).map_err(|fault| self.fault(&path, &fault))? else {
            return Ok(None);
        };
        let place = PathBuf::from(self.objects.shown(&path));
        let manifest = Manifest::unsealed(&text, &place)?;
        if manifest.job != job {
            return Err(SnapshotError::damaged(place, format!("it is of job `{}`", manifest.job)));
        }
        Ok(Some((manifest, version)))
    }

    /// Of a file of a job.
    fn path(&self, job: &str, name: &str) -> String {
        match self.folder.as_str() {
            "" => format!("{job}/{name}"),
            folder => format!("{folder}/{job}/{name}"),
        }
    }

    fn fault(&self, path: &str, fault: &Fault) -> SnapshotError {
        let hint = fault.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        SnapshotError::Shared { place: self.objects.shown(path), problem: format!("{}{hint}", fault.message) }
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
        match (sharing.shared.current(job)?, mine) {
            (Some((theirs, version)), mine) => {
                let is_other = mine.as_ref() != Some(&theirs);
                if let Some(mine) = mine.as_ref().filter(|_| is_other) {
                    sharing.refuse_if_diverged(dir, mine, &theirs)?;
                }
                // Before the copy: whether it is of the store's history must not hang on where a kill falls.
                sharing.mark(dir)?;
                if is_other {
                    sharing.fetch(dir, mine.as_ref(), &theirs)?;
                }
                sharing.set(version);
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
                tracing::info!(
                    event = "snapshot_shared",
                    job = self.job,
                    snapshot = mine.run,
                    "the snapshot of this machine is shared from now on"
                );
                self.publish(dir, &mine)
            }
            _ => Ok(()),
        }
    }

    /// To take over a state that knows nothing of what was sent from here would leave the destination with values that nobody compares
    /// with: a bucket that was restored from a backup, runs here while the setting was off, a machine that had its own snapshot.
    fn refuse_if_diverged(&self, dir: &Path, mine: &Manifest, theirs: &Manifest) -> Result<(), SnapshotError> {
        let goes_on = match theirs.run.cmp(&mine.run) {
            Ordering::Less => false,
            // Pinned anew.
            Ordering::Equal => true,
            // A machine that never shared here has a history of its own, whatever of it lies there.
            Ordering::Greater => self.is_marked(dir) && self.goes_on_from(&mine.run)?,
        };
        if goes_on {
            return Ok(());
        }
        Err(SnapshotError::Diverged {
            place: self.shown(&self.path(Manifest::FILE)),
            theirs: theirs.run.clone(),
            mine: mine.run.clone(),
            dir: dir.to_owned(),
        })
    }

    /// Whether the store's history has had this run. The newest runs are kept, without a gap: where an earlier one is there and this is not, it never was.
    fn goes_on_from(&self, run: &str) -> Result<bool, SnapshotError> {
        let path = self.path("");
        let runs = self.runs().map_err(|fault| self.fault(&path, &fault))?;
        Ok(runs.iter().any(|there| there == run) || !runs.iter().any(|there| there.as_str() < run))
    }

    /// Whether the local folder has what the store has. It is only looked.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn is_fresh(shared: &Shared, job: &str, dir: &Path) -> Result<bool, SnapshotError> {
        let theirs = shared.current(job)?.map(|(theirs, _)| theirs);
        Ok(theirs.is_some() && theirs == Manifest::load(dir)?)
    }

    /// Whether the store has anything of the job.
    pub fn is_there(&self) -> bool {
        self.version().is_some()
    }

    /// Whether a run's files are in the store, as its copy of the manifest, the last of them, tells.
    fn has(&self, run: &str) -> Result<bool, SnapshotError> {
        let path = self.path(&format!("{run}/{}", Manifest::FILE));
        let found = self.shared.objects.look(&path).map_err(|fault| self.fault(&path, &fault))?;
        Ok(found.is_some())
    }

    /// The runs that are complete in a store without a manifest, the newest first, as [`unclaimed`](super::unclaimed) says of the local
    /// folder. None if there is a manifest.
    ///
    /// # Errors
    /// A store that cannot be reached.
    pub fn unclaimed(&self) -> Result<Vec<String>, SnapshotError> {
        let mut found = Vec::new();
        if self.version().is_none() {
            let path = self.path("");
            for run in self.runs().map_err(|fault| self.fault(&path, &fault))?.into_iter().rev() {
                if self.has(&run)? {
                    found.push(run);
                }
            }
        }
        Ok(found)
    }

    /// The job's folder in the store, as it is shown.
    pub fn place(&self) -> PathBuf {
        PathBuf::from(self.shown(&self.path("")))
    }

    /// The runs that have a folder in the store, the oldest first.
    fn runs(&self) -> Result<Vec<String>, Fault> {
        let (_, folders) = self.shared.objects.list(&self.path(""))?;
        let names = folders.iter().map(|path| path.rsplit('/').next().unwrap_or(path).to_owned());
        let mut runs: Vec<String> = names.filter(|run| ulid::Ulid::from_string(run).is_ok()).collect();
        runs.sort();
        Ok(runs)
    }

    fn set(&self, version: Version) {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
    }

    fn version(&self) -> Option<Version> {
        self.version.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Of a file of the job.
    fn path(&self, name: &str) -> String {
        self.shared.path(&self.job, name)
    }

    fn shown(&self, path: &str) -> String {
        self.shared.objects.shown(path)
    }

    fn fault(&self, path: &str, fault: &Fault) -> SnapshotError {
        self.shared.fault(path, fault)
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

/// Notes that the local folder goes on by itself: what is published there from now on the store does not know.
///
/// # Errors
/// A folder that cannot be written.
pub(super) fn leave(dir: &Path) -> Result<(), SnapshotError> {
    let path = dir.join(MARK);
    match std::fs::remove_file(&path) {
        Ok(()) => super::files::sync_dir(dir),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(SnapshotError::io(&path)(error)),
    }
}
