//! The adbc source against real drivers: DuckDB, SQLite, PostgreSQL and Spark, and one of our own that misbehaves.

mod duckdb;
pub mod engines;
mod foreign;
mod loading;
mod pages;
mod postgres;
pub mod proxy;
mod runs;
pub mod spark;
pub mod sqlite;

use crate::support::{batches, environment};
use arrow::array::RecordBatch;
use nightmark::job::spec::{Job, Source as Spec};
use nightmark::normalise::{Plan, Role, plain};
use nightmark::row::{RowRef, Value};
use nightmark::source::adbc::Adbc;
use nightmark::source::{Ask, Source, SourceError, Stream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// A source in a home folder of its own.
struct Case {
    home: TempDir,
    /// The lines of `[source]` besides `kind`.
    source: String,
    limit: Option<usize>,
    grace: Duration,
    pinned_at: Option<nightmark::source::Parameters>,
}

/// An extract's columns and rows as text.
#[derive(Debug, PartialEq, Eq)]
struct Table {
    /// Name and kind.
    columns: Vec<String>,
    /// Values by `|`; NULL as `NULL`.
    rows: Vec<String>,
}

impl Case {
    fn new(driver: &Path, lines: &str) -> Self {
        let source = format!("driver = {:?}\n{lines}\n", driver.display().to_string());
        Case {
            home: tempfile::tempdir().unwrap(),
            source,
            limit: None,
            grace: Duration::from_secs(10),
            pinned_at: None,
        }
    }

    fn query(driver: &Path, lines: &str, query: &str) -> Self {
        Case::new(driver, &format!("query = '''{query}'''\n{lines}"))
    }

    fn limit(mut self, rows: usize) -> Self {
        self.limit = Some(rows);
        self
    }

    fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// What `{{…}}` stands for.
    fn parameters(mut self, last_success: &str, run_date: &str) -> Self {
        let last_success = Some(last_success.parse().unwrap());
        self.pinned_at = Some(nightmark::source::Parameters { last_success, run_date: run_date.parse().unwrap() });
        self
    }

    fn job(&self) -> Job {
        let text = job_text(&self.source);
        let parsed = nightmark::job::parse(&text, Path::new("jobs/orgs.toml"), self.home.path());
        parsed.unwrap_or_else(|problems| panic!("{problems:?}\n{text}"))
    }

    fn source(&self) -> Adbc {
        let Spec::Adbc(spec) = self.job().source else { panic!("adbc") };
        let mut environment = environment(self.home.path());
        if let (Some(parameters), Some(environment)) = (self.pinned_at, std::sync::Arc::get_mut(&mut environment)) {
            environment.parameters = parameters;
        }
        Adbc::new(spec, environment).with_grace(self.grace)
    }

    fn stream(&self) -> Result<Stream, SourceError> {
        self.source().stream(&Ask { pinned: None, pinned_input: None, limit: self.limit, wanted: &|_| true })
    }

    fn read(&self) -> Result<Table, SourceError> {
        self.stream().and_then(|stream| table(&stream))
    }

    #[track_caller]
    fn check(&self, columns: &[&str], rows: &[&str]) {
        let found = self.read().unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(found.columns, columns);
        assert_eq!(found.rows, rows);
    }

    /// The error has all of these in it.
    #[track_caller]
    fn check_error(&self, parts: &[&str]) -> SourceError {
        let error = self.read().map(|table| table.rows.len()).unwrap_err();
        let text = format!("{} / {}", error.message, error.hint.as_deref().unwrap_or_default());
        for part in parts {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
        error
    }
}

fn job_text(source: &str) -> String {
    format!(
        "version = 1\n[source]\nkind = \"adbc\"\n{source}\n[diff]\nkey = \"id\"\n[destination]\nkind = \"http\"\n\
         url = \"http://127.0.0.1:1/\"\n[payload]\npreset = \"flat\"\n"
    )
}

/// As the pipeline would have it: normalised.
fn table(stream: &Stream) -> Result<Table, SourceError> {
    let plan = Plan::new(&stream.schema, &stream.typing, None, &|_| Role::Strict).unwrap();
    let columns = plan.schema().columns.iter().map(|column| format!("{}: {}", column.name, column.kind)).collect();
    let mut rows = Vec::new();
    for batch in batches(&*stream.rows, 2)? {
        for (field, ours) in stream.schema.fields().iter().zip(batch.schema().fields()) {
            let text = "Dictionary(Int32, Utf8)";
            let fits = field.data_type() == ours.data_type() || ours.data_type().to_string() == text;
            assert!(fits, "{}: {} instead of {}", field.name(), ours.data_type(), field.data_type());
        }
        let normalised = plan.batch(&batch).unwrap();
        assert!(normalised.misfits.is_empty(), "{:?}", normalised.misfits);
        let plain = normalised.batch.columns().iter().map(|array| plain(array).unwrap()).collect();
        let batch = RecordBatch::try_new(plan.schema().arrow(), plain).unwrap();
        let cell = |row, column| match (RowRef { schema: plan.schema(), batch: &batch, row }).value(column) {
            Value::Null => "NULL".to_owned(),
            value => value.text(),
        };
        let line = |row| (0..batch.num_columns()).map(|column| cell(row, column)).collect::<Vec<_>>().join("|");
        rows.extend((0..batch.num_rows()).map(line));
    }
    Ok(Table { columns, rows })
}

/// How many rows, and that `id` counts them from 0.
fn count(stream: &Stream) -> Result<u64, SourceError> {
    let mut rows = 0;
    while let Some(piece) = stream.rows.next()? {
        for batch in piece.batches {
            rows += batch?.num_rows() as u64;
        }
    }
    Ok(rows)
}

/// A file in the folder, with its absolute path.
fn file(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path
}
