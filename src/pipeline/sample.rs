//! A look at the beginning of an extract: what `check` shows. No snapshot rows, no comparison, no uniqueness of keys.

use super::PipelineError;
use super::plan::{Planner, compile};
use super::planned::PlanInput;
use crate::clock::Clock;
use crate::config::Home;
use crate::job::spec::Job;
use crate::normalise::Rejects;
use crate::row::{RowRef, Schema};
use crate::snapshot::Manifest;
use crate::template::{Meta, RenderError, Template};
use arrow::array::RecordBatch;
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
    /// The body that the first row would have if it were new; `None` for an empty extract.
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
    let manifest = Manifest::load(&input.dir)?;
    let planner = Planner { input, manifest };
    let extract = planner.canonical(Some(rows))?;
    let template = compile(&planner.input.job, &extract.schema)?;
    let rules = planner.columns();
    let columns = extract.schema.columns.iter();
    Ok(Sample {
        rows: extract.batch.num_rows() as u64,
        columns: columns.map(|c| (c.name.clone(), c.kind.to_string(), rules.purpose(&c.name))).collect(),
        body: sample_body(&planner.input, &template, &extract.schema, &extract.batch),
        rejects: extract.rejects,
    })
}

/// The body of the first row of an extract, as if it were new.
fn sample_body(
    input: &PlanInput,
    template: &Template,
    schema: &Schema,
    extract: &RecordBatch,
) -> Option<Result<String, RenderError>> {
    let meta = Meta { job: &input.job.name, webhook_id: "nm_sample", operation: "added", at: input.at };
    let row = RowRef { schema, batch: extract, row: 0 };
    (extract.num_rows() > 0).then(|| template.render(row, &meta))
}
