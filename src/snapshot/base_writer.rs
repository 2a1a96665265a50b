//! Writes the rows of tonight's extract as a base: each piece is encoded by the thread that decoded it, and appended in order.

use super::files;
use super::{FileEntry, SnapshotError};
use crate::row::Schema;
use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Appends encoded rows in the extract's order.
#[derive(Debug)]
pub struct BaseWriter {
    writer: files::GroupWriter,
    schema: SchemaRef,
    path: PathBuf,
}

/// Encodes rows on any thread.
pub struct BaseEncoder {
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    path: PathBuf,
}

/// The rows of one piece that are being encoded.
pub struct Encoding {
    columns: Vec<ArrowColumnWriter>,
    schema: SchemaRef,
    path: PathBuf,
    rows: u64,
}

/// The encoded rows of one piece.
pub struct EncodedRows {
    columns: Vec<ArrowColumnChunk>,
    rows: u64,
}

impl BaseWriter {
    pub(super) fn create(dir: &Path, name: &str, schema: &Schema) -> Result<Self, SnapshotError> {
        let schema = schema.arrow();
        let writer = files::GroupWriter::create(dir, name, &schema, files::properties().build())?;
        Ok(BaseWriter { writer, schema, path: dir.join(name) })
    }

    /// An encoder for this file, to be shared by threads.
    pub fn encoder(&self) -> BaseEncoder {
        BaseEncoder {
            factory: ArrowRowGroupWriterFactory::new(self.writer.inner(), Arc::clone(&self.schema)),
            schema: Arc::clone(&self.schema),
            path: self.path.clone(),
        }
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn append(&mut self, rows: EncodedRows) -> Result<(), SnapshotError> {
        if rows.rows == 0 { Ok(()) } else { self.writer.append(rows.columns, rows.rows) }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn finish(self) -> Result<FileEntry, SnapshotError> {
        self.writer.finish()
    }
}

impl BaseEncoder {
    /// Begins a piece.
    ///
    /// # Errors
    /// Only what Parquet itself refuses.
    pub fn start(&self) -> Result<Encoding, SnapshotError> {
        // The number of a row group only matters for encryption.
        let columns = self.factory.create_column_writers(0).map_err(files::failed(&self.path))?;
        Ok(Encoding { columns, schema: Arc::clone(&self.schema), path: self.path.clone(), rows: 0 })
    }
}

impl Encoding {
    /// Adds rows; columns may be dictionaries of their canonical type.
    ///
    /// # Errors
    /// Only what Parquet itself refuses.
    pub fn write(&mut self, columns: &[ArrayRef], rows: usize) -> Result<(), SnapshotError> {
        let mut writers = self.columns.iter_mut();
        for (field, array) in self.schema.fields().iter().zip(columns) {
            let array = crate::normalise::plain(array)?;
            for leaf in compute_leaves(field, &array).map_err(files::failed(&self.path))? {
                if let Some(writer) = writers.next() {
                    writer.write(&leaf).map_err(files::failed(&self.path))?;
                }
            }
        }
        self.rows += rows as u64;
        Ok(())
    }

    /// Ends the piece.
    ///
    /// # Errors
    /// Only what Parquet itself refuses.
    pub fn finish(self) -> Result<EncodedRows, SnapshotError> {
        let path = &self.path;
        let columns = self.columns.into_iter().map(|column| column.close().map_err(files::failed(path)));
        Ok(EncodedRows { columns: columns.collect::<Result<_, _>>()?, rows: self.rows })
    }
}
