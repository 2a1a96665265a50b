//! What a place at a distance can do. Calls block.

use crate::source::SourceError;
use crate::source::pick::Found;
use crate::source::pick::walk::Listing;
use chrono::{DateTime, Utc};
use std::ops::Range;

/// A bucket, a server. Paths are relative to its root, without a `/` at either end.
pub(super) trait Place {
    /// A file; `None` if it is not there.
    ///
    /// # Errors
    /// It cannot be looked at.
    fn look(&self, path: &str) -> Result<Option<Found>, SourceError>;

    /// What stands in a folder; nothing if the folder is not there.
    ///
    /// # Errors
    /// It cannot be listed.
    fn list(&self, folder: &str) -> Result<Listing, SourceError>;

    /// Hands a part of a file's bytes on to `sink`, as long as it is the one that was found. It may end early without an error, and at the end
    /// of the file go on if there is more now: the caller counts.
    ///
    /// # Errors
    /// [`Broken`]
    fn read(
        &self,
        file: &Found,
        part: Range<u64>,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), SourceError>,
    ) -> Result<(), Broken>;

    /// Whether each part is known to be of the version that was found, and is had without what stands before or behind it.
    fn has_parts(&self) -> bool {
        true
    }

    /// Whether what it sends is of the version that it has begun with, whatever is written meanwhile.
    fn keeps_versions(&self) -> bool {
        false
    }

    /// What time it is by the clock that the times of its files are from, if it has said so.
    fn now(&self) -> Option<DateTime<Utc>> {
        None
    }

    /// How a path reads in messages.
    fn shown(&self, path: &str) -> String;
}

/// Why a file was not read to its end.
pub(super) enum Broken {
    /// It may be read on.
    Passing(SourceError),
    /// It makes no sense to go on.
    Lasting(SourceError),
}
