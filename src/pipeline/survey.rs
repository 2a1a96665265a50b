//! The first rows of a source, before there is a snapshot or even a job: what columns there are, which of them could be a key, and, with a
//! second look a while later, which of them move by themselves.
//!
//! Holds a hash of each value and the text of the first rows, not the rows.

use super::columns::Columns;
use super::extract::{role, source_error};
use super::planned::PlanInput;
use super::{PipelineError, Reach};
use crate::clock::Clock;
use crate::config::Home;
use crate::job::spec::{Job, Source};
use crate::normalise::{self, Plan, Role};
use crate::row::{Kind, RowRef, Schema, Value};
use crate::source::{self, Ask, Environment, SourceError};
use crate::store::RunStore;
use arrow::array::RecordBatch;
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// How much is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Rows that are read at most.
    pub rows: usize,
    /// Of these, rows whose values are kept as text.
    pub shown: usize,
}

impl Default for Asked {
    fn default() -> Self {
        Asked { rows: 10_000, shown: 20 }
    }
}

/// What the first rows look like.
#[derive(Debug, Default)]
pub struct Survey {
    /// Rows read.
    pub rows: u64,
    /// Whether these are all rows that there are.
    pub is_whole: bool,
    /// The columns in the source's order.
    pub columns: Vec<Surveyed>,
    /// The first rows as text, a value for each column; `None`: NULL.
    pub first: Vec<Vec<Option<String>>>,
    /// A hash of each value, by column and row.
    pub(crate) prints: Vec<Vec<u64>>,
}

/// A column of a survey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surveyed {
    /// Its name.
    pub name: String,
    /// What it holds, as far as these rows show it.
    pub kind: Kind,
    /// `key`, `compared`, `payload-only` or `ignored`; empty without a job.
    pub purpose: &'static str,
    /// Rows in which it is NULL.
    pub nulls: u64,
    /// Rows in which it is the empty text.
    pub empty: u64,
    /// Different values, NULL included.
    pub distinct: u64,
}

/// What two surveys of the same source have seen to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Orgs that both have.
    pub orgs: u64,
    /// Columns whose values differ, and in how many of those orgs; in the source's order.
    pub changed: Vec<(String, u64)>,
}

/// Looks at a source without a job.
///
/// # Errors
/// A source that cannot be read, and a column of a type that cannot be sent.
pub async fn survey(source: Source, environment: Arc<Environment>, asked: Asked) -> Result<Survey, PipelineError> {
    let looking = tokio::task::spawn_blocking(move || {
        let failed = |source| PipelineError::Source { job: "…".to_owned(), source };
        look(&source, &environment, asked, &|_| Role::Payload, &|_| "", &failed)
    });
    looking.await.map_err(|e| PipelineError::Internal(e.to_string()))?
}

/// Looks at the source of a job, as its first run would.
///
/// # Errors
/// As [`survey`].
pub async fn survey_of_job(
    job: Arc<Job>,
    home: &Home,
    store: Option<&dyn RunStore>,
    clock: &Arc<dyn Clock>,
    asked: Asked,
) -> Result<Survey, PipelineError> {
    let input = PlanInput::to_look(job, home, store, clock, Reach::SinceLastSuccess).await?;
    let looking = tokio::task::spawn_blocking(move || {
        let columns = Columns { job: &input.job, manifest: None, dir: &input.dir };
        let (role, purpose) = (|name: &str| role(&columns, name), |name: &str| columns.purpose(name));
        let failed = |source| source_error(&input.job, source);
        look(&input.job.source, &input.environment, asked, &role, &purpose, &failed)
    });
    looking.await.map_err(|e| PipelineError::Internal(e.to_string()))?
}

