//! `held.json`: what a run that a guard holds would publish, until somebody decides.
//!
//! Always holds: nobody but the decision reads it; what is published by it rests on what is known *now*, or is refused: on the same published run, of which no more is
//! acknowledged than when the run was planned.

use super::manifest::{FORMAT, seal, unseal};
use super::{Manifest, Sharing, SnapshotError, files, run_folders, switch};
use crate::receipt::{Progress, Unacknowledged};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::path::Path;
use xxhash_rust::xxh3::Xxh3;

/// What a plan was compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Against {
    /// The run that was published.
    pub run: String,
    /// XXH3, 128 bits in hexadecimal digits, of which of its changes were not acknowledged.
    pub known: String,
}

impl Against {
    /// A snapshot as it is known by now.
    pub fn new(manifest: &Manifest, progress: &Progress) -> Self {
        let mut hash = Xxh3::new();
        for seq in 0..manifest.changes.rows {
            hash.update(&[match progress.unacknowledged(seq) {
                None => 0,
                Some(Unacknowledged::NotApplied) => 1,
                Some(Unacknowledged::MaybeApplied) => 2,
            }]);
        }
        Against { run: manifest.run.clone(), known: format!("{:032x}", hash.digest128()) }
    }
}

/// A held run's files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    format: u32,
    /// What it was compared with; `None`: nothing was published.
    pub against: Option<Against>,
    /// What it would publish; the time is that at which it was held.
    pub manifest: Manifest,
}

impl Held {
    /// The file's name.
    pub const FILE: &'static str = "held.json";

    pub(super) fn new(manifest: Manifest, against: Option<Against>) -> Self {
        Held { format: FORMAT, against, manifest }
    }

    /// What a run of the job of this snapshot folder is held with; `None`: there is nothing of it.
    ///
    /// # Errors
    /// A file that is damaged or cannot be read.
    pub fn load(dir: &Path, run: &str) -> Result<Option<Self>, SnapshotError> {
        let path = dir.join(run).join(Self::FILE);
        let held: Held = match fs::read(&path) {
            Ok(text) => unseal(&text, &path)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SnapshotError::io(path)(error)),
        };
        match held.manifest.run == run {
            true => Ok(Some(held)),
            false => Err(SnapshotError::damaged(path, format!("it is of run {}", held.manifest.run))),
        }
    }

    pub(super) fn write(&self, dir: &Path) -> Result<(), SnapshotError> {
        let folder = dir.join(&self.manifest.run);
        let path = folder.join(Self::FILE);
        let text = seal(self).map_err(|e| SnapshotError::damaged(&path, e))?;
        let mut file = fs::File::create(&path).map_err(SnapshotError::io(&path))?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(SnapshotError::io(&path))?;
        failpoint!("held.written");
        files::sync_dir(&folder)?;
        files::sync_dir(dir)
    }

    /// Makes its files the current snapshot, as a run that was not held would have. For who holds the job's lock, and has seen that `against` still is
    /// what is known.
    ///
    /// # Errors
    /// As [`Finished::publish`](super::Finished::publish); also files that are not as they were written.
    pub fn publish(self, dir: &Path, at: DateTime<Utc>, sharing: Option<&Sharing>) -> Result<Manifest, SnapshotError> {
        let run = self.manifest.run.clone();
        let verified = super::verify(dir, &self.manifest);
        // `order.bin` is done without.
        let is_fatal = |damage: &SnapshotError| !matches!(damage, SnapshotError::Order { .. });
        let found = verified.files.into_iter().filter_map(|(_, damage)| damage).chain(verified.problems).find(is_fatal);
        if let Some(damage) = found {
            return Err(damage);
        }
        let manifest = Manifest { published_at: at, ..self.manifest };
        switch::announce(dir, &manifest, sharing)?;
        switch::take_effect(dir, &manifest, sharing)?;
        settled(dir, &run);
        Ok(manifest)
    }
}

/// Whether a run's folder waits for a decision.
pub(super) fn is_held(dir: &Path, run: &str) -> bool {
    let folder = dir.join(run);
    folder.join(Held::FILE).exists() && !folder.join(Manifest::FILE).exists()
}

/// Of a run that is published nothing is held. A file that cannot be removed says nothing.
pub(super) fn settled(dir: &Path, run: &str) {
    match fs::remove_file(dir.join(run).join(Held::FILE)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(event = "hold_not_removed", snapshot = run, %error, "held.json of a run that is published could not be removed");
        }
        _ => {}
    }
}

/// Removes what a held run has left, if it is there. For who holds the job's lock.
///
/// # Errors
/// A folder that cannot be removed.
pub fn discard(dir: &Path, run: &str) -> Result<(), SnapshotError> {
    let folder = dir.join(run);
    if !folder.join(Held::FILE).exists() {
        return Ok(());
    }
    fs::remove_dir_all(&folder).map_err(SnapshotError::io(&folder))
}

/// The same of every run but this one that is not published.
pub(super) fn discard_others(dir: &Path, run: &str) -> Result<(), SnapshotError> {
    let current = Manifest::load(dir)?.map(|manifest| manifest.run);
    let others = run_folders(dir)?.into_iter().filter(|other| other != run && Some(other) != current.as_ref());
    others.filter(|other| is_held(dir, other)).try_for_each(|other| discard(dir, &other))
}
