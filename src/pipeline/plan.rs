//! From the extract to the change set: everything that happens before anything is written.

use super::columns::Columns;
use super::{PipelineError, by_operation};
use crate::clock::Clock;
use crate::diff::{self, BadKeys, Diff, Tonight};
use crate::guard::{self, Facts};
use crate::job::spec::{Baseline, Job};
use crate::normalise::{Plan, Rejects, Role};
use crate::receipt::{Counts, Progress};
use crate::row::{Column, Fingerprint, Fingerprinter, HashSeed, Schema};
use crate::snapshot::{Basis, ChangeSet, Manifest, Tables, View};
use crate::source::{self, Extract};
use crate::store::RunStore;
use crate::template::{Meta, Template};
use arrow::array::{Array, RecordBatch};
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
    pub(super) tonight: RecordBatch,
    before_schema: Schema,
    seed: HashSeed,
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
    pub fn body(&self, seq: usize) -> Result<String, crate::template::RenderError> {
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
}

/// Plans a run. Reads the extract and the snapshot; writes nothing.
pub(super) async fn plan(
    input: PlanInput,
    store: Option<&dyn RunStore>,
    clock: &Arc<dyn Clock>,
) -> Result<Planned, PipelineError> {
    let manifest = Manifest::load(&input.dir)?;
    let progress = match (&manifest, store) {
        (Some(manifest), Some(store)) => store.progress(&manifest.run).await?,
        // A snapshot without its state store: every change of its run may have been sent.
        _ => Progress { attempted_before: u64::MAX, ..Progress::default() },
    };
    let fresh_seed = HashSeed(clock.random().to_be_bytes());
    let planning = tokio::task::spawn_blocking(move || Planner { input, manifest }.plan(&progress, fresh_seed));
    planning.await.map_err(|e| PipelineError::Internal(e.to_string()))?
}

/// The body of the first row of an extract, as if it were new.
pub(super) fn sample_body(
    input: &PlanInput,
    template: &Template,
    schema: &Schema,
    extract: &RecordBatch,
) -> Option<Result<String, crate::template::RenderError>> {
    let meta = Meta { job: &input.job.name, webhook_id: "nm_sample", operation: "added", at: input.at };
    let row = crate::row::RowRef { schema, batch: extract, row: 0 };
    (extract.num_rows() > 0).then(|| template.render(row, &meta))
}

pub(super) fn compile(job: &Job, schema: &Schema) -> Result<Template, PipelineError> {
    let compiled = Template::compile(&job.payload, schema, &job.diff.key, &job.diff.ignore);
    compiled.map_err(|problems| PipelineError::Template { job: job.name.clone(), problems })
}

/// What a plan starts from.
pub(super) struct Planner {
    pub(super) input: PlanInput,
    pub(super) manifest: Option<Manifest>,
}

/// Tonight's extract in canonical form.
pub(super) struct Canonical {
    pub(super) batch: RecordBatch,
    pub(super) schema: Schema,
    key: Vec<usize>,
    pub(super) rejects: Rejects,
    input: Option<Schema>,
}

/// What a column is for, which decides what happens to a value that does not fit.
fn role(columns: &Columns<'_>, name: &str) -> Role {
    if columns.is_key(name) || columns.is_compared(name) { Role::Strict } else { Role::Lenient }
}

impl Planner {
    fn plan(self, progress: &Progress, fresh_seed: HashSeed) -> Result<Planned, PipelineError> {
        let job = Arc::clone(&self.input.job);
        let seed = self.manifest.as_ref().map_or(fresh_seed, |m| m.hash_seed);
        let tonight = self.canonical(None)?;
        let template = compile(&job, &tonight.schema)?;
        let keys = Fingerprinter::new(seed, &tonight.schema, &tonight.key).fingerprints(&tonight.batch);
        let bad_keys = self.check_keys(&tonight, &keys)?;
        let before_schema = self.columns().before_schema(&tonight.schema);
        let fingerprinted = self.columns().fingerprinted(&before_schema);
        let view = self.view(seed, &before_schema, &fingerprinted, progress)?;
        let rows = tonight_rows(seed, &tonight, &before_schema, &fingerprinted, &keys, &bad_keys);
        let adopt = self.manifest.is_none() && job.diff.first_run == Baseline::Adopt;
        let diff = diff::diff(view.known(), &rows, job.diff.on, adopt);
        let tables = Tables {
            seed,
            tonight: &tonight.batch,
            schema: &tonight.schema,
            key: &tonight.key,
            before_schema: &before_schema,
        };
        let changes = ChangeSet::build(&tables, &view, &diff, &self.input.run)?;
        let counts = counts(&diff, &rows);
        let facts = Facts {
            extracted: counts.extracted,
            rejected: counts.rejected,
            known: diff.known,
            changed: counts.changed,
            vanished: diff.vanished,
        };
        Ok(Planned {
            counts,
            suppressed: diff.suppressed,
            held: guard::trips(&facts, &job.guard),
            changes,
            view,
            template,
            pinned: self.pinned(&tonight),
            input: tonight.input,
            rejects: tonight.rejects,
            bad_keys,
            first_run: self.manifest.is_none(),
            tonight: tonight.batch,
            before_schema,
            seed,
            diff,
            of: self.input,
        })
    }

