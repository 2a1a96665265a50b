//! Files that are durable before anyone is told of them, and are read back only as they were written.

use super::{FileEntry, SnapshotError};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowColumnChunk;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3Default;

/// Bytes that are hashed or copied at a time.
const CHUNK: usize = 1 << 20;

/// What all our Parquet files have in common.
pub(super) fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        // Snappy is what every Parquet reader can do.
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_created_by(concat!("nightmark ", env!("CARGO_PKG_VERSION")).to_owned())
}

/// A Parquet file that is being written; `name` is relative to `dir` and goes into the manifest.
pub(super) struct TableWriter {
    path: PathBuf,
    name: String,
    rows: u64,
    writer: ArrowWriter<Hashed>,
}

impl TableWriter {
    pub(super) fn create(
        dir: &Path,
        name: &str,
        schema: &SchemaRef,
        properties: WriterProperties,
    ) -> Result<Self, SnapshotError> {
        let path = dir.join(name);
        let hashed = Hashed::create(&path)?;
        let writer = ArrowWriter::try_new(hashed, schema.clone(), Some(properties)).map_err(failed(&path))?;
        Ok(TableWriter { path, name: name.to_owned(), rows: 0, writer })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), SnapshotError> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(failed(&self.path))
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the file. It is durable only after [`sync`].
    pub(super) fn finish(self) -> Result<FileEntry, SnapshotError> {
        let hashed = self.writer.into_inner().map_err(failed(&self.path))?;
        Ok(hashed.entry(self.name, self.rows))
    }
}

/// A Parquet file whose row groups come encoded.
pub(super) struct GroupWriter {
    path: PathBuf,
    name: String,
    rows: u64,
    writer: SerializedFileWriter<Hashed>,
}

impl GroupWriter {
    pub(super) fn create(
        dir: &Path,
        name: &str,
        schema: &SchemaRef,
        properties: WriterProperties,
    ) -> Result<Self, SnapshotError> {
        let path = dir.join(name);
        let writer = ArrowWriter::try_new(Hashed::create(&path)?, schema.clone(), Some(properties));
        let parts = writer.and_then(ArrowWriter::into_serialized_writer);
        let (writer, _) = parts.map_err(failed(&path))?;
        Ok(GroupWriter { path, name: name.to_owned(), rows: 0, writer })
    }

    pub(super) fn inner(&self) -> &SerializedFileWriter<Hashed> {
        &self.writer
    }

    pub(super) fn append(&mut self, columns: Vec<ArrowColumnChunk>, rows: u64) -> Result<(), SnapshotError> {
        let mut group = self.writer.next_row_group().map_err(failed(&self.path))?;
        for column in columns {
            column.append_to_row_group(&mut group).map_err(failed(&self.path))?;
        }
        group.close().map_err(failed(&self.path))?;
        self.rows += rows;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<FileEntry, SnapshotError> {
        let hashed = self.writer.into_inner().map_err(failed(&self.path))?;
        Ok(hashed.entry(self.name, self.rows))
    }
}

impl std::fmt::Debug for GroupWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupWriter").field("path", &self.path).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TableWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableWriter").field("path", &self.path).field("rows", &self.rows).finish_non_exhaustive()
    }
}

pub(super) fn failed(path: &Path) -> impl FnOnce(ParquetError) -> SnapshotError {
    let path = path.to_owned();
    move |error| {
        // A full disk arrives wrapped; its own words are what the user needs.
        let error = match error {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(error) => *error,
                Err(other) => io::Error::other(other),
            },
            other => io::Error::other(other),
        };
        SnapshotError::Io { path, source: error }
    }
}

/// Brings a copy of a file into the snapshot, so that nobody can overwrite it there. Rows are for the caller to fill in.
pub(super) fn copy_in(from: &Path, dir: &Path, name: &str) -> Result<FileEntry, SnapshotError> {
    let (path, mut source) = (dir.join(name), File::open(from).map_err(SnapshotError::io(from))?);
    let stamp =
        |file: &File| file.metadata().and_then(|m| Ok((m.len(), m.modified()?))).map_err(SnapshotError::io(from));
    let before = stamp(&source)?;
    let mut copy = Hashed::create(&path)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        match source.read(&mut buffer).map_err(SnapshotError::io(from))? {
            0 if stamp(&source)? != before || copy.bytes != before.0 => {
                return Err(SnapshotError::Changed { path: from.to_owned() });
            }
            0 => return Ok(copy.entry(name.to_owned(), 0)),
            read => copy.write_all(&buffer[..read]).map_err(SnapshotError::io(&path))?,
        }
    }
}

