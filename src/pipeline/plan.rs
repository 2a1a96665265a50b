//! From the extract to the change set: everything that happens before anything is written.

use super::columns::Columns;
use super::planned::{PlanInput, Planned};
use super::{PipelineError, by_operation};
use crate::clock::Clock;
use crate::diff::{self, BadKeys, Diff, Extracted, Tonight, Unfit};
use crate::guard::{self, Facts};
use crate::job::spec::{Baseline, Job};
use crate::normalise::{Plan, Rejects, Role};
use crate::receipt::{Counts, Progress};
use crate::row::{Column, Fingerprint, Fingerprinter, HashSeed, Schema};
use crate::snapshot::{Basis, ChangeSet, Manifest, Tables, View};
use crate::source::{self, Extract};
use crate::store::RunStore;
use crate::template::Template;
use arrow::array::{Array, RecordBatch};
use std::sync::Arc;

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
    match () {
        () if columns.is_key(name) => Role::Key,
        () if columns.is_compared(name) => Role::Strict,
        () if columns.is_ignored(name) => Role::Ignored,
        () => Role::Payload,
    }
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
        let tables = Tables {
            seed,
            tonight: &tonight.batch,
            schema: &tonight.schema,
            key: &tonight.key,
            before_schema: &before_schema,
        };
        let (view, mut fingerprints) = self.view(&tables, progress)?;
        let rows = tonight_rows(&tonight, fingerprints.remove(0), &keys, &bad_keys);
        let extracted = Extracted { rows: &rows, narrower: &fingerprints, keyless: bad_keys.keyless };
        let adopt = self.manifest.is_none() && job.diff.first_run == Baseline::Adopt;
        let diff = diff::diff(view.known(), &extracted, job.diff.on, adopt);
        let changes = ChangeSet::build(&tables, &view, &diff, &self.input.run)?;
        let counts = counts(&diff, &rows);
        Ok(Planned {
            circumstances: self.circumstances(&before_schema, progress),
            counts,
            suppressed: diff.suppressed,
            held: guard::trips(&facts(&diff, &counts), &job.guard),
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

    /// What makes tonight different from other nights, for the report.
    fn circumstances(&self, compared: &Schema, progress: &Progress) -> Vec<String> {
        let Some(manifest) = &self.manifest else { return Vec::new() };
        let mut notes = Vec::new();
        if progress.attempted_before == u64::MAX && manifest.changes.rows > 0 {
            notes.push(format!(
                "the state store has no record of run {}, whose snapshot is here (was nightmark.db deleted?): its {} \
                 changes count as not acknowledged and are sent again",
                manifest.run, manifest.changes.rows
            ));
        }
        let new = |name: &&str| !manifest.compared.iter().any(|c| c == name) && !manifest.key.iter().any(|c| c == name);
        for name in compared.columns.iter().map(|c| c.name.as_str()).filter(new) {
            notes.push(match self.input.job.diff.on_new_column {
                Baseline::Send => format!(
                    "column {name} is compared for the first time: every org that has a value in it counts as changed \
                     (diff.on_new_column = \"adopt\" takes the values as known)"
                ),
                Baseline::Adopt => format!("column {name} is compared from the next run on (diff.on_new_column)"),
            });
        }
        notes
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
        let unfit = |row, column: usize| unfit(&tonight.rejects, row, &tonight.schema.columns[column].name);
        let batches = std::slice::from_ref(&tonight.batch);
        let bad = diff::check_keys(&tonight.schema, batches, &tonight.key, keys, &unfit);
        if bad.count > 0 && !job.diff.quarantine_bad_keys {
            return Err(PipelineError::BadKeys { job: job.name.clone(), key: job.diff.key.join(", "), bad });
        }
        Ok(bad)
    }

    /// What is known, and tonight's fingerprints to compare with it: over all compared columns, then over fewer.
    fn view(&self, tables: &Tables<'_>, progress: &Progress) -> Result<(View, Vec<Vec<Fingerprint>>), PipelineError> {
        let key: Vec<usize> = (0..self.input.job.diff.key.len()).collect();
        let adopted = self.columns().adopted(tables.before_schema);
        let basis = Basis { seed: tables.seed, schema: tables.before_schema, key: &key, adopted: &adopted };
        let view = match &self.manifest {
            Some(manifest) => View::load(&self.input.dir, manifest, progress, &basis)?,
            None => View::empty(),
        };
        let fingerprints = view.fingerprints(&basis, tables)?;
        Ok((view, fingerprints))
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

/// Whether the NULL in a key column stands for a value that is no value of the column's kind.
fn unfit(rejects: &Rejects, row: u64, column: &str) -> Option<Unfit> {
    let listed = rejects.listed();
    match listed.iter().find(|r| r.row == row && r.column == column) {
        Some(reject) => Some(Unfit { value: Some(reject.value.clone()) }),
        // Only the first rejects are listed; further ones may or may not be about the key.
        None if rejects.contains(row) && listed.len() == Rejects::LISTED => Some(Unfit { value: None }),
        None => None,
    }
}

fn tonight_rows(
    tonight: &Canonical,
    fingerprints: Vec<Fingerprint>,
    keys: &[Fingerprint],
    bad_keys: &BadKeys,
) -> Vec<Tonight> {
    let row = |(row, (&key, fingerprint))| {
        let rejected = tonight.rejects.contains(row as u64);
        Tonight { key, fingerprint, rejected }
    };
    let mut rows: Vec<Tonight> = keys.iter().zip(fingerprints).enumerate().map(row).collect();
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

fn facts(diff: &Diff, counts: &Counts) -> Facts {
    Facts {
        extracted: counts.extracted,
        rejected: counts.rejected,
        known: diff.known,
        changed: counts.changed,
        vanished: diff.vanished,
    }
}
