//! From the store to the local folder.

use super::Sharing;
use crate::objects::Why;
use crate::snapshot::switch::retire;
use crate::snapshot::{FileEntry, Manifest, SnapshotError, files, run_folders};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

/// Whether a file's name is one in the folder of the run.
fn is_within(run: &str, path: &str) -> bool {
    let name = path.strip_prefix(run).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    let is_name = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
    is_name && ulid::Ulid::from_string(run).is_ok()
}

/// How often a file is begun anew whose connection breaks.
const TRIES: usize = 3;

impl Sharing {
    /// Makes `theirs` the local folder's manifest, once all its files are here. `mine`: what was.
    pub(super) fn fetch(&self, dir: &Path, mine: Option<&Manifest>, theirs: &Manifest) -> Result<(), SnapshotError> {
        tracing::info!(
            event = "snapshot_fetched",
            job = self.job,
            snapshot = theirs.run,
            "the shared snapshot is newer than the copy here: it is fetched"
        );
        theirs.files().try_for_each(|entry| self.check_name(&theirs.run, entry))?;
        files::create_dir(&dir.join(&theirs.run))?;
        for entry in theirs.files() {
            // What is here already was fetched or made by a run that was killed.
            if files::verified(dir, entry).is_err() {
                self.fetch_file(dir, entry)?;
            }
        }
        let folder = dir.join(&theirs.run);
        theirs.write(&folder.join(Manifest::FILE))?;
        files::sync_dir(&folder)?;
        files::sync_dir(dir)?;
        failpoint!("shared.fetched");
        theirs.store(dir)?;
        self.sweep(dir, mine, theirs);
        // A machine that only ever looks does not fill its disk.
        retire(dir, Some(&theirs.run), &theirs.run);
        Ok(())
    }

    /// A name in a manifest leads to the folder of its run, whoever wrote it.
    fn check_name(&self, run: &str, entry: &FileEntry) -> Result<(), SnapshotError> {
        if is_within(run, &entry.path) {
            return Ok(());
        }
        let place = self.shown(&self.path(Manifest::FILE));
        Err(SnapshotError::damaged(place, format!("it names the file {:?}", entry.path)))
    }

    fn fetch_file(&self, dir: &Path, entry: &FileEntry) -> Result<(), SnapshotError> {
        let (from, to) = (self.path(&entry.path), dir.join(&entry.path));
        let part = to.with_extension("part");
        let mut tries = 0;
        loop {
            tries += 1;
            let mut file = File::create(&part).map_err(SnapshotError::io(&part))?;
            let mut sink = |piece: &[u8]| file.write_all(piece);
            match self.shared.objects.read(&from, None, 0, &mut sink) {
                Ok(written) => break written.and_then(|()| file.sync_all()).map_err(SnapshotError::io(&part))?,
                Err(fault) if fault.why == Why::Passing && tries < TRIES => {}
                Err(fault) => return Err(self.fault(&from, &fault)),
            }
        }
        fs::rename(&part, &to).map_err(SnapshotError::io(&to))?;
        files::verified(dir, entry).map(drop).map_err(|error| match error {
            // It was damaged there, or on the way.
            SnapshotError::Damaged { problem, .. } => SnapshotError::damaged(self.shown(&from), problem),
            other => other,
        })
    }

    /// Runs that began here after `mine` was published, and were not: without this they would look as if they had been, once a later one is.
    fn sweep(&self, dir: &Path, mine: Option<&Manifest>, theirs: &Manifest) {
        let after = mine.map_or("", |mine| mine.run.as_str());
        let left = run_folders(dir).unwrap_or_default();
        for run in left.iter().filter(|run| run.as_str() > after && **run != theirs.run) {
            if let Err(error) = fs::remove_dir_all(dir.join(run)) {
                tracing::warn!(event = "draft_not_removed", job = self.job, snapshot = run, %error, "an unpublished snapshot could not be removed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_leads_to_the_folder_of_its_run_only() {
        let run = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        for (run, path, is_sound) in [
            (run, "01ARZ3NDEKTSV4RRFFQ69G5FAV/base.parquet", true),
            (run, "01ARZ3NDEKTSV4RRFFQ69G5FAV/../../nightmark.db", false),
            (run, "01ARZ3NDEKTSV4RRFFQ69G5FAV/a/b", false),
            (run, "01ARZ3NDEKTSV4RRFFQ69G5FAV/", false),
            (run, "01ARZ3NDEKTSV4RRFFQ69G5FAV/.hidden", false),
            (run, "01ARZ3NDEKTSV4RRFFQ69G5FAW/base.parquet", false),
            (run, "/etc/passwd", false),
            ("..", "../base.parquet", false),
            ("", "/base.parquet", false),
        ] {
            assert_eq!(is_within(run, path), is_sound, "{run} {path}");
        }
    }
}
