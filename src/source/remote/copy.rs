//! A private copy of a file at a distance.

use super::place::{Broken, Place};
use crate::source::SourceError;
use crate::source::pick::Found;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// So often in a row it is tried again without coming further than ever before.
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
    copy_parts(place, file, to, &mut |copy| copy.part(0..file.length))
}

/// Copies what `parts` asks for of a file.
///
/// # Errors
/// As [`copy`]; those of `parts`.
pub(super) fn copy_parts<T>(
    place: &dyn Place,
    file: &Found,
    to: &Path,
    parts: &mut dyn FnMut(&mut Copy<'_>) -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    let to_write = File::create(to).map_err(|e| disk(to, &e))?;
    let done = parts(&mut Copy { place, file, to, copy: to_write })?;
    unchanged(place, file)?;
    Ok(done)
}

/// A copy that is being made. Each part stands where it stands in the file.
pub(super) struct Copy<'a> {
    place: &'a dyn Place,
    file: &'a Found,
    to: &'a Path,
    copy: File,
}

impl Copy<'_> {
    /// Makes it as long as the file, with nothing in it.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn hollow(&mut self) -> Result<(), SourceError> {
        self.copy.set_len(self.file.length).map_err(|e| disk(self.to, &e))
    }

    /// Copies a part.
    ///
    /// # Errors
    /// As [`copy`], but that the file has changed may be told later.
    pub(super) fn part(&mut self, part: Range<u64>) -> Result<(), SourceError> {
        let (place, file, wanted) = (self.place, self.file, part.end - part.start);
        let (mut written, mut furthest, mut vain) = (0, 0, 0);
        for _ in 0..ALL {
            if written == wanted && written > 0 {
                // The connection broke when all was here.
                return Ok(());
            }
            if written > 0 && !place.keeps_versions() && file.modified.is_none() && !has_strong_tag(file) {
                // Nothing would tell whether the rest is of the same version.
                written = 0;
            }
            let broken = match self.read(part.start..part.end, &mut written) {
                Ok(()) if written == wanted => return Ok(()),
                Ok(()) => {
                    let ended = format!("ended after {written} of {wanted} bytes");
                    SourceError::new(format!("{} {ended}", place.shown(&file.name)))
                }
                Err(Broken::Lasting(error)) => return Err(error),
                Err(Broken::Passing(error)) => error,
            };
            vain = if written > furthest { 1 } else { vain + 1 };
            furthest = furthest.max(written);
            if vain > VAIN {
                return Err(given_up(broken, written, wanted));
            }
            std::thread::sleep(WAIT * 2u32.pow(vain - 1));
        }
        let again = format!("{}: the connection breaks again and again", place.shown(&file.name));
        Err(given_up(SourceError::new(again), written, wanted))
    }

    /// Reads what is missing of a part of which so much is written.
    fn read(&mut self, part: Range<u64>, written: &mut u64) -> Result<(), Broken> {
        let (to, mut copy) = (self.to, &self.copy);
        let lasting = |error: io::Error| Broken::Lasting(disk(to, &error));
        copy.seek(SeekFrom::Start(part.start + *written)).map_err(lasting)?;
        self.place.read(self.file, part.start + *written..part.end, &mut |bytes| {
            *written += bytes.len() as u64;
            if *written > part.end - part.start {
                return Err(changed(self.place, self.file));
            }
            copy.write_all(bytes).map_err(|e| disk(to, &e))
        })
    }
}

fn given_up(error: SourceError, written: u64, wanted: u64) -> SourceError {
    let message = format!("{} (after {written} of {wanted} bytes; nothing was read of it)", error.message);
    SourceError { message, ..error }
}

fn has_strong_tag(file: &Found) -> bool {
    file.tag.as_ref().is_some_and(|tag| !tag.starts_with("W/"))
}

/// Unless the place keeps the version that it begins to send, another look shows whether the file was written to: a tag that was right at the
/// beginning says nothing of the end.
fn unchanged(place: &dyn Place, file: &Found) -> Result<(), SourceError> {
    if place.keeps_versions() && has_strong_tag(file) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::pick::walk::Listing;
    use std::cell::{Cell, RefCell};

    /// A place whose file has another version at each reading, if it is so, and whose connection breaks.
    struct Shaky {
        /// What it has at each reading; the last is repeated.
        versions: Vec<&'static [u8]>,
        /// What a look finds at each look.
        looks: RefCell<Vec<Found>>,
        /// After so many bytes the first reading breaks.
        breaks_after: usize,
        readings: Cell<usize>,
    }

    fn found(tag: Option<&str>) -> Found {
        Found { name: "orgs.csv".into(), length: 6, modified: None, tag: tag.map(str::to_owned) }
    }

    impl Place for Shaky {
        fn look(&self, _: &str) -> Result<Option<Found>, SourceError> {
            Ok(self.looks.borrow_mut().pop())
        }

        fn list(&self, _: &str) -> Result<Listing, SourceError> {
            Ok(Listing::default())
        }

        fn read(
            &self,
            _: &Found,
            part: Range<u64>,
            sink: &mut dyn FnMut(&[u8]) -> Result<(), SourceError>,
        ) -> Result<(), Broken> {
            let number = self.readings.replace(self.readings.get() + 1);
            let content = self.versions[number.min(self.versions.len() - 1)];
            let from = usize::try_from(part.start).unwrap();
            assert!(from < content.len(), "nothing is asked for that is not there");
            let end = if number == 0 { self.breaks_after } else { content.len() };
            sink(&content[from..end]).map_err(Broken::Lasting)?;
            match number {
                0 => Err(Broken::Passing(SourceError::new("broken"))),
                _ => Ok(()),
            }
        }

        fn shown(&self, path: &str) -> String {
            path.to_owned()
        }
    }

    fn copied(place: &Shaky, file: &Found) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("copy");
        copy(place, file, &to).map_err(|error| error.message)?;
        Ok(std::fs::read_to_string(to).unwrap())
    }

    fn shaky(versions: Vec<&'static [u8]>, looks: Vec<Found>, breaks_after: usize) -> Shaky {
        Shaky { versions, looks: RefCell::new(looks), breaks_after, readings: Cell::new(0) }
    }

    #[test]
    fn two_versions_are_not_mixed() {
        // Nothing tells them apart: what has come counts for nothing.
        let file = found(None);
        assert_eq!(copied(&shaky(vec![b"aaaaaa", b"bbbbbb"], vec![file.clone()], 3), &file).unwrap(), "bbbbbb");
        // A tag does, and is looked at once more at the end.
        let file = found(Some("\"1\""));
        assert_eq!(copied(&shaky(vec![b"aaaaaa"], vec![file.clone()], 3), &file).unwrap(), "aaaaaa");
        let error = copied(&shaky(vec![b"aaaaaa"], vec![found(Some("\"2\""))], 3), &file).unwrap_err();
        assert!(error.contains("changed while it was copied"), "{error}");
    }

    #[test]
    fn a_connection_that_breaks_at_the_end_costs_nothing() {
        let file = found(Some("\"1\""));
        let place = shaky(vec![b"aaaaaa"], vec![file.clone()], 6);
        assert_eq!((copied(&place, &file).unwrap().as_str(), place.readings.get()), ("aaaaaa", 1));
    }
}
