//! The files source against real files: every format, every error that must name its place.

mod csv;
mod files;
mod model;
mod ndjson;
mod nights;
mod parquet;

use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use nightmark::job::spec::{CsvOptions, FileFormat, FilesSource};
use nightmark::row::{Column, Kind, Schema};
use nightmark::source::files::Files;
use nightmark::source::{Extract, Source, SourceError, Typing};
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
        let spec = FilesSource { written: written.to_owned(), path, format, csv, query: None };
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

    fn pull(&self) -> Result<Extract, SourceError> {
        Files::new(self.spec.clone()).pull(self.pinned.as_ref(), self.limit)
    }

    /// The rows as text: columns by `|`, NULL as `NULL`.
    #[track_caller]
    fn check(&self, expected: &[&str]) -> Extract {
        let extract = self.pull().unwrap();
        assert_eq!(rows(&extract), expected);
        extract
    }

    /// The error, with the folder's name taken out of it.
    #[track_caller]
    fn check_error(&self, expected: &str) -> SourceError {
        let error = self.pull().unwrap_err();
        let folder = format!("{}/", self.folder.path().display());
        assert_eq!(error.message.replace(&folder, ""), expected);
        error
    }
}

fn schema(kinds: &[(&str, Kind)]) -> Schema {
    Schema { columns: kinds.iter().map(|&(name, kind)| Column { name: name.to_owned(), kind }).collect() }
}

fn whole(extract: &Extract) -> RecordBatch {
    assert!(!extract.batches.is_empty());
    concat_batches(&extract.schema, &extract.batches).unwrap()
}

fn rows(extract: &Extract) -> Vec<String> {
    let batch = whole(extract);
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

fn kinds(extract: &Extract) -> Vec<Kind> {
    match &extract.typing {
        Typing::Guess(schema) => schema.columns.iter().map(|c| c.kind).collect(),
        Typing::Declared => panic!("declared"),
    }
}

fn numbers(values: &[i64]) -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(values.to_vec())) as ArrayRef)]).unwrap()
}
