//! A private copy of a file at a distance.

use super::place::{Broken, Place};
use crate::source::SourceError;
use crate::source::pick::Found;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

/// So often in a row it is tried again without a byte coming through.
const VAIN: u32 = 5;
/// So often in all.
const ALL: u32 = 200;
/// The first wait; each further one is twice as long.
const WAIT: Duration = Duration::from_millis(200);

/// Copies a file, from where it broke off where a connection breaks.
///
/// # Errors
/// A connection that stays broken, a file that changed meanwhile, a disk that is full.
pub(super) fn copy(place: &dyn Place, file: &Found, to: &Path) -> Result<(), SourceError> {
    let mut copy = File::create(to).map_err(|e| disk(to, &e))?;
    let (mut written, mut vain) = (0, 0);
    for _ in 0..ALL {
        let before = written;
        let read = place.read(file, written, &mut |bytes| {
            written += bytes.len() as u64;
            if written > file.length {
                return Err(changed(place, file));
            }
            copy.write_all(bytes).map_err(|e| disk(to, &e))
        });
        let broken = match read {
            Ok(()) if written == file.length => return unchanged(place, file),
            Ok(()) => {
                SourceError::new(format!("{} ended after {written} of {} bytes", place.shown(&file.name), file.length))
            }
            Err(Broken::Lasting(error)) => return Err(error),
            Err(Broken::Passing(error)) => error,
        };
        vain = if written > before { 1 } else { vain + 1 };
        if vain > VAIN {
            return Err(given_up(broken, written, file));
        }
        std::thread::sleep(WAIT * 2u32.pow(vain - 1));
    }
    Err(given_up(
        SourceError::new(format!("{}: the connection breaks again and again", place.shown(&file.name))),
        written,
        file,
    ))
}

fn given_up(error: SourceError, written: u64, file: &Found) -> SourceError {
    let message = format!("{} (after {written} of {} bytes; nothing was read of it)", error.message, file.length);
    SourceError { message, ..error }
}

/// Without a tag that the place has checked, another look shows whether the file was written to.
fn unchanged(place: &dyn Place, file: &Found) -> Result<(), SourceError> {
    if file.tag.as_ref().is_some_and(|tag| !tag.starts_with("W/")) {
        return Ok(());
    }
    match place.look(&file.name)? {
        Some(now) if now == *file => Ok(()),
        _ => Err(changed(place, file)),
    }
}

/// The error for a file that is not what it was when it was looked at.
pub(super) fn changed(place: &dyn Place, file: &Found) -> SourceError {
    SourceError::new(format!("{} changed while it was copied", place.shown(&file.name)))
        .hint("have it written under another name and renamed when it is complete; or set source.settled or source.done_marker")
}

fn disk(path: &Path, error: &io::Error) -> SourceError {
    let folder = path.parent().unwrap_or(path).display();
    let hint = "remote files are copied into the folder for temporary files before they are read: set TMPDIR to one with room for them";
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            SourceError::new(format!("the disk is full: no room in {folder} for a copy of the extract")).hint(hint)
        }
        _ => SourceError::new(format!("cannot write a copy of the extract into {folder}: {error}")).hint(hint),
    }
}
