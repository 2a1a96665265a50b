//! `[source]`: where rows come from.

use super::Templated;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Where rows come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Local files.
    Files(FilesSource),
    /// Whatever has an ADBC driver.
    Adbc(AdbcSource),
}

/// `[source] kind = "adbc"`
#[derive(Debug, Clone)]
pub struct AdbcSource {
    /// The driver as written.
    pub driver: String,
    /// Where it is.
    pub library: Library,
    /// The function that initialises it, if it is another than the driver's own default.
    pub entrypoint: Option<String>,
    /// Options of the database, the connection and the statement, by their names.
    pub options: BTreeMap<String, Templated>,
    /// Options of the connection.
    pub connection_options: BTreeMap<String, Templated>,
    /// Options of the statement.
    pub statement_options: BTreeMap<String, Templated>,
    /// What is asked of it.
    pub model: Model,
    /// Text columns that hold JSON, whatever the driver says.
    pub json: Vec<String>,
    /// How long everything may take.
    pub timeout: Duration,
    /// Whether names are quoted by backticks instead of double quotes.
    pub backticks: bool,
    /// How values are bound.
    pub placeholder: Placeholder,
}

/// Where a driver is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Library {
    /// A shared library or a manifest, absolute.
    Path(PathBuf),
    /// The name of an installed driver.
    Name(String),
}

/// How a database writes the places of bound values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// `?`
    Question,
    /// `$1`
    Dollar,
    /// `@p1`
    At,
    /// `:1`
    Colon,
}

impl Placeholder {
    /// That of the given number, from 1.
    pub fn of(self, number: usize) -> String {
        match self {
            Placeholder::Question => "?".to_owned(),
            Placeholder::Dollar => format!("${number}"),
            Placeholder::At => format!("@p{number}"),
            Placeholder::Colon => format!(":{number}"),
        }
    }
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
