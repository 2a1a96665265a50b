//! A copy of no more than the first rows stand in, for who looks at them only.
//!
//! Of text, the beginning; of Parquet, the footer and the first row groups, where they stand in the file. Whether that suffices shows when it is read:
//! the row behind the last that is asked for must be there, so that the last one is whole. If it does not, everything is copied as ever.

use super::copy::{Copy, copy, copy_parts};
use super::folder::Folder;
use super::place::Place;
use super::{Reader, RemoteFiles};
use crate::job::spec::FileFormat;
use crate::source::pick::Found;
use crate::source::{Ask, SourceError};
use std::path::{Path, PathBuf};

/// So much of a file is its beginning: more than what readers of text take at once.
const BEGINNING: u64 = 8 << 20;

/// So much of the end of a Parquet file is copied at first; few footers are longer.
const END: u64 = 64 << 10;

/// A copy of what the first `limit` rows of the extract stand in. `None`: it takes all files to say.
///
/// # Errors
/// Those of copies.
pub(super) fn of(
    remote: &RemoteFiles,
    place: &dyn Place,
    files: &[Found],
    folder: &Folder,
    ask: &Ask<'_>,
) -> Result<Option<PathBuf>, SourceError> {
    let Some(limit) = ask.limit.filter(|_| remote.files.query.is_none()) else { return Ok(None) };
    let Some(first) = files.first() else { return Ok(None) };
    let is_small = first.length <= BEGINNING;
    if is_small && files.len() == 1 {
        return Ok(None);
    }
    let to = folder.path_of(&first.name)?;
    let is_copied = match remote.files.format {
        _ if is_small => copy(place, first, &to).map(|()| true),
        FileFormat::Csv | FileFormat::Ndjson => {
            copy_parts(place, first, &to, &mut |copy| copy.part(0..BEGINNING)).map(|()| true)
        }
        FileFormat::Parquet if !place.has_parts() => Ok(false),
        FileFormat::Parquet => copy_parts(place, first, &to, &mut |copy| groups(&remote.read, copy, first, &to, limit)),
    };
    Ok((is_copied? && suffices(remote, folder, &to, limit, ask)).then_some(to))
}

/// Copies the footer of a Parquet file and the row groups that have one row more than `limit`. Whether there are so many rows.
fn groups(read: &Reader, copy: &mut Copy<'_>, file: &Found, to: &Path, limit: usize) -> Result<bool, SourceError> {
    copy.hollow()?;
    let end = file.length.saturating_sub(END);
    copy.part(end..file.length)?;
    // What is no Parquet is told when all of it is here.
    let Some(footer) = (read.footer)(to) else { return Ok(false) };
    if footer.start < end {
        copy.part(footer.start..end)?;
    }
    let Some(groups) = (read.groups)(to, limit.saturating_add(1)) else { return Ok(false) };
    for group in groups {
        copy.part(group)?;
    }
    Ok(true)
}

/// Whether a copy has the row after the last one that is asked for.
fn suffices(remote: &RemoteFiles, folder: &Folder, copy: &Path, limit: usize, ask: &Ask<'_>) -> bool {
    let more = limit.saturating_add(1);
    let rows = || -> Result<usize, SourceError> {
        let source = (remote.read.open)(remote.files.clone(), folder.path().to_owned(), vec![copy.to_owned()]);
        let stream = source.stream(&Ask { limit: Some(more), ..*ask })?;
        let mut rows = 0;
        while let Some(piece) = stream.rows.next()? {
            for batch in piece.batches {
                rows += batch?.num_rows();
            }
        }
        Ok(rows)
    };
    rows().is_ok_and(|rows| rows == more)
}
