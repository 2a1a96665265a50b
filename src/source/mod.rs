//! Where rows come from.
//!
//! In: the `[source]` of a job and an [`Ask`]. Out: a [`Stream`], a schema and Arrow record batches, one row per org, in
//! [`Piece`]s that several threads decode at once.
//!
//! Always holds:
//! - An extract is complete or an error, never a part. It is complete when [`Rows::next`] has said `None` and every piece
//!   has been read to its end without an error.
//! - Values are as the source typed them (the canonical form is made by `normalise`); no type of an adapter's library
//!   crosses this boundary.
//! - A query that stands in a file is read once for all openings of a run, and what was asked says whether the extract has all orgs.
//! - Memory does not grow with the extract, but for sources that say so (`files`: NDJSON and SQL models).
//!
//! Deliberately absent: keys, comparison, any knowledge of last night but the pinned types.
//!
//! A new source is a folder here with one [`Source`], one line in [`open`], one page in docs/, one conformance line.

pub mod adbc;
mod caught;
mod chosen;
mod environment;
pub mod files;
mod model;
mod parameters;
pub mod pick;
mod remote;
pub mod sql;

pub use environment::Environment;
pub use parameters::{Bound, Parameter, Parameters, bind};

use crate::job::spec;
use crate::row::Schema;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::path::PathBuf;
use std::sync::Arc;

/// The key of Arrow field metadata by which a source says what a text column holds, where the Arrow type cannot.
pub const KIND_KEY: &str = "nightmark.kind";

/// The value of [`KIND_KEY`] on a text column whose every value is JSON.
pub const KIND_JSON: &str = "json";

/// Whether the source knows its types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typing {
    /// The Arrow types are facts (Parquet, NDJSON, SQL): a changed type is drift.
    Declared,
    /// Every column is text; these kinds are what tonight's values look like, one per column. Kinds pinned earlier win.
    Guess(Schema),
}

/// What is asked of a source.
pub struct Ask<'a> {
    /// The kinds that were pinned with earlier bases. A source that guesses need not guess these columns: its guess for
    /// them is the pinned kind.
    pub pinned: Option<&'a Schema>,
    /// The input types of a SQL model, if they were pinned ([`Stream::input`] of that night).
    pub pinned_input: Option<&'a Schema>,
    /// At most so many rows, for `check`'s sample, without reading much more than those where that is possible. The schema
    /// and the guesses then rest on that part: they are to be shown, not to be pinned.
    pub limit: Option<usize>,
    /// Which columns the batches must have. A source may leave the others out of the batches, and need not guess them
    /// (their guess is text then); they stand in the schema all the same.
    pub wanted: &'a (dyn Fn(&str) -> bool + Sync),
}

/// An extract that is read piece by piece.
pub struct Stream {
    /// All columns of the extract, nullable, with the source's own Arrow types and perhaps [`KIND_KEY`]. Names are unique.
    pub schema: SchemaRef,
    /// What the values of text columns are worth: [`Typing::Guess`] for CSV, whose columns arrive as text with a guess.
    pub typing: Typing,
    /// The input types to pin with the base, for sources whose SQL model runs over guessed types; `None` elsewhere.
    pub input: Option<Schema>,
    /// The rows.
    pub rows: Box<dyn Rows>,
    /// The extract's own Parquet files in order, where the rows are exactly theirs (no model, no limit); else `None`.
    pub files: Option<Vec<PathBuf>>,
    /// Whether the query that was asked has `{{last_success}}` in it, so that the rows are only the orgs that have changed: others are not gone.
    pub partial: bool,
}

/// The rows of an extract in pieces, which several threads decode at once.
pub trait Rows: Send + Sync {
    /// The next piece in the extract's order; `None` after the last. Several threads may call it; a call is short beside
    /// the decoding of the piece. There may be no piece at all.
    ///
    /// # Errors
    /// The extract cannot be read on. Every later call is an error too.
    fn next(&self) -> Result<Option<Piece>, SourceError>;

    /// About how many rows there are; exact where known, 0 where the source cannot say.
    fn estimate(&self) -> u64;

