//! `[source]`

use super::{OneOrMany, RawAdbc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where rows come from, one per org.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RawSource {
    /// Files on this machine, in an object store, behind HTTP or SFTP.
    Files(RawFiles),
    /// A PostgreSQL database, or a server that speaks its protocol, such as Redshift.
    Postgres(RawDatabase),
    /// A MySQL or MariaDB database.
    Mysql(RawDatabase),
    /// A SQLite file.
    Sqlite(RawSqlite),
    /// A warehouse or database by its ADBC driver.
    Adbc(RawAdbc),
}

/// CSV, Parquet or NDJSON files.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFiles {
    /// A file or a glob such as `data/orgs_*.parquet`, relative to the home folder; or at a distance: `s3://BUCKET/…`, `gs://BUCKET/…`,
    /// `az://CONTAINER/…`, `abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/…`, `https://HOST/…`, `sftp://USER@HOST/…`.
    #[schemars(required, length(min = 1))]
    pub path: Option<String>,
    /// Which of the files that match are the extract: `all` (default) or only the `latest`.
    pub pick: Option<RawPick>,
    /// What makes a file the latest: `modified`, the time of its last change (default), `name`, or the partition columns that say
    /// it (default with `hive`: all of them).
    pub latest_by: Option<OneOrMany>,
    /// The name of a file that says that the extract is complete, in the same folder: `_SUCCESS`, or `{name}.done` for one beside
    /// each file.
    #[schemars(length(min = 1))]
    pub done_marker: Option<String>,
    /// A file is read only once it has been the same for so long, such as `1m`: it may still be being written before.
    pub settled: Option<String>,
    /// How old the extract may be, such as `36h` or `2d`; the run of an older one is held.
    pub max_age: Option<String>,
    /// Whether folders such as `dt=2026-01-15` are columns (default false).
    pub hive: Option<bool>,
    /// How to reach files at a distance, such as `aws_region`; values may have `${ENV}` or `${file:PATH}` in them.
    pub options: Option<BTreeMap<String, String>>,
    /// What the files hold. Default: by extension (.csv .tsv .parquet .ndjson .jsonl; text formats also .gz or .zst).
    pub format: Option<RawFormat>,
    /// A SQL model over the table `extract`, such as `SELECT * FROM extract WHERE deleted_at IS NULL`. A number that is
    /// not finite, such as the result of a division by zero, is sent as null.
    #[schemars(length(min = 1))]
    pub query: Option<String>,
    /// CSV: whether the first line names the columns (default true); otherwise they are `column_1`, `column_2`, …
    pub header: Option<bool>,
    /// CSV: the one character between fields. Default: a comma, or a tab in .tsv files.
    pub delimiter: Option<String>,
    /// CSV: the one character around fields (default `"`); the empty string means that quotes are ordinary text.
    pub quote: Option<String>,
    /// CSV: unquoted spellings of NULL. Default: only the empty field, `[""]`.
    pub null_values: Option<Vec<String>>,
}

/// Which of several files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawPick {
    /// All of them are one table.
    All,
    /// Only the latest.
    Latest,
}

/// What files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawFormat {
    /// Comma-separated values.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// Apache Parquet.
    Parquet,
    /// One JSON object per line.
    Ndjson,
}

/// A database server. One of `query`, `query_file`, `table` and `dbt` says which rows are read.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawDatabase {
    /// The database, such as `postgres://nightmark:${PG_PASSWORD}@db.example:5432/crm` or
    /// `mysql://nightmark:${MYSQL_PASSWORD}@db.example:3306/crm`; all of it may be a reference. A password is always one.
    #[schemars(required, length(min = 1))]
    pub url: Option<String>,
    /// A query with one row per org. It may ask for `{{last_success}}` and `{{run_date}}`, which are bound as values.
    #[schemars(length(min = 1))]
    pub query: Option<String>,
    /// A file with such a query, relative to the home folder.
    #[schemars(length(min = 1))]
    pub query_file: Option<String>,
    /// All rows of a table or view, such as `public.orgs`.
    #[schemars(length(min = 1))]
    pub table: Option<String>,
    /// A compiled model of a dbt project.
    pub dbt: Option<RawDbt>,
    /// How the connection is encrypted. Default: `verify-full`, and for this machine itself (loopback, sockets) `prefer`.
    pub tls: Option<RawTls>,
    /// Certificates (PEM) that the server's must come from, relative to the home folder. Default: those of the system.
    #[schemars(length(min = 1))]
    pub tls_ca: Option<String>,
    /// How long the query may take in all, such as `30m` (default) or `2h`.
    pub timeout: Option<String>,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RawTls {
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

/// A SQLite file. One of `query`, `query_file`, `table` and `dbt` says which rows are read.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSqlite {
    /// The file, relative to the home folder. It is only read.
    #[schemars(required, length(min = 1))]
    pub path: Option<String>,
    /// A query with one row per org. It may ask for `{{last_success}}` and `{{run_date}}`, which are bound as values.
    #[schemars(length(min = 1))]
    pub query: Option<String>,
    /// A file with such a query, relative to the home folder.
    #[schemars(length(min = 1))]
    pub query_file: Option<String>,
    /// All rows of a table or view.
    #[schemars(length(min = 1))]
    pub table: Option<String>,
    /// A compiled model of a dbt project.
    pub dbt: Option<RawDbt>,
    /// How long the query may take in all, such as `30m` (default) or `2h`.
    pub timeout: Option<String>,
}

/// A model of a dbt project, as `dbt compile`, `dbt run` or `dbt build` has left it in `target/manifest.json`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawDbt {
    /// The project's folder, relative to the home folder.
    #[schemars(required, length(min = 1))]
    pub project: Option<String>,
    /// The model's name; `PACKAGE.NAME` where several packages have one of this name.
    #[schemars(required, length(min = 1))]
    pub model: Option<String>,
}
