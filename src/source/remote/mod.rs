//! Files at a distance: object stores, HTTP and SFTP.
//!
//! In: a files source whose path is an address. Out: the [`Stream`] that the files source makes of private copies.
//!
//! The path of a file: `place` (what is there) → `pick` (which of it) → `copy` (into `folder`, resumed where a connection breaks) →
//! the files source, which is given the copies and knows nothing of where they are from → `rows` (names in messages; the folder
//! lives as long as the rows).
//!
//! Always holds:
//! - A copy has exactly the length that the look at its place said, and is of one version of the file: one that is written to meanwhile
//!   is an error. Only where a few rows are asked for, as by `check`, is no more copied than these stand in (`beginning`). So are a connection that stays broken and a full disk.
//! - Memory does not grow with the files; the disk under `TMPDIR` holds them once, readable by nobody else, until they are read.
//! - Each stream looks and copies anew. No secret stands in a message.
//!
//! Deliberately absent: reading what is not copied, writing, formats.

mod beginning;
mod bucket;
mod copy;
mod folder;
mod place;
mod rows;
mod sftp;

use super::pick::{self, Candidate, Found, walk};
use super::{Ask, Environment, Source, SourceError, Stream, chosen};
use crate::job::spec::{FilesSource, Remote, Scheme};
use folder::Folder;
use place::Place;
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What reads files of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// Makes a source of files: the folder that they stand in, and they themselves in their order.
    pub open: fn(FilesSource, PathBuf, Vec<PathBuf>) -> Box<dyn Source>,
    /// Where the footer of a Parquet file stands, of which the end is there. `None`: it is no Parquet file.
    pub footer: fn(&Path) -> Option<Range<u64>>,
    /// Where its first row groups stand that have so many rows together; its footer is there. `None`: it has not so many.
    pub groups: fn(&Path, usize) -> Option<Vec<Range<u64>>>,
}

/// Files at a distance.
#[derive(Debug)]
pub struct RemoteFiles {
    files: FilesSource,
    remote: Remote,
    environment: Arc<Environment>,
    read: Reader,
}

impl RemoteFiles {
    /// Nothing is looked at yet.
    pub fn new(files: FilesSource, remote: Remote, environment: Arc<Environment>, read: Reader) -> Self {
        RemoteFiles { files, remote, environment, read }
    }

    /// The place, and the path or pattern at it.
    fn place(&self) -> Result<(Box<dyn Place>, String), SourceError> {
        let resolved = self.environment.secrets.remote(&self.remote, "source.path", "source.options");
        let resolved = resolved.map_err(|error| SourceError::new(error.to_string()))?;
        Ok(match self.remote.scheme {
            Scheme::Sftp => {
                let (sftp, path) = sftp::Sftp::new(&resolved.address, &resolved.settings, self.environment.home())?;
                (Box::new(sftp), path)
            }
            _ => {
                let (bucket, path) = bucket::Bucket::open(&resolved.address, &resolved.settings, resolved.secrets)?;
                (Box::new(bucket), path)
            }
        })
    }

    /// What matches, with the markers that are asked for.
    fn look(&self, place: &dyn Place, pattern: &str) -> Result<Vec<Candidate>, SourceError> {
        let choice = &self.files.choice;
        let is_pattern = self.remote.scheme != Scheme::Http && walk::is_pattern(pattern);
        let mut list = || match is_pattern {
            true => walk::walk(pattern, &mut |folder| place.list(folder)),
            false => Ok(place.look(pattern)?.into_iter().collect()),
        };
        let candidates = pick::candidates(choice, &mut list, &mut |marker| place.look(marker))?;
        if candidates.is_empty() {
            let what = if is_pattern { "no file matches" } else { "there is no file" };
            let hint = match self.remote.scheme {
                Scheme::Http => "check source.path, which is the address of one file",
                Scheme::Sftp => {
                    "check source.path; patterns have `*`, `?` and `[…]`, and `**` for any number of folders"
                }
                Scheme::S3 | Scheme::Google | Scheme::Azure => {
                    "check source.path, the name of the bucket too; patterns have `*`, `?` and `[…]`, and `**` for any number of folders"
                }
            };
            return Err(SourceError::new(format!("{what} {}", place.shown(pattern))).hint(hint));
        }
        Ok(candidates)
    }

    /// Copies the files into the folder.
    fn copy(&self, place: &dyn Place, files: &[Found], folder: &Folder) -> Result<Vec<PathBuf>, SourceError> {
        files
            .iter()
            .map(|file| {
                let to = folder.path_of(&file.name)?;
                copy::copy(place, file, &to).map(|()| to)
            })
            .collect()
    }

    /// The files that would be read now, without waiting.
    ///
    /// # Errors
    /// Nothing that matches is complete; a place that cannot be looked at.
    pub fn found(&self) -> Result<Vec<Found>, SourceError> {
        let (place, pattern) = self.place()?;
        pick::now(&self.files.choice, &pattern, self.look(&*place, &pattern)?)
    }
}

/// Where one is sent on to a login, there is a page in the place of the file.
fn no_page(copy: &Path, shown: &str) -> Result<(), SourceError> {
    let mut start = Vec::new();
    // What cannot be read is told by whoever reads the file.
    let _ = File::open(copy).and_then(|file| file.take(256).read_to_end(&mut start));
    let start = String::from_utf8_lossy(&start).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    if !start.starts_with("<!doctype html") && !start.starts_with("<html") {
        return Ok(());
    }
    Err(SourceError::new(format!("{shown} is a page (HTML), not an extract"))
        .hint("open the address in a browser: it may want a login, which `options = { authorization = \"…\" }` is for"))
}

impl Source for RemoteFiles {
    fn stream(&self, ask: &Ask<'_>) -> Result<Stream, SourceError> {
        let (place, pattern) = self.place()?;
        let mut look = || self.look(&*place, &pattern);
        let times = chosen::Times { at: self.environment.at, place: &|| place.now() };
        let decided = chosen::decide(&self.files.choice, &pattern, &times, ask, &mut look)?;
        let folder = Folder::new()?;
        let copies = match beginning::of(self, &*place, &decided.files, &folder, ask)? {
            Some(beginning) => vec![beginning],
            None => self.copy(&*place, &decided.files, &folder)?,
        };
        if self.remote.scheme == Scheme::Http {
            copies.iter().try_for_each(|copy| no_page(copy, &place.shown(&pattern)))?;
        }
        let names = rows::Names { folder: folder.path().to_owned(), place: place.shown("") };
        drop(place);
        let stream = (self.read.open)(self.files.clone(), folder.path().to_owned(), copies)
            .stream(ask)
            .map_err(|error| names.put_right(error))?;
        Ok(rows::keep(stream, folder, names, decided.held))
    }

    fn describe(&self) -> String {
        self.files.written.clone()
    }
}
