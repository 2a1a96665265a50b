//! Where what belongs to a few rows stands in a file, for who has only a part of it.

use super::file::ParquetFile;
use crate::source::files::engine;
use parquet::errors::ParquetError;
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{FooterTail, RowGroupMetaData};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;

/// Where the footer stands. `None`: the file's last bytes are not those of a Parquet file.
pub fn footer(path: &Path) -> Option<Range<u64>> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut tail = [0; FOOTER_SIZE];
    file.seek(SeekFrom::Start(length.checked_sub(FOOTER_SIZE as u64)?)).ok()?;
    file.read_exact(&mut tail).ok()?;
    let footer = FooterTail::try_new(&tail).ok()?.metadata_length() + FOOTER_SIZE;
    Some(length.checked_sub(footer as u64)?..length)
}

/// Where the first row groups stand that have at least `rows` rows together; of the file, no more than the footer is read. `None`: it has not so many,
/// or no footer that can be read.
pub fn groups(path: &Path, rows: usize) -> Option<Vec<Range<u64>>> {
    let file = ParquetFile::open(path).ok()?;
    let length = path.metadata().ok()?.len();
    let (mut found, mut left) = (Vec::new(), rows);
    for (group, rows) in file.row_groups().iter().zip(file.groups()) {
        let place = engine::decode(|| Ok::<_, ParquetError>(place(group))).ok()?;
        found.extend(place.filter(|place| place.start < place.end && place.end <= length));
        left = left.saturating_sub(rows);
        if left == 0 {
            return Some(found);
        }
    }
    None
}

/// From the first of its columns to the last; `None`: it has none.
fn place(group: &RowGroupMetaData) -> Option<Range<u64>> {
    let columns = || group.columns().iter().map(|column| column.byte_range());
    let start = columns().map(|(start, _)| start).min()?;
    let end = columns().map(|(start, length)| start.saturating_add(length)).max()?;
    Some(start..end)
}
