//! The files source against real files: every format, every error that must name its place.

mod csv;
mod files;
mod model;
mod ndjson;
mod nights;
mod parquet;
mod streams;

pub use parquet::far_timestamps;

use crate::support::batches;
use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema as ArrowSchema, SchemaRef};
use nightmark::job::spec::{Choice, CsvOptions, FileFormat, FilesSource};
use nightmark::row::{Column, Kind, Schema};
use nightmark::source::files::Files;
use nightmark::source::{Ask, Source, SourceError, Stream, Typing};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// Files in a folder of their own, and a source over them.
struct Case {
    folder: TempDir,
    spec: FilesSource,
    pinned: Option<Schema>,
    limit: Option<usize>,
}

impl Case {
    fn new(format: FileFormat, written: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let csv = CsvOptions { header: true, delimiter: b',', quote: Some(b'"'), null_values: vec![String::new()] };
        let path = folder.path().join(written);
        let (written, choice) = (written.to_owned(), Choice::default());
        let spec = FilesSource { written, path, remote: None, choice, format, csv, query: None };
        Case { folder, spec, pinned: None, limit: None }
    }

    fn csv(content: impl AsRef<[u8]>) -> Self {
        Case::new(FileFormat::Csv, "orgs.csv").file("orgs.csv", content)
    }

    fn ndjson(content: &str) -> Self {
        Case::new(FileFormat::Ndjson, "orgs.ndjson").file("orgs.ndjson", content)
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.folder.path().join(name), content).unwrap();
        self
    }

    fn parquet(self, name: &str, batch: &RecordBatch) -> Self {
        let mut bytes = Vec::new();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        self.file(name, bytes)
    }

    fn query(mut self, query: &str) -> Self {
        self.spec.query = Some(query.to_owned());
        self
    }

    fn options(mut self, change: impl FnOnce(&mut CsvOptions)) -> Self {
        change(&mut self.spec.csv);
        self
    }

    fn pinned(mut self, kinds: &[(&str, Kind)]) -> Self {
        self.pinned = Some(schema(kinds));
        self
    }

    fn limit(mut self, rows: usize) -> Self {
        self.limit = Some(rows);
        self
    }

    /// The source, with blocks so small that records span them.
    fn source(&self) -> Files {
        Files::new(self.spec.clone()).with_block(64)
    }

    fn ask(&self) -> Ask<'_> {
        Ask { pinned: None, pinned_input: self.pinned.as_ref(), limit: self.limit, wanted: &|_| true }
    }

    /// The extract, read by two threads.
    fn read(&self) -> Result<Table, SourceError> {
        self.source().stream(&self.ask()).and_then(|stream| collect(stream, 2))
    }

    /// The rows as text: columns by `|`, NULL as `NULL`.
    #[track_caller]
    fn check(&self, expected: &[&str]) -> Table {
        let extract = self.read().unwrap();
        assert_eq!(rows(&extract), expected);
        extract
    }

    /// The error, with the folder's name taken out of it.
    #[track_caller]
    fn check_error(&self, expected: &str) -> SourceError {
        let error = self.read().unwrap_err();
        let folder = format!("{}/", self.folder.path().display());
        assert_eq!(error.message.replace(&folder, ""), expected);
        error
    }
}

fn schema(kinds: &[(&str, Kind)]) -> Schema {
    Schema { columns: kinds.iter().map(|&(name, kind)| Column { name: name.to_owned(), kind }).collect() }
}

/// An extract in one batch, dictionaries as the text that they stand for.
#[derive(Debug)]
struct Table {
    schema: SchemaRef,
    typing: Typing,
    input: Option<Schema>,
    files: Option<Vec<PathBuf>>,
    batch: RecordBatch,
}

/// Reads a stream by several threads and puts the pieces in order.
fn collect(stream: Stream, threads: usize) -> Result<Table, SourceError> {
    let Stream { schema, typing, input, rows, files, partial } = stream;
    assert!(!partial, "files have no parameters");
    let batches = batches(&*rows, threads)?;
    let batches: Vec<RecordBatch> = batches.iter().map(|batch| plain(&schema, batch)).collect();
    let kept = batches.first().map_or(Arc::clone(&schema), RecordBatch::schema);
    let batch = concat_batches(&kept, &batches).unwrap();
    Ok(Table { schema, typing, input, files, batch })
}

/// The batch with the columns that it has of the schema, as the schema has them.
fn plain(schema: &ArrowSchema, batch: &RecordBatch) -> RecordBatch {
    let fields: Vec<_> = schema.fields().iter().filter(|f| batch.column_by_name(f.name()).is_some()).cloned().collect();
    let column = |name: &str, wanted: &DataType| {
        let column = batch.column_by_name(name).unwrap();
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let fits = column.data_type() == wanted || (*wanted == DataType::Utf8View && *column.data_type() == dictionary);
        assert!(fits, "{name} is {} and not {wanted}", column.data_type());
        cast(column, wanted).unwrap()
    };
    let columns = fields.iter().map(|field| column(field.name(), field.data_type())).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(ArrowSchema::new(fields)), columns, &options).unwrap()
}

fn rows(extract: &Table) -> Vec<String> {
    let batch = &extract.batch;
    let cell = |column: &ArrayRef, row: usize| {
        if column.is_null(row) {
            return "NULL".to_owned();
        }
        match column.data_type() {
            DataType::Utf8View => column.as_string_view().value(row).to_owned(),
            DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
            DataType::Float64 => format!("{:?}", column.as_primitive::<Float64Type>().value(row)),
            DataType::Boolean => column.as_boolean().value(row).to_string(),
            other => format!("<{other}>"),
        }
    };
    let line = |row| batch.columns().iter().map(|c| cell(c, row)).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(line).collect()
}

fn kinds(extract: &Table) -> Vec<Kind> {
    match &extract.typing {
        Typing::Guess(schema) => schema.columns.iter().map(|c| c.kind).collect(),
        Typing::Declared => panic!("declared"),
    }
}

fn numbers(values: &[i64]) -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(values.to_vec())) as ArrayRef)]).unwrap()
}
