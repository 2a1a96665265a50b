//! The folder of the copies: nobody else's, and gone with the extract.
//!
//! A kill leaves it. So each has a file that its owner holds a lock on as long as it lives, and whoever makes one removes those whose
//! lock is free.

use crate::source::SourceError;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

const PREFIX: &str = "nightmark-extract-";
const LOCK: &str = ".lock";

/// A folder that goes when it is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    dir: tempfile::TempDir,
    #[expect(dead_code, reason = "its lock has to live as long")]
    lock: File,
}

impl Folder {
    /// Makes one under `TMPDIR`, and removes what killed processes have left there.
    pub(super) fn new() -> Result<Self, SourceError> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let failed = |e: io::Error| {
            SourceError::new(format!("no folder for copies of the extract can be made in {}: {e}", parent.display()))
                .hint("set TMPDIR to a folder with room for the extract")
        };
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&parent).map_err(failed)?;
        // It gets its name when it is held: whoever sweeps takes a lock of that name that is free for one of a process that is gone.
        let unnamed = dir.path().join(".lock.new");
        let lock = File::create(&unnamed).map_err(failed)?;
        lock.lock().map_err(failed)?;
        std::fs::rename(&unnamed, dir.path().join(LOCK)).map_err(failed)?;
        Ok(Folder { dir, lock })
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The place for a file of this name, whose folders are made. A name that leads out of the folder is an error.
    pub(super) fn path_of(&self, name: &str) -> Result<PathBuf, SourceError> {
        let strange =
            || SourceError::new(format!("the file `{}` has a name that no file here can have", name.escape_debug()));
        if name.split('/').any(|part| matches!(part, "" | "." | ".." | LOCK) || part.contains('\0')) {
            return Err(strange());
        }
        let path = self.path().join(name);
        let parent = path.parent().ok_or_else(strange)?;
        std::fs::create_dir_all(parent)
            .map_err(|e| SourceError::new(format!("cannot make the folder {}: {e}", parent.display())))?;
        Ok(path)
    }
}

/// Removes folders whose owner is gone. What cannot be removed stays: it is somebody else's, or the next one tries again.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        // One without a lock file is being made at this moment.
        let Ok(lock) = File::options().write(true).open(entry.path().join(LOCK)) else { continue };
        if lock.try_lock().is_ok() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_folder() {
        let folder = Folder::new().unwrap();
        let path = folder.path_of("a/dt=1/b.csv").unwrap();
        assert!(path.starts_with(folder.path()) && path.parent().unwrap().is_dir());
        for name in ["../a", "a/../../b", "/etc/passwd", "a//b", "", "."] {
            assert!(folder.path_of(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_folder_goes_with_its_owner_and_one_that_was_left_with_the_next() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join(format!("{PREFIX}left"));
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join(LOCK), "").unwrap();
        std::fs::write(left.join("orgs.csv"), "id\n").unwrap();
        let held = parent.path().join(format!("{PREFIX}held"));
        std::fs::create_dir(&held).unwrap();
        let lock = File::create(held.join(LOCK)).unwrap();
        lock.lock().unwrap();
        sweep(parent.path());
        assert!(!left.exists() && held.exists());
        drop(lock);
        let folder = Folder::new().unwrap();
        let path = folder.path().to_owned();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
    }
}
