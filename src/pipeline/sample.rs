//! A look at the beginning of an extract: what `check` shows. No snapshot rows, no comparison, no uniqueness of keys.

use super::PipelineError;
use super::bodies::Bodies;
use super::columns::Columns;
use super::extract::{Extract, source_error};
use super::planned::PlanInput;
use crate::clock::Clock;
use crate::config::Home;
use crate::job::spec::Job;
use crate::normalise::Rejects;
use crate::row::{HashSeed, RowRef, Schema};
use crate::snapshot::Manifest;
use crate::template::{Meta, RenderError};
use arrow::array::RecordBatch;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the first rows of an extract look like.
#[derive(Debug)]
pub struct Sample {
    /// Rows read; at most as many as were asked for.
    pub rows: u64,
    /// Name, kind and purpose (`key`, `compared`, `payload-only` or `ignored`) of each column, in the extract's order.
    pub columns: Vec<(String, String, &'static str)>,
    /// Rows with values that do not fit, of those read.
    pub rejects: Rejects,
    /// The body that the first row would have if it were sent (empty: its request would have none); `None` for an empty extract.
    pub body: Option<Result<String, RenderError>>,
}

/// Reads at most `rows` rows and tries everything that does not need the others. Changes nothing on disk.
///
/// # Errors
/// Whatever would keep a run from being planned, as far as these rows show it.
pub async fn sample(job: Arc<Job>, home: &Home, clock: &Arc<dyn Clock>, rows: usize) -> Result<Sample, PipelineError> {
    let input = PlanInput { dir: home.snapshots(&job.name), job, run: clock.run_id(), at: clock.now() };
    let sampling = tokio::task::spawn_blocking(move || take(input, rows));
    sampling.await.map_err(|e| PipelineError::Internal(e.to_string()))?
}

fn take(input: PlanInput, rows: usize) -> Result<Sample, PipelineError> {
    let mut text = BTreeSet::new();
    loop {
        match attempt(&input, rows, &text) {
            Err(PipelineError::KeptAsText(column)) if text.insert(column.clone()) => {}
            other => return other,
        }
    }
}

fn attempt(input: &PlanInput, rows: usize, text: &BTreeSet<String>) -> Result<Sample, PipelineError> {
    let manifest = Manifest::load(&input.dir)?;
    let seed = manifest.as_ref().map_or(HashSeed([0; 16]), |m| m.hash_seed);
    let extract = Extract::open(input, manifest.as_ref(), seed, None, text, Some(rows))?;
    let mut sample = Sample { rows: 0, columns: Vec::new(), rejects: Rejects::default(), body: None };
    while let Some(piece) = extract.stream.rows.next().map_err(|e| source_error(&input.job, e))? {
        for batch in piece.batches {
            let batch = batch.map_err(|e| source_error(&input.job, e))?;
            let ready = extract.ready(&batch)?;
            for misfit in &ready.misfits {
                sample.rejects.push(misfit.reject(&extract.shape.schema, sample.rows));
            }
            if sample.body.is_none() && ready.batch.num_rows() > 0 {
                let first = extract.rows(&ready.batch, vec![0])?;
                sample.body = sample_body(input, &extract.bodies, &extract.shape.schema, &first);
            }
            sample.rows += ready.batch.num_rows() as u64;
        }
    }
    let rules = Columns { job: &input.job, manifest: manifest.as_ref(), dir: &input.dir };
    let columns = extract.shape.schema.columns.iter();
    sample.columns = columns.map(|c| (c.name.clone(), c.kind.to_string(), rules.purpose(&c.name))).collect();
    Ok(sample)
}

/// The body of the first row of an extract, as if it were new; or changed, or gone, where new ones are not sent.
fn sample_body(
    input: &PlanInput,
    bodies: &Bodies,
    schema: &Schema,
    extract: &RecordBatch,
) -> Option<Result<String, RenderError>> {
    let on = input.job.diff.on;
    let operation = if on.added {
        "added"
    } else if on.changed {
        "changed"
    } else {
        "removed"
    };
    let meta = Meta { job: &input.job.name, webhook_id: "nm_sample", operation, at: input.at };
    let row = RowRef { schema, batch: extract, row: 0 };
    (extract.num_rows() > 0).then(|| bodies.aside(row, &meta).and_then(|_| bodies.render(row, &meta)))
}
