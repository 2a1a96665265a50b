//! From the local folder to the store.

use super::Sharing;
use crate::objects::{Condition, Fault, Version, Why};
use crate::snapshot::switch::to_retire;
use crate::snapshot::{Manifest, SnapshotError};
use std::path::Path;

const CONDITIONS: &str = "conditions";

impl Sharing {
    /// Makes a manifest, whose files are in the local folder `dir`, the current one in the store, if that still has the one that this began with.
    ///
    /// # Errors
    /// [`SnapshotError::Overtaken`]: it has another. Whatever keeps files from being written; if even what the store has cannot be told
    /// then, the next [`begin`](Self::begin) tells.
    pub(in crate::snapshot) fn publish(&self, dir: &Path, manifest: &Manifest) -> Result<(), SnapshotError> {
        let upload = |name: &str| {
            let path = self.path(name);
            self.shared.objects.upload(&path, &dir.join(name)).map_err(|fault| self.fault(&path, &fault))
        };
        manifest.files().try_for_each(|entry| upload(&entry.path))?;
        // Snapshots of before the first release have no copy.
        let copy = format!("{}/{}", manifest.run, Manifest::FILE);
        if dir.join(&copy).exists() {
            upload(&copy)?;
        }
        failpoint!("shared.uploaded");
        self.conditions_hold()?;
        self.put(dir, manifest)?;
        failpoint!("shared.published");
        Ok(())
    }

    /// Writes the manifest alone.
    pub(in crate::snapshot) fn put(&self, dir: &Path, manifest: &Manifest) -> Result<(), SnapshotError> {
        let path = self.path(Manifest::FILE);
        let text = manifest.sealed().map_err(|error| SnapshotError::damaged(self.shown(&path), error))?;
        let before = self.version();
        let condition = before.as_ref().map_or(Condition::Absent, Condition::Unchanged);
        let version = match self.shared.objects.put_if(&path, &text, condition) {
            Ok(version) => version,
            Err(fault) => self.after_all(&path, &text, &fault)?,
        };
        self.set(version);
        self.mark(dir)
    }

    /// A write that went wrong may have been done: its answer was lost, or it was tried twice, and the second try met the first.
    fn after_all(&self, path: &str, text: &[u8], fault: &Fault) -> Result<Version, SnapshotError> {
        match self.shared.objects.get(path) {
            Ok(Some((found, version))) if found == text => Ok(version),
            Ok(Some((found, _))) if fault.why == Why::Changed => {
                let by = Manifest::unsealed(&found, Path::new(&self.shown(path)))?.run;
                Err(SnapshotError::Overtaken { job: self.job.clone(), by })
            }
            _ => Err(self.fault(path, fault)),
        }
    }

    /// A store that writes whatever the condition would let two daemons publish over each other.
    fn conditions_hold(&self) -> Result<(), SnapshotError> {
        let path = self.path(CONDITIONS);
        let put = |condition: Condition<'_>| match self.shared.objects.put_if(&path, CONDITIONS.as_bytes(), condition) {
            Ok(_) => Ok(true),
            Err(fault) if fault.why == Why::Changed => Ok(false),
            Err(fault) => Err(self.fault(&path, &fault)),
        };
        // The first writes it, if it is not there yet.
        put(Condition::Absent)?;
        if put(Condition::Absent)? || put(Condition::Unchanged(&Version::none()))? {
            let problem = "the store writes whatever the condition is (If-None-Match, If-Match), so that two daemons could publish over each \
                           other: share snapshots in one that keeps conditions (AWS S3, Google, Azure, MinIO, Cloudflare R2 do)";
            return Err(SnapshotError::Shared { place: self.shown(&path), problem: problem.to_owned() });
        }
        Ok(())
    }

    /// Removes the files of runs that need none any more (docs/SNAPSHOT.md). What cannot be removed is tried again next time.
    pub(in crate::snapshot) fn retire(&self, before: Option<&str>, current: &str) {
        let objects = &self.shared.objects;
        let removed = self.runs().and_then(|runs| {
            for run in to_retire(runs, before, current) {
                let (files, _) = objects.list(&self.path(&run))?;
                files.iter().try_for_each(|file| objects.remove(file.location.as_ref()))?;
            }
            Ok(())
        });
        if let Err(fault) = removed {
            tracing::warn!(
                event = "shared_snapshots_not_removed",
                job = self.job,
                problem = fault.message,
                "old shared snapshots could not be removed"
            );
        }
    }
}
