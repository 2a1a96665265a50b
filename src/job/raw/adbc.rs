//! `[source] kind = "adbc"`

use super::RawDbt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A warehouse or database by its ADBC driver (Arrow Database Connectivity): Snowflake, BigQuery, Databricks, Spark, DuckDB, Flight SQL
/// and others.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAdbc {
    /// The driver: the path of its shared library (or of its manifest, `.toml`), relative to the home folder, or the name of an
    /// installed driver, such as `snowflake`, whose manifest is looked for in `ADBC_DRIVER_PATH`, `~/.config/adbc/drivers` and
    /// `/etc/adbc/drivers`.
    #[schemars(required, length(min = 1))]
    pub driver: Option<String>,
    /// The function that initialises the driver. Default: what the manifest or the library's name says, else `AdbcDriverInit`.
    #[schemars(length(min = 1))]
    pub entrypoint: Option<String>,
    /// The driver's database options, such as `uri`, `username`, `"adbc.snowflake.sql.account"`. Secrets are written `${NAME}` or
    /// `${file:PATH}`. Values go to the driver as they are: paths in them are to be absolute.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Options that the driver takes for a connection.
    #[serde(default)]
    pub connection_options: BTreeMap<String, String>,
    /// Options that the driver takes for a statement, such as the size of a batch.
    #[serde(default)]
    pub statement_options: BTreeMap<String, String>,
    /// The query, in the database's SQL. `{{last_success}}` and `{{run_date}}` are bound as values.
    #[schemars(length(min = 1))]
    pub query: Option<String>,
    /// A file with the query, relative to the home folder.
    #[schemars(length(min = 1))]
    pub query_file: Option<String>,
    /// A whole table or view, such as `analytics.orgs`; `"…"` around a part of its name that has a point or a blank in it.
    #[schemars(length(min = 1))]
    pub table: Option<String>,
    /// A model of a dbt project.
    pub dbt: Option<RawDbt>,
    /// Text columns whose every value is JSON, and which are compared as JSON. Columns that the driver says are JSON need not be named.
    #[serde(default)]
    pub json: Vec<String>,
    /// How long connecting, the query and reading its rows may take together (default `30m`).
    pub timeout: Option<String>,
    /// How the database quotes the names of `table`. Default: backticks if the driver's name has `spark`, `databricks`,
    /// `bigquery`, `mysql`, `mariadb` or `hive` in it, else double quotes.
    pub quotes: Option<RawQuotes>,
    /// The driver's placeholder for a value that is bound: `?`, `$1`, `@p1` or `:1`. Default: `$1` if the driver's name has `postgres` or
    /// `redshift` in it, `@p1` if it has `mssql` or `sqlserver`, else `?`.
    pub placeholder: Option<RawPlaceholder>,
}

/// How names are quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RawQuotes {
    /// `"name"`, as the standard has it.
    #[serde(rename = "\"")]
    Double,
    /// `` `name` ``: BigQuery, Spark, MySQL.
    #[serde(rename = "`")]
    Backtick,
}

/// How values are bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RawPlaceholder {
    /// `?` for each.
    #[serde(rename = "?")]
    Question,
    /// `$1`, `$2`, …
    #[serde(rename = "$1")]
    Dollar,
    /// `@p1`, `@p2`, …
    #[serde(rename = "@p1")]
    At,
    /// `:1`, `:2`, …
    #[serde(rename = ":1")]
    Colon,
}
