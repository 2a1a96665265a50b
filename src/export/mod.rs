//! Rows as a file that other programs, and our own file source, read.
//!
//! In: canonical batches of one schema. Out: a CSV, Parquet or NDJSON file, by the name's ending.
//! Always holds: the file appears whole or not at all, under its name; read back as an extract under the same pinned kinds,
//! every value is the same value. NULL differs from the empty text in every format.
//! Deliberately absent: which rows these are.

mod csv;
mod ndjson;
mod parquet;

pub use csv::Dialect;

use crate::row::Schema;
use arrow::array::RecordBatch;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Why rows cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A name that says no format.
    #[error("{0}: give the file a name that ends in .csv, .parquet or .ndjson, which says its format")]
    Format(PathBuf),
    /// The file system said no.
    #[error("{path} cannot be written: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A value that the format cannot carry.
    #[error("column `{column}`: {problem}; write .parquet or .ndjson instead")]
    Value {
        /// The column.
        column: String,
        /// What is wrong with it, without the value.
        problem: &'static str,
    },
}

/// A format, with what is needed to write rows in it.
enum Format {
    Csv(csv::CsvRows<BufWriter<File>>),
    Ndjson(ndjson::NdjsonRows<BufWriter<File>>),
    Parquet(Box<parquet::ParquetRows>),
}

/// A file that rows are written to.
pub struct Export {
    path: PathBuf,
    draft: PathBuf,
    format: Option<Format>,
}

impl Export {
    /// Begins a file; its format is what the name ends in. `dialect`: how CSV is written.
    ///
    /// # Errors
    /// A name that says no format, a file that cannot be created.
    pub fn create(path: &Path, schema: &Schema, dialect: &Dialect) -> Result<Self, ExportError> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
        if !["csv", "ndjson", "parquet"].contains(&ending.as_str()) {
            return Err(ExportError::Format(path.to_owned()));
        }
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}.part", std::process::id()));
        let mut export = Export { path: path.to_owned(), draft: draft.into(), format: None };
        let file = File::create(&export.draft).map_err(|e| export.failed(e))?;
        let format = match ending.as_str() {
            "csv" => csv::CsvRows::new(BufWriter::new(file), schema, dialect).map(Format::Csv),
            "ndjson" => Ok(Format::Ndjson(ndjson::NdjsonRows::new(BufWriter::new(file), schema))),
            _ => parquet::ParquetRows::new(file, schema).map(|rows| Format::Parquet(Box::new(rows))),
        };
        export.format = Some(format.map_err(|e| export.failed(e))?);
        Ok(export)
    }

    /// Adds rows.
    ///
    /// # Errors
    /// A full disk, or a value that the format cannot carry.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ExportError> {
        let written = match &mut self.format {
            Some(Format::Csv(rows)) => rows.write(batch),
            Some(Format::Ndjson(rows)) => rows.write(batch).map_err(Fault::Io),
            Some(Format::Parquet(rows)) => rows.write(batch).map_err(Fault::Io),
            None => Ok(()),
        };
        written.map_err(|fault| match fault {
            Fault::Io(error) => self.failed(error),
            Fault::Value(column, problem) => ExportError::Value { column, problem },
        })
    }

    /// Ends the file and gives it its name.
    ///
    /// # Errors
    /// A full disk.
    pub fn finish(mut self) -> Result<(), ExportError> {
        let finished = match self.format.take() {
            Some(Format::Csv(rows)) => whole(rows.into_inner()),
            Some(Format::Ndjson(rows)) => whole(rows.into_inner()),
            Some(Format::Parquet(rows)) => rows.finish(),
            None => Ok(()),
        };
        finished.and_then(|()| std::fs::rename(&self.draft, &self.path)).map_err(|e| self.failed(e))
    }

    fn failed(&self, source: io::Error) -> ExportError {
        ExportError::Io { path: self.path.clone(), source }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        // After `finish` there is none.
        let _ = std::fs::remove_file(&self.draft);
    }
}

/// What is wrong with a row.
enum Fault {
    Io(io::Error),
    Value(String, &'static str),
}

fn whole(mut writer: BufWriter<File>) -> io::Result<()> {
    writer.flush()
}

#[cfg(test)]
mod tests;
