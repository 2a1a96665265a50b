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
//!   is an error. So are a connection that stays broken and a full disk.
//! - Memory does not grow with the files; the disk under `TMPDIR` holds them once, readable by nobody else, until they are read.
//! - Each stream looks and copies anew. No secret stands in a message.
//!
//! Deliberately absent: reading parts of remote files, writing, formats.

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
use std::path::PathBuf;
use std::sync::Arc;

/// Makes a source of files of this machine: the folder that they stand in, and they themselves in their order.
pub type Reader = fn(FilesSource, PathBuf, Vec<PathBuf>) -> Box<dyn Source>;

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
            return Err(SourceError::new(format!("{what} {}", place.shown(pattern)))
                .hint("check source.path; patterns have `*`, `?` and `[…]`, and `**` for any number of folders"));
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
}

impl RemoteFiles {
    /// The files that would be read now, without waiting.
    ///
    /// # Errors
    /// Nothing that matches is complete; a place that cannot be looked at.
    pub fn found(&self) -> Result<Vec<Found>, SourceError> {
        let (place, pattern) = self.place()?;
        let mut look = || self.look(&*place, &pattern);
        Ok(pick::decide(&self.files.choice, &pattern, self.environment.at, &mut look, None)?.files)
    }
}

impl Source for RemoteFiles {
    fn stream(&self, ask: &Ask<'_>) -> Result<Stream, SourceError> {
        let (place, pattern) = self.place()?;
        let mut look = || self.look(&*place, &pattern);
        let decided = chosen::decide(&self.files.choice, &pattern, self.environment.at, ask, &mut look)?;
        let folder = Folder::new()?;
        let copies = self.copy(&*place, &decided.files, &folder)?;
        let names = rows::Names { folder: folder.path().to_owned(), place: place.shown("") };
        drop(place);
        let stream = (self.read)(self.files.clone(), folder.path().to_owned(), copies)
            .stream(ask)
            .map_err(|error| names.put_right(error))?;
        Ok(rows::keep(stream, folder, names, decided.held))
    }

    fn describe(&self) -> String {
        self.files.written.clone()
    }
}
