//! `[source]`: where rows come from.

use super::AdbcSource;
use std::path::PathBuf;

/// Where rows come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Local files.
    Files(FilesSource),
    /// Whatever has an ADBC driver.
    Adbc(AdbcSource),
}

/// `[source] kind = "files"`
#[derive(Debug, Clone)]
pub struct FilesSource {
    /// The path or glob as written.
    pub written: String,
    /// The same, absolute.
    pub path: PathBuf,
    /// What the files hold; by extension unless the job says so.
    pub format: FileFormat,
    /// How CSV is written.
    pub csv: CsvOptions,
    /// A SQL model over the table `extract`.
    pub query: Option<String>,
}

/// The formats of file sources. gzip and zstd are recognised by a file's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Separated values, plain, gzip or zstd.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// One JSON object per line, plain, gzip or zstd.
    Ndjson,
}

/// How CSV is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    /// Whether the first line names the columns; otherwise they are `column_1`, `column_2`, …
    pub header: bool,
    /// One ASCII character.
    pub delimiter: u8,
    /// One ASCII character, or none: quotes are ordinary text.
    pub quote: Option<u8>,
    /// Unquoted spellings of NULL. The empty field is NULL by default (`[""]`).
    pub null_values: Vec<String>,
}

/// The rows of a database: what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Model {
    /// SQL in the job file.
    Query(String),
    /// SQL in a file of its own.
    QueryFile {
        /// As written.
        written: String,
        /// Absolute.
        path: PathBuf,
    },
    /// All rows of a table or view.
    Table {
        /// The parts of its name, outermost first, such as schema and table. None is empty.
        name: Vec<String>,
    },
    /// What dbt has compiled of a model.
    Dbt {
        /// The project's folder as written.
        written: String,
        /// The project's folder, absolute; its `target/manifest.json` is read.
        project: PathBuf,
        /// The model's name, or `PACKAGE.NAME`.
        model: String,
    },
}
