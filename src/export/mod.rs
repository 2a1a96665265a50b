//! Rows as a file that other programs, and our own file source, read.
//!
//! In: canonical batches of one schema. Out: a CSV, Parquet or NDJSON file, or the same on a stream such as stdout.
//! Always holds: a file appears whole or not at all, under its name, and is on the disk by then; on unix its owner alone may read it, whatever
//! was there before; read back as an extract under the same pinned kinds,
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

/// What rows are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// With a header; text is quoted.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Snappy, no views.
    Parquet,
}

impl Format {
    /// What a file's name ends in.
    pub fn of(path: &Path) -> Option<Format> {
        match path.extension()?.to_string_lossy().to_lowercase().as_str() {
            "csv" => Some(Format::Csv),
            "ndjson" => Some(Format::Ndjson),
            "parquet" => Some(Format::Parquet),
            _ => None,
        }
    }
}

/// Where bytes go.
type Out = Box<dyn Write + Send>;

/// A format, with what is needed to write rows in it.
enum Rows {
    Csv(csv::CsvRows<BufWriter<Out>>),
    Ndjson(ndjson::NdjsonRows<BufWriter<Out>>),
    Parquet(Box<parquet::ParquetRows<Out>>),
}

/// A file that has not got its name yet. Dropped, it is gone.
struct Draft {
    path: PathBuf,
    file: File,
}

impl Draft {
    /// Beside the file that it will be.
    fn create(of: &Path) -> io::Result<Draft> {
        let mut path = of.as_os_str().to_owned();
        path.push(format!(".{}.part", std::process::id()));
        let path = PathBuf::from(path);
        // Of another process that had our id and was killed; its rights would be kept.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = File::options();
        options.write(true).create_new(true);
        // What orgs pay is nobody else's business.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        Ok(Draft { path, file })
    }

    /// Gives it its name, durably.
    fn rename(&self, to: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.path, to)?;
        // The name is durable only once the folder is.
        #[cfg(unix)]
        {
            let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `rename` there is none.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What rows are written to.
pub struct Export {
    path: PathBuf,
    /// The file until it has its name; `None`: it is a stream.
    draft: Option<Draft>,
    rows: Option<Rows>,
}

impl Rows {
    fn new(out: Out, format: Format, schema: &Schema, dialect: &Dialect) -> io::Result<Rows> {
        Ok(match format {
            Format::Csv => Rows::Csv(csv::CsvRows::new(BufWriter::new(out), schema, dialect)?),
            Format::Ndjson => Rows::Ndjson(ndjson::NdjsonRows::new(BufWriter::new(out), schema)),
            Format::Parquet => Rows::Parquet(Box::new(parquet::ParquetRows::new(out, schema)?)),
        })
    }
}

impl Export {
    /// Begins a file; its format is what the name ends in. `dialect`: how CSV is written.
    ///
    /// # Errors
    /// A name that says no format, a file that cannot be created.
    pub fn create(path: &Path, schema: &Schema, dialect: &Dialect) -> Result<Self, ExportError> {
        let format = Format::of(path).ok_or_else(|| ExportError::Format(path.to_owned()))?;
        Self::create_as(path, format, schema, dialect)
    }

    /// Begins a file, whatever its name ends in.
    ///
    /// # Errors
    /// A file that cannot be created.
    pub fn create_as(path: &Path, format: Format, schema: &Schema, dialect: &Dialect) -> Result<Self, ExportError> {
        let mut export = Export { path: path.to_owned(), draft: None, rows: None };
        let draft = Draft::create(path).map_err(|e| export.failed(e))?;
        let file = draft.file.try_clone().map_err(|e| export.failed(e))?;
        export.draft = Some(draft);
        export.rows = Some(Rows::new(Box::new(file), format, schema, dialect).map_err(|e| export.failed(e))?);
        Ok(export)
    }

    /// Begins on a stream, which errors call `name`.
    ///
    /// # Errors
    /// A stream that fails.
    pub fn on(
        stream: impl Write + Send + 'static,
        name: &str,
        format: Format,
        schema: &Schema,
        dialect: &Dialect,
    ) -> Result<Self, ExportError> {
        let mut export = Export { path: PathBuf::from(name), draft: None, rows: None };
        export.rows = Some(Rows::new(Box::new(stream), format, schema, dialect).map_err(|e| export.failed(e))?);
        Ok(export)
    }

    /// Adds rows.
    ///
    /// # Errors
    /// A full disk, or a value that the format cannot carry.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ExportError> {
        let written = match &mut self.rows {
            Some(Rows::Csv(rows)) => rows.write(batch),
            Some(Rows::Ndjson(rows)) => rows.write(batch).map_err(Fault::Io),
            Some(Rows::Parquet(rows)) => rows.write(batch).map_err(Fault::Io),
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
        let finished = match self.rows.take() {
            Some(Rows::Csv(rows)) => rows.into_inner().flush(),
            Some(Rows::Ndjson(rows)) => rows.into_inner().flush(),
            Some(Rows::Parquet(rows)) => rows.finish(),
            None => Ok(()),
        };
        let named = || self.draft.as_ref().map_or(Ok(()), |draft| draft.rename(&self.path));
        finished.and_then(|()| named()).map_err(|e| self.failed(e))
    }

    fn failed(&self, source: io::Error) -> ExportError {
        ExportError::Io { path: self.path.clone(), source }
    }
}

/// What is wrong with a row.
enum Fault {
    Io(io::Error),
    Value(String, &'static str),
}

#[cfg(test)]
mod tests;
