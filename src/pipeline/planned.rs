//! The plan of a run: what would be sent, and why.

use crate::diff::{BadKeys, Diff};
use crate::job::spec::Job;
use crate::normalise::Rejects;
use crate::receipt::Counts;
use crate::row::{HashSeed, Schema};
use crate::snapshot::{ChangeSet, Tables, View};
use crate::template::{Meta, RenderError, Template};
use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use std::path::PathBuf;
use std::sync::Arc;

/// What is planned, and under which id.
#[derive(Debug, Clone)]
pub struct PlanInput {
    /// The job.
    pub job: Arc<Job>,
    /// Its snapshot folder.
    pub dir: PathBuf,
    /// The run's id, from which webhook ids are derived.
    pub run: String,
    /// When the run started.
    pub at: DateTime<Utc>,
}

/// A change set that is ready to be published and sent.
#[derive(Debug)]
pub struct Planned {
    /// What was asked for.
    pub of: PlanInput,
    /// What was found; nothing is sent yet.
    pub counts: Counts,
    /// Differences that `on` leaves out, or that a first run adopts.
    pub suppressed: u64,
    /// Why a guard would hold the run; empty: it may go on.
    pub held: Vec<String>,
    /// The rows to send.
    pub changes: ChangeSet,
    /// The comparison.
    pub diff: Diff,
    /// What was known before.
    pub view: View,
    /// The compiled payload.
    pub template: Template,
    /// Rows with values that do not fit.
    pub rejects: Rejects,
    /// Quarantined keys.
    pub bad_keys: BadKeys,
    /// The kinds to pin.
    pub pinned: Schema,
    /// The input types to pin.
    pub input: Option<Schema>,
    /// Whether the job has no snapshot yet.
    pub first_run: bool,
    /// What makes tonight different from other nights, in words.
    pub(super) circumstances: Vec<String>,
    pub(super) tonight: RecordBatch,
    pub(super) before_schema: Schema,
    pub(super) seed: HashSeed,
}

impl Planned {
    /// What the snapshot is built from.
    pub fn tables(&self) -> Tables<'_> {
        Tables {
            seed: self.seed,
            tonight: &self.tonight,
            schema: &self.changes.schema,
            key: &self.changes.key,
            before_schema: &self.before_schema,
        }
    }

    /// The body of one change.
    ///
    /// # Errors
    /// A value that the payload cannot carry.
    pub fn body(&self, seq: usize) -> Result<String, RenderError> {
        let row = &self.changes.rows[seq];
        let meta = Meta {
            job: &self.of.job.name,
            webhook_id: &row.webhook_id,
            operation: row.operation.as_str(),
            at: self.of.at,
        };
        self.template.render(self.changes.row(seq), &meta)
    }

    /// The compared columns, in the extract's order.
    pub fn compared(&self) -> Vec<&str> {
        let key = &self.of.job.diff.key;
        self.before_schema.columns.iter().map(|c| c.name.as_str()).filter(|n| !key.iter().any(|k| k == n)).collect()
    }

    /// How many of the changed orgs differ in each compared column, most first.
    pub fn changes_by_column(&self) -> Vec<(String, u64)> {
        let mut counts: Vec<(String, u64)> = self.compared().into_iter().map(|c| (c.to_owned(), 0)).collect();
        for seq in 0..self.changes.len() {
            for column in self.changes.changed_columns(seq) {
                if let Some(entry) = counts.iter_mut().find(|(name, _)| name == column) {
                    entry.1 += 1;
                }
            }
        }
        counts.retain(|(_, count)| *count > 0);
        counts.sort_by_key(|entry| std::cmp::Reverse(entry.1));
        counts
    }

    /// What the comparison itself has to say besides its counts.
    pub fn notes(&self) -> Vec<String> {
        let (spared, keyless) = (self.diff.spared, self.bad_keys.keyless);
        let mut notes = self.circumstances.clone();
        if spared == 0 {
            return notes;
        }
        let orgs = if spared == 1 { "org is missing and was" } else { "orgs are missing and were" };
        let rows = if keyless == 1 { "row has" } else { "rows have" };
        notes.push(format!("{spared} {orgs} not removed, because {keyless} {rows} no usable key"));
        notes
    }
}