    /// Why the run should be held although the extract can be read, such as its age; in words. Empty: nothing speaks against it.
    fn held(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Some consecutive rows.
pub struct Piece {
    /// 0, 1, 2, … in the extract's order.
    pub number: u64,
    /// The rows in order. There may be no batch; after an error there is none.
    ///
    /// A batch has the wanted columns, in the schema's order, under their names; it may have others. A column has the type
    /// that the schema says (of nested types, inner fields may differ in whether they are nullable and in metadata), or,
    /// where the schema says `Utf8View`, it may be `Dictionary(Int32, Utf8)`. The values of such a dictionary are mostly the
    /// same array (the same buffers) in all batches of a piece, so what is derived from them can be derived once.
    pub batches: Box<dyn Iterator<Item = Result<RecordBatch, SourceError>> + Send>,
}

/// A place that rows can be pulled from. Blocking; callers run it off the async threads.
pub trait Source: Send + std::fmt::Debug {
    /// Opens the extract. What needs a look at every row beforehand (guesses) is done here.
    ///
    /// # Errors
    /// Anything that keeps the extract from being complete, named with file and line where there is one. Errors that only
    /// the rows show come from these.
    fn stream(&self, ask: &Ask<'_>) -> Result<Stream, SourceError>;

    /// How the source reads in messages: the path or address, without secrets.
    fn describe(&self) -> String;

    /// What whoever wrote the job should know of how it is set up, though nothing is wrong: for `check`. Looks up references, connects to nothing;
    /// a reference that leads nowhere is told by [`Source::stream`].
    fn advice(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Why an extract could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What is wrong and where.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// All columns of the extract, where nothing but their types keeps it from being read; else empty. What else is wrong between a job and
    /// its columns can be told with it.
    pub columns: Vec<String>,
}

impl SourceError {
    /// An error without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        SourceError { message: message.into(), hint: None, columns: Vec::new() }
    }

    /// The same error with a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error of an extract that has these columns, whose types are what is wrong.
    #[must_use]
    fn of_columns<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.columns = names.into_iter().map(str::to_owned).collect();
        self
    }
}

/// The registry: which adapter serves which kind.
pub fn open(source: &spec::Source, environment: &Arc<Environment>) -> Box<dyn Source> {
    match source {
        spec::Source::Files(files) => match &files.remote {
            None => Box::new(files::Files::new(files.clone()).at(environment.at)),
            Some(remote) => Box::new(at_a_distance(files, remote, environment)),
        },
        spec::Source::Adbc(adbc) => Box::new(adbc::Adbc::new(adbc.clone(), Arc::clone(environment))),
        spec::Source::Postgres(database) => Box::new(sql::Postgres::new(database.clone(), Arc::clone(environment))),
        spec::Source::Mysql(database) => Box::new(sql::Mysql::new(database.clone(), Arc::clone(environment))),
        spec::Source::Sqlite(file) => Box::new(sql::Sqlite::new(file.clone(), Arc::clone(environment))),
    }
}

fn at_a_distance(
    files: &spec::FilesSource,
    remote: &spec::Remote,
    environment: &Arc<Environment>,
) -> remote::RemoteFiles {
    let read = remote::Reader {
        open: |files, root, paths| Box::new(files::Files::of(files, root, paths)),
        footer: files::parquet_footer,
        groups: files::parquet_groups,
    };
    remote::RemoteFiles::new(files.clone(), remote.clone(), Arc::clone(environment), read)
}

/// The files that would be read now, without waiting for them to settle; nothing of them is opened.
///
/// # Errors
/// Whatever keeps them from being chosen; a source that is none of files.
pub fn found(source: &spec::Source, environment: &Arc<Environment>) -> Result<Vec<pick::Found>, SourceError> {
    let spec::Source::Files(files) = source else {
        return Err(SourceError::new("only of files is it known what would be read"));
    };
    match &files.remote {
        None => files::found(files),
        Some(remote) => at_a_distance(files, remote, environment).found(),
    }
}

/// A source that reads exactly these Parquet files, in this order: a private copy of an extract.
pub fn parquet_files(paths: Vec<PathBuf>) -> Box<dyn Source> {
    Box::new(files::Files::of_parquet(paths))
}
