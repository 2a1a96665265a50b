//! Parquet files that are durable before anyone is told of them, and are read back only as they were written.

use super::{FileEntry, SnapshotError};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Writes and fsyncs one Parquet file; `name` is relative to `dir` and goes into the manifest.
pub(super) fn write(
    dir: &Path,
    name: &str,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<FileEntry, SnapshotError> {
    let path = dir.join(name);
    let file = File::create(&path).map_err(SnapshotError::io(&path))?;
    let properties = WriterProperties::builder()
        // Snappy is what every Parquet reader can do.
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("nightmark ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let failed = |error: ParquetError| SnapshotError::io(&path)(io::Error::other(error));
    let hashed = Hashed { file, bytes: 0, hash: Sha256::new() };
    let mut writer = ArrowWriter::try_new(hashed, schema.clone(), Some(properties)).map_err(failed)?;
    for batch in batches {
        writer.write(batch).map_err(failed)?;
    }
    let Hashed { file, bytes, hash } = writer.into_inner().map_err(failed)?;
    file.sync_all().map_err(SnapshotError::io(&path))?;
    let rows = batches.iter().map(|b| b.num_rows() as u64).sum();
    Ok(FileEntry { path: name.to_owned(), rows, bytes, sha256: hex(hash) })
}

/// Reads a published file whole, as one batch. What does not match the manifest is refused.
pub(super) fn read(dir: &Path, entry: &FileEntry) -> Result<RecordBatch, SnapshotError> {
    let path = dir.join(&entry.path);
    let content = std::fs::read(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SnapshotError::damaged(&path, "it is missing"),
        _ => SnapshotError::io(&path)(error),
    })?;
    let damaged = |problem: String| SnapshotError::damaged(&path, problem);
    if content.len() as u64 != entry.bytes {
        return Err(damaged(format!("it has {} bytes, the manifest says {}", content.len(), entry.bytes)));
    }
    if hex(Sha256::new_with_prefix(&content)) != entry.sha256 {
        return Err(damaged("its content is not what was written (SHA-256)".to_owned()));
    }
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(content)).map_err(|e| damaged(e.to_string()))?;
    let schema = builder.schema().clone();
    let reader = builder.with_batch_size(65_536).build().map_err(|e| damaged(e.to_string()))?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|e| damaged(e.to_string()))?;
    let batch = arrow::compute::concat_batches(&schema, &batches)?;
    if batch.num_rows() as u64 != entry.rows {
        return Err(damaged(format!("it has {} rows, the manifest says {}", batch.num_rows(), entry.rows)));
    }
    Ok(batch)
}

/// A file that is hashed as it is written.
struct Hashed {
    file: File,
    bytes: u64,
    hash: Sha256,
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

pub(super) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
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
}
