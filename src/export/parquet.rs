//! Parquet that every reader knows: Snappy, and no views.

use crate::row::{Kind, Schema};
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use std::io::{self, Write};
use std::sync::Arc;

/// Writes rows.
pub(super) struct ParquetRows<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: SchemaRef,
}

impl<W: Write + Send> ParquetRows<W> {
    pub(super) fn new(out: W, schema: &Schema) -> io::Result<Self> {
        let plain = |kind: Kind| match kind.arrow_type() {
            DataType::Utf8View => DataType::Utf8,
            other => other,
        };
        let fields: Vec<Field> = schema.columns.iter().map(|c| Field::new(&c.name, plain(c.kind), true)).collect();
        let schema = Arc::new(ArrowSchema::new(fields));
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties)).map_err(failed)?;
        Ok(ParquetRows { writer, schema })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let column = |(field, array): (&Arc<Field>, &ArrayRef)| match array.data_type() == field.data_type() {
            true => Ok(Arc::clone(array)),
            false => cast(array, field.data_type()),
        };
        let columns = self.schema.fields().iter().zip(batch.columns()).map(column).collect::<Result<Vec<_>, _>>();
        let batch = columns.and_then(|columns| RecordBatch::try_new(Arc::clone(&self.schema), columns));
        self.writer.write(&batch.map_err(io::Error::other)?).map_err(failed)
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.writer.close().map(drop).map_err(failed)
    }
}

/// A full disk arrives wrapped; its own words are what the user needs.
fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
