//! Whether a file changed while it was read.

use crate::source::SourceError;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// What shows that a file was written to: its length and the time of the last change.
///
/// A file that is replaced by renaming another one over it does not change: whoever opened it keeps reading the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub length: u64,
    /// `None` where the file system has no such time.
    modified: Option<SystemTime>,
}

impl Stamp {
    /// The stamp of an open file, as it is now.
    pub fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Stamp { length: metadata.len(), modified: metadata.modified().ok() })
    }

    /// Compares the file with this stamp, which was taken earlier.
    ///
    /// # Errors
    /// The file has changed, or cannot be looked at.
    pub fn check(&self, file: &File, path: &Path) -> Result<(), SourceError> {
        let now = Stamp::of(file).map_err(|e| unreadable(path, &e))?;
        if now == *self { Ok(()) } else { Err(changed(path)) }
    }
}

/// The error for a file that cannot be opened or looked at.
pub fn unreadable(path: &Path, error: &io::Error) -> SourceError {
    let failed = SourceError::new(format!("cannot read {}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::PermissionDenied => failed.hint("the user that nightmark runs as has to read it"),
        _ => failed,
    }
}

/// The error for a file that was written to.
pub fn changed(path: &Path) -> SourceError {
    SourceError::new(format!("{} changed while it was read", path.display()))
        .hint("write it under another name and rename it when it is complete, so that nobody reads half a file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn writing_changes_a_file_and_replacing_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a.csv"), folder.path().join("b.csv"));
        std::fs::write(&path, "id\n").unwrap();
        let open = File::open(&path).unwrap();
        let stamp = Stamp::of(&open).unwrap();
        std::fs::write(&other, "id\n1\n").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(stamp.check(&open, &path).is_ok());
        let open = File::open(&path).unwrap();
        assert!(stamp.check(&open, &path).is_err(), "opened again, it is another file");
        let stamp = Stamp::of(&open).unwrap();
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"2\n").unwrap();
        let error = stamp.check(&open, &path).unwrap_err();
        assert!(error.message.ends_with("a.csv changed while it was read") && error.hint.is_some());
    }
}