    pub(super) fn columns(&self) -> Columns<'_> {
        Columns { job: &self.input.job, manifest: self.manifest.as_ref(), dir: &self.input.dir }
    }

    /// Pulls the extract, or at most its first `limit` rows, and makes its values canonical.
    pub(super) fn canonical(&self, limit: Option<usize>) -> Result<Canonical, PipelineError> {
        let job = &self.input.job;
        let pinned_input = self.manifest.as_ref().and_then(|m| m.input.as_ref());
        let Extract { schema, batches, typing, input } = source::open(&job.source)
            .pull(pinned_input, limit)
            .map_err(|source| PipelineError::Source { job: job.name.clone(), source })?;
        let role = |name: &str| role(&self.columns(), name);
        let pinned = self.manifest.as_ref().map(|m| &m.schema);
        let mut plan = Plan::new(&schema, &typing, pinned, &role)?;
        self.columns().check(plan.schema())?;
        let arrow = |e: arrow::error::ArrowError| PipelineError::Internal(e.to_string());
        let (batches, rejects) = plan.normalise(&batches).map_err(arrow)?;
        let schema = plan.schema().clone();
        let batch = arrow::compute::concat_batches(&schema.arrow(), &batches).map_err(arrow)?;
        let key = schema.indices_of(&job.diff.key).map_err(|e| PipelineError::Columns(vec![e.to_string()]))?;
        Ok(Canonical { batch, schema, key, rejects, input })
    }

    fn check_keys(&self, tonight: &Canonical, keys: &[Fingerprint]) -> Result<BadKeys, PipelineError> {
        let job = &self.input.job;
        let bad = diff::check_keys(&tonight.schema, std::slice::from_ref(&tonight.batch), &tonight.key, keys);
        if bad.count > 0 && !job.diff.quarantine_bad_keys {
            return Err(PipelineError::BadKeys { job: job.name.clone(), key: job.diff.key.join(", "), bad });
        }
        Ok(bad)
    }

    fn view(
        &self,
        seed: HashSeed,
        before: &Schema,
        fingerprinted: &[usize],
        progress: &Progress,
    ) -> Result<View, PipelineError> {
        let Some(manifest) = &self.manifest else { return Ok(View::empty()) };
        let key: Vec<usize> = (0..self.input.job.diff.key.len()).collect();
        let basis = Basis { seed, schema: before, key: &key, fingerprinted };
        Ok(View::load(&self.input.dir, manifest, progress, &basis)?)
    }

    /// Kinds pinned earlier stay; new columns join once they hold a value, since a column of NULLs has no type to pin.
    fn pinned(&self, tonight: &Canonical) -> Schema {
        let mut columns: Vec<Column> = self.manifest.as_ref().map(|m| m.schema.columns.clone()).unwrap_or_default();
        for (index, column) in tonight.schema.columns.iter().enumerate() {
            let array = tonight.batch.column(index);
            if array.null_count() < array.len() && !columns.iter().any(|c| c.name == column.name) {
                columns.push(column.clone());
            }
        }
        Schema { columns }
    }
}

fn tonight_rows(
    seed: HashSeed,
    tonight: &Canonical,
    before_schema: &Schema,
    fingerprinted: &[usize],
    keys: &[Fingerprint],
    bad_keys: &BadKeys,
) -> Vec<Tonight> {
    let columns: Vec<usize> =
        fingerprinted.iter().filter_map(|&c| tonight.schema.index_of(&before_schema.columns[c].name)).collect();
    let fingerprints = Fingerprinter::new(seed, &tonight.schema, &columns).fingerprints(&tonight.batch);
    let mut rows: Vec<Tonight> = keys
        .iter()
        .zip(fingerprints)
        .enumerate()
        .map(|(row, (&key, fingerprint))| Tonight { key, fingerprint, rejected: tonight.rejects.contains(row as u64) })
        .collect();
    for &row in &bad_keys.rows {
        if let Some(row) = usize::try_from(row).ok().and_then(|row| rows.get_mut(row)) {
            row.rejected = true;
        }
    }
    rows
}

fn counts(diff: &Diff, rows: &[Tonight]) -> Counts {
    let (added, changed, removed) = by_operation(diff.changes.iter().map(|c| c.operation));
    Counts {
        extracted: rows.len() as u64,
        rejected: rows.iter().filter(|r| r.rejected).count() as u64,
        unchanged: diff.unchanged,
        added,
        changed,
        removed,
        pending: added + changed + removed,
        ..Counts::default()
    }
}