/// Makes a finished file durable.
pub(super) fn sync(path: &Path) -> Result<(), SnapshotError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(SnapshotError::io(path))
}

/// The path of a published file, if its content is what was written.
pub(super) fn verified(dir: &Path, entry: &FileEntry) -> Result<PathBuf, SnapshotError> {
    Ok(verified_file(dir, entry)?.0)
}

/// The same, and the very file that was looked at.
pub(super) fn verified_file(dir: &Path, entry: &FileEntry) -> Result<(PathBuf, File), SnapshotError> {
    let path = dir.join(&entry.path);
    let mut file = File::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SnapshotError::damaged(&path, "it is missing"),
        _ => SnapshotError::io(&path)(error),
    })?;
    let (mut bytes, mut hash, mut buffer) = (0, Xxh3Default::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut buffer).map_err(SnapshotError::io(&path))? {
            0 => break,
            read => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
    if bytes != entry.bytes {
        return Err(SnapshotError::damaged(&path, format!("it has {bytes} bytes, the manifest says {}", entry.bytes)));
    }
    if digest(&hash) != entry.xxh3 {
        return Err(SnapshotError::damaged(&path, "its content is not what was written (checksum)"));
    }
    Ok((path, file))
}

/// A file that is hashed as it is written.
pub(super) struct Hashed {
    file: File,
    bytes: u64,
    hash: Box<Xxh3Default>,
}

impl Hashed {
    pub(super) fn create(path: &Path) -> Result<Self, SnapshotError> {
        let file = File::create(path).map_err(SnapshotError::io(path))?;
        Ok(Hashed { file, bytes: 0, hash: Box::new(Xxh3Default::new()) })
    }

    pub(super) fn entry(self, path: String, rows: u64) -> FileEntry {
        FileEntry { path, rows, bytes: self.bytes, xxh3: digest(&self.hash) }
    }
}

impl Write for Hashed {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let written = self.file.write(part)?;
        self.hash.update(&part[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn digest(hash: &Xxh3Default) -> String {
    format!("{:032x}", hash.digest128())
}

/// Makes a folder and those above it, durably. Returns the folders that got a new entry.
pub(super) fn create_dir(dir: &Path) -> Result<Vec<&Path>, SnapshotError> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|d| !d.as_os_str().is_empty() && !d.exists()).collect();
    std::fs::create_dir_all(dir).map_err(SnapshotError::io(dir))?;
    // From the top down, so that nothing durable hangs on something that is not.
    let grown: Vec<&Path> = missing.iter().rev().filter_map(|d| d.parent()).collect();
    grown.iter().try_for_each(|d| sync_dir(d))?;
    Ok(grown)
}

/// A folder's entries are durable only after an fsync of the folder itself.
pub(super) fn sync_dir(dir: &Path) -> Result<(), SnapshotError> {
    // What is named without a folder is in the current one.
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir).and_then(|d| d.sync_all()).map_err(SnapshotError::io(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_that_gets_an_entry_is_synced() {
        let home = tempfile::tempdir().unwrap();
        let (home, snapshots) = (home.path(), home.path().join("snapshots"));
        let (job, run) = (snapshots.join("job"), snapshots.join("job/run"));
        assert_eq!(create_dir(&job).unwrap(), [home, &snapshots]);
        assert_eq!(create_dir(&run).unwrap(), [job.as_path()]);
        assert_eq!(create_dir(&run).unwrap(), Vec::<&Path>::new());
    }

    #[test]
    fn what_is_not_as_it_was_written_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), b"some content").unwrap();
        let entry = copy_in(&dir.path().join("a"), dir.path(), "b").unwrap();
        assert_eq!(verified(dir.path(), &entry).unwrap(), dir.path().join("b"));
        let refused = |problem: &str| {
            let error = verified(dir.path(), &entry).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        };
        std::fs::write(dir.path().join("b"), b"some_content").unwrap();
        refused("not what was written");
        std::fs::write(dir.path().join("b"), b"some").unwrap();
        refused("it has 4 bytes, the manifest says 12");
        std::fs::remove_file(dir.path().join("b")).unwrap();
        refused("it is missing");
    }
}
