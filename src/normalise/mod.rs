//! Canonical values: one kind per column, one Arrow type per kind, whatever the source's types were.
//!
//! In: an extract's Arrow schema and batches, and the schema pinned with the first base. Out: canonical batches of the
//! same rows, and [`Rejects`]: rows of which a value does not fit.
//! Always holds: a row is never dropped (a rejected row stays, marked, so that its org is not taken for removed); a value
//! is never changed silently: what does not fit the pinned kind exactly is a reject; a column whose type changed in kind is
//! [`Drift`] and holds the run.
//! Deliberately absent: IO, keys, comparison.

mod batch;
mod convert;
mod json;
mod kinds;
mod parse;
mod plan;

pub use batch::{BatchError, Misfit, Normalised, canonical, plain};
pub use plan::{Drift, DriftProblem, Plan, PlanError, Role};

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
