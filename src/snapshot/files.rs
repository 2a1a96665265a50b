//! Parquet files that are durable before anyone is told of them.

use super::{FileEntry, SnapshotError};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::fs::File;
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
    let failed = |e: parquet::errors::ParquetError| match e {
        parquet::errors::ParquetError::External(inner) => {
            SnapshotError::Io { path: path.clone(), source: std::io::Error::other(inner.to_string()) }
        }
        other => SnapshotError::Io { path: path.clone(), source: std::io::Error::other(other.to_string()) },
    };
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(failed)?;
    for batch in batches {
        writer.write(batch).map_err(failed)?;
    }
    let file = writer.into_inner().map_err(failed)?;
    file.sync_all().map_err(SnapshotError::io(&path))?;
    let bytes = file.metadata().map_err(SnapshotError::io(&path))?.len();
    let rows = batches.iter().map(|b| b.num_rows() as u64).sum();
    Ok(FileEntry { path: name.to_owned(), rows, bytes })
}

/// Reads a published file whole, as one batch. What does not match the manifest is refused.
pub(super) fn read(dir: &Path, entry: &FileEntry) -> Result<RecordBatch, SnapshotError> {
    let path = dir.join(&entry.path);
    let file = File::open(&path).map_err(SnapshotError::io(&path))?;
    let bytes = file.metadata().map_err(SnapshotError::io(&path))?.len();
    if bytes != entry.bytes {
        return Err(SnapshotError::damaged(path, format!("it has {bytes} bytes, the manifest says {}", entry.bytes)));
    }
    let damaged = |problem: String| SnapshotError::damaged(&path, problem);
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(e.to_string()))?;
    let schema = builder.schema().clone();
    let reader = builder.with_batch_size(65_536).build().map_err(|e| damaged(e.to_string()))?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|e| damaged(e.to_string()))?;
    let batch = arrow::compute::concat_batches(&schema, &batches)?;
    if batch.num_rows() as u64 != entry.rows {
        return Err(damaged(format!("it has {} rows, the manifest says {}", batch.num_rows(), entry.rows)));
    }
    Ok(batch)
}

/// A folder's entries are durable only after an fsync of the folder itself.
pub(super) fn sync_dir(dir: &Path) -> Result<(), SnapshotError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(SnapshotError::io(dir))
}
