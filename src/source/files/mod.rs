//! Local files: CSV, Parquet and NDJSON, one file or a glob, with an optional SQL model.
//!
//! In: [`FilesSource`]. Out: an [`Extract`] of Arrow batches.
//!
//! The path of a file: `discover` (which files) → `compress` (gzip, zstd) → `csv`, `parquet` or `ndjson` (a polars
//! frame) → `infer` and `typed` (what CSV text is worth) → `sql` (the model) → `json_text` (nested NDJSON) → `bridge`
//! (Arrow batches).
//!
//! Always holds:
//! - An extract that could be cut off or garbled is an error that names file and line. Nothing is filled in, skipped or
//!   guessed silently.
//! - CSV values stay the text they are; without a query they leave as text, with a guess of their kinds. With a query
//!   they are typed strictly first: by the pinned input types where there are some, else by the guess.
//! - A model's input types stay as they were first pinned. A pinned column that is missing is the model's business: its
//!   SQL fails if it needs the column. A column without a value is not pinned.
//! - A limit without a model ends the reading: of CSV and NDJSON no row after it is looked at, of Parquet no row group.
//!   Guessed and inferred types rest on those rows then. With a model every row is read, since any may count.
//! - Several files are one table: CSV and Parquet files must have the same columns (the first file's order counts);
//!   NDJSON objects may lack fields, so NDJSON files may too.
//! - No polars type leaves this folder, and no panic of polars does (`engine`).
//!
//! Deliberately absent: object stores, streaming (a file is read whole), writing.

mod bridge;
mod columns;
mod compress;
mod csv;
mod csv_check;
mod discover;
mod engine;
mod infer;
mod json_text;
mod ndjson;
mod parquet;
mod sql;
mod typed;

use crate::job::spec::{FileFormat, FilesSource};
use crate::row::Schema;
use crate::source::{Extract, Source, SourceError, Typing};
use polars::prelude::DataFrame;
use std::path::PathBuf;

/// The `files` source.
#[derive(Debug)]
pub struct Files {
    spec: FilesSource,
}

/// A table as read, before the model and the bridge.
struct Table {
    frame: DataFrame,
    typing: Typing,
    input: Option<Schema>,
}

impl Files {
    /// A source for these files. Nothing is opened yet.
    pub fn new(spec: FilesSource) -> Self {
        Files { spec }
    }

    /// Reads the files. `limit` holds only without a model: a model needs every row to decide which ones it yields.
    fn read(&self, paths: &[PathBuf], pinned: Option<&Schema>, limit: Option<usize>) -> Result<Table, SourceError> {
        let query = self.spec.query.is_some();
        let limit = if query { None } else { limit };
        match self.spec.format {
            FileFormat::Csv => {
                let table = csv::read(paths, &self.spec.csv, query && pinned.is_some(), limit)?;
                if !query {
                    let guess = typed::guess(&table.frame)?;
                    return Ok(Table { frame: table.frame, typing: Typing::Guess(guess), input: None });
                }
                let (frame, input) = typed::apply(table, pinned)?;
                Ok(Table { frame, typing: Typing::Declared, input: Some(input) })
            }
            FileFormat::Parquet => {
                Ok(Table { frame: parquet::read(paths, limit)?, typing: Typing::Declared, input: None })
            }
            FileFormat::Ndjson => {
                let pinned = pinned.filter(|_| query);
                let table = ndjson::read(paths, ndjson::Options { pinned, members: query, limit })?;
                let input = query.then(|| typed::to_pin(table.kinds, pinned));
                Ok(Table { frame: table.frame, typing: Typing::Declared, input })
            }
        }
    }
}

impl Source for Files {
    fn pull(&self, pinned_input: Option<&Schema>, limit: Option<usize>) -> Result<Extract, SourceError> {
        if let Some(query) = &self.spec.query {
            sql::only_select(query)?;
        }
        let paths = discover::paths(&self.spec)?;
        let Table { frame, typing, input } = self.read(&paths, pinned_input, limit)?;
        let frame = match &self.spec.query {
            Some(query) => sql::run(frame, query)?,
            None => frame,
        };
        let frame = match limit {
            Some(rows) if rows < frame.height() => frame.slice(0, rows),
            _ => frame,
        };
        let (schema, batches) = bridge::batches(frame, self.spec.format == FileFormat::Ndjson)?;
        Ok(Extract { schema, batches, typing, input })
    }

    fn describe(&self) -> String {
        self.spec.written.clone()
    }
}
