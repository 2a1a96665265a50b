//! `[source]`: where rows come from.

use super::{AdbcSource, Templated};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Where rows come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Files, here or at a distance.
    Files(FilesSource),
    /// Whatever has an ADBC driver.
    Adbc(AdbcSource),
    /// PostgreSQL, or what speaks its protocol.
    Postgres(DatabaseSource),
    /// MySQL or MariaDB.
    Mysql(DatabaseSource),
    /// A SQLite file.
    Sqlite(SqliteSource),
}

impl Source {
    /// What is asked of a database; `None` for sources that are none.
    pub fn model(&self) -> Option<&Model> {
        match self {
            Source::Files(_) => None,
            Source::Postgres(of) | Source::Mysql(of) => Some(&of.model),
            Source::Sqlite(of) => Some(&of.model),
            Source::Adbc(of) => Some(&of.model),
        }
    }

    /// Everything that may have `${…}` in it, each with the field that it stands in.
    pub fn templated(&self) -> Vec<(String, &Templated)> {
        match self {
            Source::Postgres(of) | Source::Mysql(of) => vec![("source.url".to_owned(), &of.url)],
            Source::Adbc(of) => [
                options("options", &of.options),
                options("connection_options", &of.connection_options),
                options("statement_options", &of.statement_options),
            ]
            .concat(),
            Source::Files(FilesSource { remote: Some(remote), .. }) => {
                let path = vec![("source.path".to_owned(), &remote.address)];
                [path, options("options", &remote.options)].concat()
            }
            Source::Files(_) | Source::Sqlite(_) => Vec::new(),
        }
    }
}

fn options<'o>(field: &str, of: &'o BTreeMap<String, Templated>) -> Vec<(String, &'o Templated)> {
    of.iter().map(|(name, value)| (format!("source.{field}.{name}"), value)).collect()
}

/// `[source] kind = "files"`
#[derive(Debug, Clone)]
pub struct FilesSource {
    /// The path or glob as written.
    pub written: String,
    /// The same, absolute; of files at a distance it means nothing.
    pub path: PathBuf,
    /// Where they are, if not on this machine.
    pub remote: Option<Remote>,
    /// Which of the files that match are the extract.
    pub choice: Choice,
    /// What the files hold; by extension unless the job says so.
    pub format: FileFormat,
    /// How CSV is written.
    pub csv: CsvOptions,
    /// A SQL model over the table `extract`.
    pub query: Option<String>,
}

/// Files at a distance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The address or pattern, such as `s3://bucket/orgs_*.parquet`. Only that of HTTP is percent-encoded.
    pub address: Templated,
    /// How to go there.
    pub scheme: Scheme,
    /// Settings, among them secrets; each is one that the scheme has.
    pub options: BTreeMap<String, Templated>,
}

/// Ways to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `s3://`, `s3a://`
    S3,
    /// `gs://`
    Google,
    /// `az://`, `abfs://`, `abfss://`
    Azure,
    /// `http://`, `https://`: single files, since there is no list of them.
    Http,
    /// `sftp://`
    Sftp,
}

/// Which of the files that match are the extract, and when it may be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Only the latest; `None`: all.
    pub latest: Option<Latest>,
    /// The name of the file that says that another is complete, in the same folder; `{name}` stands for the other's name.
    pub done_marker: Option<String>,
    /// So long a file has to be the same.
    pub settled: Option<Duration>,
    /// Beyond this age the run is held.
    pub max_age: Option<Duration>,
    /// Whether folders such as `dt=2026-01-15` are columns.
    pub hive: bool,
}

/// What makes files the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Latest {
    /// The time of the last change, then the name.
    Modified,
    /// The name; numbers in it count as numbers.
    Name,
    /// The values of these partition columns, the first one first; of all of them if none is named.
    Partition(Vec<String>),
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

/// `[source] kind = "postgres"` and `"mysql"`
#[derive(Debug, Clone)]
pub struct DatabaseSource {
    /// The address. Its password is a reference, so that it may be shown as written.
    pub url: Templated,
    /// What is asked of it.
    pub model: Model,
    /// How the connection is encrypted; `None`: as the address says, else verified in full unless it stays on this machine.
    pub tls: Option<Tls>,
    /// Certificates that the server's must come from, absolute.
    pub tls_ca: Option<PathBuf>,
    /// How long the query may take in all.
    pub timeout: Duration,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    Disable,
    /// If the server can; its certificate is not looked at.
    Prefer,
    /// Always; the certificate is not looked at.
    Require,
    /// Always, with a certificate of a trusted authority.
    VerifyCa,
    /// Always, with a certificate of a trusted authority for this host.
    VerifyFull,
}

/// `[source] kind = "sqlite"`
#[derive(Debug, Clone)]
pub struct SqliteSource {
    /// The path as written.
    pub written: String,
    /// The same, absolute.
    pub path: PathBuf,
    /// What is asked of it.
    pub model: Model,
    /// How long the query may take in all.
    pub timeout: Duration,
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
