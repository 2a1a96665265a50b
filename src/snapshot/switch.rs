//! The rename that makes a run's files the current snapshot.

use super::{Manifest, Sharing, SnapshotError, files, held, run_folders, shared};
use std::fs;
use std::io::Write;
use std::path::Path;

/// Published runs that are kept, the current one included.
const KEPT: usize = 3;

/// Everything before the rename: the copy of the manifest, the folders' entries, and the shared snapshot, if there is one. Every file that the manifest
/// names is durable.
pub(super) fn announce(dir: &Path, manifest: &Manifest, sharing: Option<&Sharing>) -> Result<(), SnapshotError> {
    let folder = dir.join(&manifest.run);
    // A copy stays with the files, so that the run can be read when it is no longer the current one.
    manifest.write(&folder.join(Manifest::FILE))?;
    failpoint!("manifest.copied");
    files::sync_dir(&folder)?;
    if !dir.join(Manifest::FILE).exists() {
        // Another process may have made these folders and been killed before their entries were durable.
        dir.ancestors().skip(1).take(2).try_for_each(files::sync_dir)?;
    }
    // The folder's own entry must be there before a manifest refers to it.
    files::sync_dir(dir)?;
    match sharing {
        Some(sharing) => sharing.publish(dir, manifest),
        None => shared::leave(dir),
    }
}

/// The rename, and what it makes superfluous.
pub(super) fn take_effect(dir: &Path, manifest: &Manifest, sharing: Option<&Sharing>) -> Result<(), SnapshotError> {
    let before = Manifest::load(dir).ok().flatten().map(|manifest| manifest.run);
    manifest.store(dir)?;
    failpoint!("retire.before");
    retire(dir, before.as_deref(), &manifest.run);
    if let Some(sharing) = sharing {
        sharing.retire(before.as_deref(), &manifest.run);
    }
    Ok(())
}

impl Manifest {
    /// Makes this the current manifest, by one rename.
    pub(super) fn store(&self, dir: &Path) -> Result<(), SnapshotError> {
        let path = dir.join(Self::FILE);
        let draft = dir.join("manifest.json.new");
        self.write(&draft)?;
        failpoint!("manifest.before_rename");
        fs::rename(&draft, &path).map_err(SnapshotError::io(&path))?;
        failpoint!("manifest.renamed");
        files::sync_dir(dir)
    }

    /// Writes the file. Its name is durable only once its folder is.
    pub(super) fn write(&self, path: &Path) -> Result<(), SnapshotError> {
        let text = self.sealed().map_err(|e| SnapshotError::damaged(path, e))?;
        let mut file = fs::File::create(path).map_err(SnapshotError::io(path))?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(SnapshotError::io(path))
    }
}

/// Of all runs that have a folder, in order, those that need none any more.
pub(super) fn to_retire(mut runs: Vec<String>, before: Option<&str>, current: &str) -> Vec<String> {
    runs.retain(|run| run.as_str() < current);
    // What is between the two was never published, and cannot be any more: it would have had to begin from `before` or earlier, since a run's id
    // is later than that of the run it began from.
    let left = runs.split_off(runs.partition_point(|run| before.is_some_and(|before| run.as_str() <= before)));
    runs.truncate(runs.len().saturating_sub(KEPT - 1));
    runs.extend(left);
    runs
}

/// Removes all but the newest published runs, and what runs that were killed have left since `before`, the run that was
/// current until now. A folder that cannot be removed is tried again next time.
pub(super) fn retire(dir: &Path, before: Option<&str>, current: &str) {
    let Ok(runs) = run_folders(dir) else { return };
    // What a run that was held would have published rests on an earlier snapshot than the one that is there now.
    let held: Vec<String> =
        runs.iter().filter(|run| run.as_str() < current && held::is_held(dir, run)).cloned().collect();
    // An approval that was killed right after its publication.
    runs.iter().filter(|run| run.as_str() < current && !held.contains(run)).for_each(|run| held::settled(dir, run));
    let published = runs.into_iter().filter(|run| !held.contains(run)).collect();
    for run in to_retire(published, before, current).into_iter().chain(held) {
        failpoint!("retire.folder");
        if let Err(error) = fs::remove_dir_all(dir.join(&run)) {
            tracing::warn!(event = "snapshot_not_removed", snapshot = run, %error, "an old snapshot could not be removed");
        }
    }
}
