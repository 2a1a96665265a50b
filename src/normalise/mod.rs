//! Canonical values: one kind per column, one Arrow type per kind, whatever the source's types were.
//!
//! In: an extract's Arrow schema and batches, and the schema pinned with the first base. Out: canonical batches of the
//! same rows, and the [`Misfit`]s: values that do not fit, with which their row is rejected.
//! Always holds: a row is never dropped (a rejected row stays, marked, so that its org is not taken for removed); a value
//! is never changed silently: what does not fit the pinned kind exactly is a misfit; a column whose type changed in kind is
//! [`Drift`] and holds the run. Two spellings of one value are one canonical value, whatever types they came in:
//! numbers by value (a float is the shortest decimal that reads back as it), instants at microseconds.
//! Deliberately absent: IO, keys, comparison.
//!
//! The path of a batch: `plan` (which kind is which column) → `batch` → `convert`, which asks `dictionary`, `number`,
//! `temporal`, `nested` and, for text, `parse`, `calendar` and `json`.

mod batch;
mod calendar;
mod convert;
mod dictionary;
mod drift;
mod json;
mod kinds;
mod nested;
mod number;
mod parse;
mod plan;
mod shortest;
mod temporal;
#[cfg(test)]
mod whole;

pub use batch::{BatchError, Normalised};
pub use dictionary::plain;
pub use drift::{Drift, DriftProblem, accepted};
pub use plan::{Plan, PlanError, Role};

use crate::row::{Kind, Schema};
use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use std::sync::Arc;

/// A value of a batch that does not fit its column, and with which its row is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The row within the batch, from 0.
    pub row: usize,
    /// The column's position in [`Plan::schema`].
    pub column: usize,
    /// The value as the source had it, cut at 80 characters; for the first misfits of a batch only.
    pub value: Option<String>,
    /// What the value should have been.
    pub reason: Arc<str>,
}

impl Misfit {
    /// The same for a report. `schema`: [`Plan::schema`]. `first`: the position of the batch's first row in the extract.
    pub fn reject(&self, schema: &Schema, first: u64) -> Reject {
        Reject {
            row: first + self.row as u64,
            column: schema.columns.get(self.column).map(|c| c.name.clone()).unwrap_or_default(),
            value: self.value.clone().unwrap_or_default(),
            reason: self.reason.to_string(),
        }
    }
}

/// One array as the canonical array of a kind, plain even if it was a dictionary, and the rows whose value does not fit
/// (NULL there). Snapshots read their own files back with it.
///
/// # Errors
/// Only what Arrow itself refuses.
pub fn canonical(array: &ArrayRef, kind: Kind) -> Result<(ArrayRef, Vec<usize>), ArrowError> {
    convert::convert(array, kind).map(|conversion| (conversion.array, conversion.failures))
}

/// A value that does not fit its column, and with it its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The row's position in the extract, from 0.
    pub row: u64,
    /// The column.
    pub column: String,
    /// The value as the source had it, cut at 80 characters.
    pub value: String,
    /// What it should have been.
    pub reason: String,
}

/// The rejected rows of an extract.
#[derive(Debug, Clone, Default)]
pub struct Rejects {
    rows: std::collections::BTreeSet<u64>,
    listed: Vec<Reject>,
}

impl Rejects {
    /// How many rejects are kept with their values; beyond, rows are only counted.
    pub const LISTED: usize = 20;

    /// Adds one.
    pub fn push(&mut self, reject: Reject) {
        self.rows.insert(reject.row);
        if self.listed.len() < Self::LISTED {
            self.listed.push(reject);
        }
    }

    /// Rejected rows.
    pub fn count(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Whether the row at this position of the extract is rejected.
    pub fn contains(&self, row: u64) -> bool {
        !self.rows.is_empty() && self.rows.contains(&row)
    }

    /// The first rejects, for reports.
    pub fn listed(&self) -> &[Reject] {
        &self.listed
    }
}

#[cfg(test)]
mod tests {
    mod batches;
    mod drift;
    mod properties;
    mod types;
    mod whole;

    use super::{Plan, Role};
    use crate::row::{RowRef, Value};
    use crate::source::Typing;
    use arrow::array::{ArrayRef, RecordBatch};

    /// A batch of the columns `a`, `b`, ….
    fn batch(arrays: impl IntoIterator<Item = ArrayRef>) -> RecordBatch {
        let names = ('a'..='z').map(String::from);
        RecordBatch::try_from_iter_with_nullable(names.zip(arrays).map(|(name, array)| (name, array, true))).unwrap()
    }

    fn plan(batch: &RecordBatch) -> Plan {
        Plan::new(&batch.schema(), &Typing::Declared, None, &|_| Role::Strict).unwrap()
    }

    /// The values of a canonical batch's column as text; `NULL` for NULL.
    fn texts(plan: &Plan, batch: &RecordBatch, column: usize) -> Vec<String> {
        let plain = batch.columns().iter().map(|array| super::plain(array).unwrap());
        let fields =
            batch.schema().fields().iter().zip(plain).map(|(f, a)| (f.name().clone(), a, true)).collect::<Vec<_>>();
        let batch = RecordBatch::try_from_iter_with_nullable(fields).unwrap();
        let value = |row| match (RowRef { schema: plan.schema(), batch: &batch, row }).value(column) {
            Value::Null => "NULL".to_owned(),
            value => value.text(),
        };
        (0..batch.num_rows()).map(value).collect()
    }
}