fn look(
    source: &Source,
    environment: &Arc<Environment>,
    asked: Asked,
    role: &dyn Fn(&str) -> Role,
    purpose: &dyn Fn(&str) -> &'static str,
    failed: &dyn Fn(SourceError) -> PipelineError,
) -> Result<Survey, PipelineError> {
    let ask = Ask { pinned: None, pinned_input: None, limit: Some(asked.rows), wanted: &|_| true };
    let stream = source::open(source, environment).stream(&ask).map_err(failed)?;
    // Nothing is ignored here: what does not fit is NULL, and no column starts over as text.
    let role = |name: &str| if role(name) == Role::Ignored { Role::Payload } else { role(name) };
    let plan = Plan::new(&stream.schema, &stream.typing, None, &role)?;
    let schema = plan.schema();
    let mut survey = Survey::new(schema, purpose);
    let mut distinct = vec![HashSet::new(); schema.columns.len()];
    while let Some(piece) = stream.rows.next().map_err(failed)? {
        for batch in piece.batches {
            let ready = plan.batch(&batch.map_err(failed)?)?.batch;
            let columns = ready.columns().iter().map(normalise::plain).collect::<Result<_, _>>()?;
            let batch = RecordBatch::try_new(schema.arrow(), columns)?;
            survey.take(schema, &batch, asked, &mut distinct);
        }
    }
    survey.is_whole = survey.rows < asked.rows as u64;
    for (column, values) in survey.columns.iter_mut().zip(distinct) {
        column.distinct = values.len() as u64;
    }
    Ok(survey)
}

impl Survey {
    fn new(schema: &Schema, purpose: &dyn Fn(&str) -> &'static str) -> Self {
        let columns = schema.columns.iter().map(|column| Surveyed {
            name: column.name.clone(),
            kind: column.kind,
            purpose: purpose(&column.name),
            nulls: 0,
            empty: 0,
            distinct: 0,
        });
        let (columns, prints) = (columns.collect(), vec![Vec::new(); schema.columns.len()]);
        Survey { columns, prints, ..Survey::default() }
    }

    fn take(&mut self, schema: &Schema, batch: &RecordBatch, asked: Asked, distinct: &mut [HashSet<u64>]) {
        let room = asked.rows.saturating_sub(usize::try_from(self.rows).unwrap_or(usize::MAX));
        for row in 0..batch.num_rows().min(room) {
            let row = RowRef { schema, batch, row };
            let mut shown = Vec::new();
            for (index, column) in self.columns.iter_mut().enumerate() {
                let value = row.value(index);
                let text = (value != Value::Null).then(|| value.text());
                column.nulls += u64::from(text.is_none());
                column.empty += u64::from(text.as_deref() == Some(""));
                let mut hasher = DefaultHasher::new();
                text.hash(&mut hasher);
                self.prints[index].push(hasher.finish());
                distinct[index].insert(hasher.finish());
                shown.push(text);
            }
            if self.first.len() < asked.shown {
                self.first.push(shown);
            }
            self.rows += 1;
        }
    }

    /// The position of a column.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// How many different values these columns have together.
    pub fn distinct(&self, columns: &[usize]) -> u64 {
        self.by_key(columns).len() as u64
    }

    /// The row in which each key stands first.
    fn by_key(&self, key: &[usize]) -> HashMap<Vec<u64>, usize> {
        let mut rows = HashMap::new();
        for row in 0..self.prints.first().map_or(0, Vec::len) {
            rows.entry(key.iter().map(|&column| self.prints[column][row]).collect()).or_insert(row);
        }
        rows
    }

    /// What has changed until the `later` survey, of the orgs that both have. Columns are matched by name.
    pub fn until(&self, later: &Survey, key: &[&str]) -> Observed {
        let positions = |of: &Survey| key.iter().map(|name| of.index_of(name)).collect::<Option<Vec<usize>>>();
        let (Some(before), Some(after)) = (positions(self), positions(later)) else { return Observed::default() };
        let after = later.by_key(&after);
        let pairs: Vec<(usize, usize)> =
            self.by_key(&before).into_iter().filter_map(|(key, row)| Some((row, *after.get(&key)?))).collect();
        let mut observed = Observed { orgs: pairs.len() as u64, changed: Vec::new() };
        for (index, column) in self.columns.iter().enumerate() {
            let Some(other) = later.index_of(&column.name) else { continue };
            let differ = |(row, then): &&(usize, usize)| self.prints[index][*row] != later.prints[other][*then];
            let changed = pairs.iter().filter(differ).count() as u64;
            observed.changed.extend((changed > 0).then(|| (column.name.clone(), changed)));
        }
        observed
    }
}
