//! `[source]`

use super::RawAdbc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where rows come from, one per org.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RawSource {
    /// Local files.
    Files(RawFiles),
    /// A warehouse or database by its ADBC driver.
    Adbc(RawAdbc),
}

/// CSV, Parquet or NDJSON files.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFiles {
    /// A file or a glob such as `data/orgs_*.parquet`, relative to the home folder.
    #[schemars(required, length(min = 1))]
    pub path: Option<String>,
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
