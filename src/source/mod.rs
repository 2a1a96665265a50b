//! Where rows come from.
//!
//! In: the `[source]` of a job. Out: [`Extract`], a schema and Arrow record batches, one row per org.
//! Always holds: an extract is complete or an error, never a part; values are as the source typed them (the canonical
//! form is made by `normalise`); no type of an adapter's library crosses this boundary.
//! Deliberately absent: keys, comparison, any knowledge of last night but the pinned types.
//!
//! A new source is a folder here with one [`Source`], one line in [`open`], one page in docs/, one conformance line.

pub mod files;

use crate::job::spec;
use crate::row::Schema;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

/// The key of Arrow field metadata by which a source says what a text column holds, where the Arrow type cannot.
pub const KIND_KEY: &str = "nightmark.kind";

/// The value of [`KIND_KEY`] on a text column whose every value is JSON.
pub const KIND_JSON: &str = "json";

/// What a source yields.
#[derive(Debug)]
pub struct Extract {
    /// The schema of every batch, with the source's own Arrow types and perhaps [`KIND_KEY`]. Names are unique.
    pub schema: SchemaRef,
    /// All rows, in the source's order. At least one batch, which may be empty.
    pub batches: Vec<RecordBatch>,
    /// What the values of text columns are worth: [`Typing::Guess`] for CSV, whose columns arrive as text with a guess.
    pub typing: Typing,
    /// The input types to pin with the base, for sources whose SQL model runs over guessed types; `None` elsewhere.
    pub input: Option<Schema>,
}

/// Whether the source knows its types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typing {
    /// The Arrow types are facts (Parquet, NDJSON, SQL): a changed type is drift.
    Declared,
    /// Every column is text; these kinds are what tonight's values look like, one per column. Kinds pinned earlier win.
    Guess(Schema),
}

/// A place that rows can be pulled from. Blocking; callers run it off the async threads.
pub trait Source: Send + std::fmt::Debug {
    /// Pulls the extract.
    ///
    /// `pinned_input`: the input types of the first base, if one is published ([`Extract::input`] of that night).
    /// `limit`: at most so many rows, for `check`'s sample, without reading much more than those where that is possible.
    /// The schema and the guesses then rest on that part: they are to be shown, not to be pinned.
    ///
    /// # Errors
    /// Anything that keeps the extract from being complete, named with file and line where there is one.
    fn pull(&self, pinned_input: Option<&Schema>, limit: Option<usize>) -> Result<Extract, SourceError>;

    /// How the source reads in messages: the path or address, without secrets.
    fn describe(&self) -> String;
}

/// Why an extract could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What is wrong and where.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SourceError {
    /// An error without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        SourceError { message: message.into(), hint: None }
    }

    /// The same error with a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The registry: which adapter serves which kind.
pub fn open(source: &spec::Source) -> Box<dyn Source> {
    match source {
        spec::Source::Files(files) => Box::new(files::Files::new(files.clone())),
    }
}
