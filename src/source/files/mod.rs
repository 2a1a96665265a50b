//! Files of this machine: CSV, Parquet and NDJSON, one file or a glob, with an optional SQL model.
//!
//! In: [`FilesSource`]. Out: a [`Stream`] of Arrow batches.
//!
//! The path of a file: `discover` (which files match) → `choose` (which of them are the extract) → `compress` (gzip, zstd) → `csv` or `parquet`, in pieces. With a SQL
//! model, and for NDJSON: → a polars frame → `infer` and `typed` (what CSV text is worth) → `sql` (the model) →
//! `json_text` (nested NDJSON) → `bridge` (Arrow batches) → `memory` (pieces of these).
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
//! - CSV and Parquet without a model are read in flat memory: a few MiB (CSV) or the pages at hand (Parquet) for each
//!   thread. NDJSON and every model hold the whole extract in memory: a kind rests on all values of a column, and any row
//!   may count for a model.
//! - With `hive`, what the folders say are text columns behind the files' own (`partitions`), which also a model sees.
//! - No polars type leaves this folder, and no panic of polars does (`engine`).
//!
//! Deliberately absent: files at a distance (`source/remote` copies them and hands the copies on), writing.

mod bridge;
mod choose;
mod columns;
mod compress;
mod csv;
mod discover;
mod engine;
mod infer;
mod json_text;
mod memory;
mod ndjson;
mod parquet;
mod partitions;
mod sql;
mod stamp;
mod typed;

pub use parquet::{footer as parquet_footer, groups as parquet_groups};

use crate::job::spec::{Choice, CsvOptions, FileFormat, FilesSource};
use crate::row::Schema;
use crate::source::{Ask, Source, SourceError, Stream, Typing};
use choose::Chosen;
use chrono::{DateTime, Utc};
use partitions::Partitions;
use polars::prelude::DataFrame;
use std::path::PathBuf;

pub use choose::now as found;

/// The `files` source.
#[derive(Debug)]
pub struct Files {
    spec: FilesSource,
    /// The files, where they are known already.
    paths: Option<Vec<PathBuf>>,
    /// Only folders below this one say partitions.
    root: PathBuf,
    /// When the run started.
    at: DateTime<Utc>,
    /// The size of CSV blocks in bytes.
    block: usize,
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
        let root = discover::root(&spec);
        Files { spec, paths: None, root, at: DateTime::UNIX_EPOCH, block: csv::BLOCK }
    }

    /// The same for a run that started at `at`, by which ages are counted.
    #[must_use]
    pub fn at(self, at: DateTime<Utc>) -> Self {
        Files { at, ..self }
    }

    /// A source for exactly these files, in this order. Their folders below `root` may say partitions.
    pub fn of(spec: FilesSource, root: PathBuf, paths: Vec<PathBuf>) -> Self {
        Files { paths: Some(paths), root, ..Files::new(spec) }
    }

    /// A source for exactly these Parquet files.
    pub fn of_parquet(paths: Vec<PathBuf>) -> Self {
        let path = paths.first().cloned().unwrap_or_default();
        let csv = CsvOptions { header: true, delimiter: b',', quote: None, null_values: Vec::new() };
        let written = path.display().to_string();
        let (remote, choice, format) = (None, Choice::default(), FileFormat::Parquet);
        Files::of(FilesSource { written, path, remote, choice, format, csv, query: None }, PathBuf::new(), paths)
    }

    /// Cuts CSV into blocks of about so many bytes, for tests.
    #[must_use]
    pub fn with_block(mut self, bytes: usize) -> Self {
        self.block = bytes;
        self
    }

    fn chosen(&self, ask: &Ask<'_>) -> Result<Chosen, SourceError> {
        match &self.paths {
            Some(paths) => Ok(Chosen { paths: paths.clone(), held: Vec::new() }),
            None if self.spec.choice == Choice::default() => {
                Ok(Chosen { paths: discover::paths(&self.spec)?, held: Vec::new() })
            }
            None => choose::files(&self.spec, self.at, ask),
        }
    }

    fn partitions(&self, paths: &[PathBuf]) -> Result<Partitions, SourceError> {
        if self.spec.choice.hive { Partitions::of(paths, &self.root) } else { Ok(Partitions::default()) }
    }

    /// Reads the files. `limit` holds only without a model: a model needs every row to decide which ones it yields.
    fn read(&self, paths: &[PathBuf], pinned: Option<&Schema>, limit: Option<usize>) -> Result<Table, SourceError> {
        let query = self.spec.query.is_some();
        let partitions = self.partitions(paths)?;
        let limit = if query { None } else { limit };
        match self.spec.format {
            FileFormat::Csv => {
                let table = csv::read(paths, &self.spec.csv, pinned.is_some(), limit)?;
                let rows = table.rows.clone();
                let (frame, input) = typed::apply(table, pinned)?;
                let frame = partitions.add(frame, &rows)?;
                Ok(Table { frame, typing: Typing::Declared, input: Some(input) })
            }
            FileFormat::Parquet => {
                let (frame, rows) = parquet::read(paths, limit)?;
                Ok(Table { frame: partitions.add(frame, &rows)?, typing: Typing::Declared, input: None })
            }
            FileFormat::Ndjson => {
                let pinned = pinned.filter(|_| query);
                let table = ndjson::read(paths, ndjson::Options { pinned, members: query, limit })?;
                let input = query.then(|| typed::to_pin(table.kinds, pinned));
                let frame = partitions.add(table.frame, &table.rows)?;
                Ok(Table { frame, typing: Typing::Declared, input })
            }
        }
    }
}

impl Files {
    /// The whole extract in memory: a model may need every row, and so does the kind of a JSON field.
    fn whole(&self, paths: &[PathBuf], ask: &Ask<'_>) -> Result<memory::Whole, SourceError> {
        let limit = ask.limit;
        let Table { frame, typing, input } = self.read(paths, ask.pinned_input, limit)?;
        let frame = match &self.spec.query {
            Some(query) => sql::run(frame, query)?,
            None => frame,
        };
        let frame = match limit {
            Some(rows) if rows < frame.height() => frame.slice(0, rows),
            _ => frame,
        };
        let (schema, batches) = bridge::batches(frame, self.spec.format == FileFormat::Ndjson)?;
        Ok(memory::Whole { schema, batches, typing, input })
    }
}

impl Source for Files {
    fn stream(&self, ask: &Ask<'_>) -> Result<Stream, SourceError> {
        if let Some(query) = &self.spec.query {
            sql::only_select(query)?;
        }
        let Chosen { paths, held } = self.chosen(ask)?;
        let stream = match self.spec.format {
            FileFormat::Csv if self.spec.query.is_none() => {
                let (options, partitions) = (self.spec.csv.clone(), self.partitions(&paths)?);
                csv::stream(csv::Input { paths, partitions, options, block: self.block, limit: ask.limit }, ask)?
            }
            FileFormat::Parquet if self.spec.query.is_none() => {
                parquet::stream(&paths, &self.partitions(&paths)?, ask)?
            }
            _ => memory::stream(self.whole(&paths, ask)?),
        };
        Ok(choose::held(stream, held))
    }

    fn describe(&self) -> String {
        self.spec.written.clone()
    }
}
