//! Every source against a real engine: one list of cases, run for each ([`conformance`]).
//!
//! A new engine implements [`Engine`] and adds one line, `conformance!(…)`. What is asked is a query; of files (`files`), which of them, so that there the
//! cases that are about queries do not apply.

mod adbc;
mod at_once;
mod cases;
mod docs;
mod files;
pub mod memory;
mod mysql;
mod pooler;
mod postgres;
mod sqlite;
mod trust;
mod without_copy;

use crate::support::{Home, batches, job_file};
use arrow::array::{Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::array_value_to_string;
use nightmark::job::load_job;
use nightmark::source::{self, Ask, KIND_KEY, Source, SourceError, Stream, Typing};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A database that is asked, or a place with files. Each engine has its own SQL, or files, for the same questions.
pub trait Engine {
    /// `kind` and address of `[source]`, as lines of TOML, with the password in the file `password` of the home folder. What is asked
    /// follows.
    fn source(&self) -> String;
    /// What stands in `[source]` for what is asked.
    fn asking(&self, what: &str) -> String {
        format!("{}query = '''{what}'''\n", self.source())
    }
    /// The password, written to that file.
    fn password(&self) -> String;
    /// Every type that the engine has, and what becomes of it.
    fn types(&self) -> Types;
    /// The four columns of [`rows`](Engine::rows), and no row.
    fn none(&self) -> String {
        format!("SELECT * FROM ({}) AS r WHERE n < 0", self.rows(3))
    }
    /// Three rows: `workspace_id`, and of `v_some` only the second is not NULL (2), of `v_none` none, of `v_empty` the third (an empty text).
    fn nulls(&self) -> String {
        format!(
            "SELECT workspace_id, CASE WHEN n = 2 THEN n END AS v_some, CASE WHEN n < 0 THEN plan END AS v_none, \
             CASE WHEN n = 3 THEN '' END AS v_empty FROM ({}) AS r ORDER BY n",
            self.rows(3)
        )
    }
    /// `workspace_id`, and two columns that are called `b`.
    fn names_twice(&self) -> String {
        "SELECT 'ws_1' AS workspace_id, 2 AS b, 3 AS b".to_owned()
    }
    /// A query of columns that cannot be carried: the query, the columns, and for each a part of the cast to write.
    fn unfit(&self) -> (String, Vec<(&'static str, &'static str)>);
    /// So many rows: `workspace_id` (text, `ws_1`, …), `n` (an integer from 1, ascending), `plan` (one of few texts), `mrr` (a decimal of
    /// two places, n / 100).
    fn rows(&self, count: u64) -> String;
    /// How many of [`rows`](Engine::rows) take several seconds.
    fn many(&self) -> u64 {
        20_000_000
    }
    /// So many rows: `workspace_id`, and `payload`, a text of so many bytes.
    fn wide(&self, count: u64, bytes: usize) -> String;
    /// A query that does not end by itself within a minute, and yields nothing before.
    fn endless(&self) -> String;
    /// A query that takes some seconds, and yields nothing before. Where a driver cannot cancel, it is at work to its end, whoever has let go of it: what
    /// is asked in the process of the tests then has one.
    fn slow(&self) -> String {
        self.endless()
    }
    /// A query whose one row has the parameters: `since` (text, `YYYY-MM-DD HH:MM:SS` in UTC) and `day` (text, `YYYY-MM-DD`).
    fn parameters(&self) -> String;
    /// How many queries of ours the engine is at work for; `None` if it cannot say.
    fn running(&self) -> Option<usize>;
    /// Of a source that copies what it then reads: from now on it gets the beginning and no more. Whether it is one.
    fn hold(&self) -> bool {
        false
    }
    /// Whether it has the beginning of a copy, and waits.
    fn is_held(&self) -> bool {
        false
    }
    /// Takes the database away from under the extracts that are being read.
    fn cut(&self);
}

/// A query of one row with a value of every type, and then one of NULLs.
pub struct Types {
    pub query: String,
    /// Name, Arrow type (with ` json` behind it, where it is text that holds JSON, and ` like KIND` where that is what it is guessed to be), and the value as
    /// Arrow shows it.
    pub columns: Vec<(&'static str, &'static str, &'static str)>,
}

impl Types {
    /// Of columns: expression of the value, name, type, value. `quote` stands around names. `row`: what yields the one row, which also has the
    /// column `one`, as something to join with; its columns are given.
    pub fn of(
        columns: Vec<(&'static str, &'static str, &'static str, &'static str)>,
        quote: char,
        row: impl FnOnce(&str) -> String,
    ) -> Self {
        let quoted = |name: &str| format!("{quote}{name}{quote}");
        let values: Vec<String> =
            columns.iter().map(|(value, name, ..)| format!("{value} AS {}", quoted(name))).collect();
        let names: Vec<String> = columns.iter().map(|(_, name, ..)| quoted(name)).collect();
        let query = format!(
            "SELECT {} FROM (VALUES (1), (2)) AS k(k) LEFT JOIN {} AS v ON v.one = k.k ORDER BY k.k",
            names.join(", "),
            row(&format!("1 AS one, {}", values.join(", ")))
        );
        Types { query, columns: columns.into_iter().map(|(_, name, of, value)| (name, of, value)).collect() }
    }
}

/// A job over an engine.
pub struct Case {
    pub home: Home,
    pub source: Box<dyn Source>,
}

impl Case {
    /// `what` is asked. `more`: further lines of `[source]`.
    #[track_caller]
    pub fn new(engine: &dyn Engine, what: &str, more: &str) -> Self {
        Case::of(&engine.password(), &format!("{}{more}", engine.asking(what)))
    }

    /// The same from the lines of `[source]`.
    #[track_caller]
    pub fn of(password: &str, section: &str) -> Self {
        let home = Home::new();
        home.write("password", password);
        write_job(&home, section, "http://127.0.0.1:9/");
        let source = open(&home.path(""));
        Case { home, source }
    }

    pub fn stream(&self, limit: Option<usize>) -> Result<Stream, SourceError> {
        self.source.stream(&Ask { pinned: None, pinned_input: None, limit, wanted: &|_| true })
    }

    /// The whole extract.
    pub fn read(&self) -> Result<Table, SourceError> {
        self.stream(None).and_then(collect)
    }

    /// The error of an extract that cannot be read.
    #[track_caller]
    pub fn error(&self) -> SourceError {
        match self.read() {
            Ok(table) => panic!("{} rows", table.len()),
            Err(error) => error,
        }
    }
}

/// Writes `jobs/orgs.toml`.
pub fn write_job(home: &Home, section: &str, url: &str) {
    let job = job_file("", &format!("url = \"{url}\""), "preset = \"flat\"");
    let files = "[source]\nkind = \"files\"\npath = \"orgs.csv\"\n";
    assert!(job.contains(files), "{job}");
    home.write("jobs/orgs.toml", &job.replace(files, &format!("[source]\n{section}")));
}

/// The source of a home's job, as the program opens it.
#[track_caller]
pub fn open(home: &Path) -> Box<dyn Source> {
    let environment = crate::support::environment(home);
    let home = nightmark::config::Home::new(home).unwrap();
    let job = load_job(&home, "orgs").unwrap_or_else(|error| panic!("{error}"));
    source::open(&job.source, &environment)
}

/// An extract in memory.
pub struct Table {
    pub schema: SchemaRef,
    pub typing: Typing,
    pub batches: Vec<RecordBatch>,
}

/// Reads a stream by two threads.
pub fn collect(stream: Stream) -> Result<Table, SourceError> {
    let batches = batches(&*stream.rows, 2)?;
    Ok(Table { schema: stream.schema, typing: stream.typing, batches })
}

impl Table {
    pub fn len(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The values of a column as text; `NULL` for NULL.
    pub fn column(&self, name: &str) -> Vec<String> {
        let mut all = Vec::new();
        for batch in &self.batches {
            let column = batch.column_by_name(name).unwrap_or_else(|| panic!("no `{name}` in {:?}", batch.schema()));
            // Arrow shows no zone by its name.
            let (shown, zone) = match column.data_type() {
                DataType::Timestamp(unit, Some(zone)) => {
                    assert_eq!(zone.as_ref(), "UTC");
                    (cast(column, &DataType::Timestamp(*unit, None)).unwrap(), "Z")
                }
                _ => (Arc::clone(column), ""),
            };
            let nulls = column.logical_nulls();
            all.extend((0..column.len()).map(|row| match nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                true => "NULL".to_owned(),
                false => array_value_to_string(&shown, row).unwrap() + zone,
            }));
        }
        all
    }

    /// The type of a column, as [`Types`] writes it.
    pub fn type_of(&self, name: &str) -> String {
        let field = self.schema.field_with_name(name).unwrap();
        let json = if field.metadata().get(KIND_KEY).is_some_and(|kind| kind == "json") { " json" } else { "" };
        assert!(field.is_nullable(), "{name}");
        let guess = match &self.typing {
            Typing::Declared => String::new(),
            Typing::Guess(kinds) => format!(" like {}", kinds.columns[kinds.index_of(name).unwrap()].kind),
        };
        format!("{}{json}{guess}", field.data_type())
    }
}

/// Waits until something holds. The bound is there only so that a broken build ends.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not within a minute: {what}");
}

/// One test for each case.
macro_rules! conformance {
    ($engine:expr) => {
        mod conformance {
            use super::*;

            crate::sources::conformance!(@cases $engine;
                types, unfit, empty, nulls, names_twice, parameters, limit, wanted, several_times, in_order, wide,
                cancelled, lost, time_out, lost_in_a_run, ended_in_a_run, stopped_while_it_waits, memory);
        }
    };
    ($engine:expr, files) => {
        mod conformance {
            use super::*;

            crate::sources::conformance!(@cases $engine;
                types, empty, nulls, names_twice, limit, wanted, several_times, in_order, wide,
                cancelled, lost, lost_in_a_run, ended_in_a_run, memory);
        }
    };
    // A run takes a copy as its base at once, and compares that: what is cut later is no loss to it.
    ($engine:expr, taken) => {
        mod conformance {
            use super::*;

            crate::sources::conformance!(@cases $engine;
                types, empty, nulls, names_twice, limit, wanted, several_times, in_order, wide,
                cancelled, lost, ended_in_a_run, memory);
        }
    };
    // No connection is left when the first row is there: it is lost to a run that copies.
    ($engine:expr, copies) => {
        mod conformance {
            use super::*;

            crate::sources::conformance!(@cases $engine;
                types, empty, nulls, names_twice, limit, wanted, several_times, in_order, wide,
                cancelled, lost_in_a_run, ended_in_a_run, memory);
        }
    };
    (@cases $engine:expr; $($case:ident),*) => {
        $(#[test]
        fn $case() {
            crate::sources::cases::$case(&$engine);
        })*
    };
}
pub(crate) use conformance;
