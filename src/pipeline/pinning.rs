//! The pinned schema beside tonight's extract, and taking tonight's as the one to pin.
//!
//! Always holds: only the kinds that later extracts are read with are changed; files and fingerprints stay what they are.
//! What a new kind means for what is known is found out by the next comparison ([`Snapshot::known`](crate::snapshot::Snapshot)).

mod words;

use super::columns::Columns;
use super::extract::{is_wanted, role, source_error};
use super::planned::PlanInput;
use super::{PipelineError, Reach, Runner, shared};
use crate::clock::Clock;
use crate::config::Home;
use crate::job::spec::Job;
use crate::normalise::{DriftProblem, Plan, PlanError, accepted};
use crate::row::{Kind, Schema};
use crate::snapshot::{Manifest, Sharing};
use crate::source::{self, Ask, SourceError, Stream};
use crate::store::RunStore;
use arrow::array::Array;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How a column stands to the pinned schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its values are read as the pinned kind.
    Same,
    /// It is not pinned yet.
    New,
    /// It is pinned, and the extract does not have it.
    Gone,
    /// It has another type.
    Retyped,
}

impl Standing {
    /// `same`, `new`, `gone` or `retyped`.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Same => "same",
            Standing::New => "new",
            Standing::Gone => "gone",
            Standing::Retyped => "retyped",
        }
    }
}

/// One column.
#[derive(Debug, Clone)]
pub struct PinnedColumn {
    /// Its name.
    pub name: String,
    /// `key`, `compared`, `payload-only` or `ignored`.
    pub purpose: &'static str,
    /// The pinned kind.
    pub pinned: Option<Kind>,
    /// Its own kind tonight; `None` if it is not there or holds nothing.
    pub tonight: Option<Kind>,
    /// How it stands.
    pub standing: Standing,
    /// Whether it holds the run.
    pub holds: bool,
    /// Of a column that is gone, new columns that could be it, the likeliest first.
    pub candidates: Vec<String>,
}

/// The pinned schema beside tonight's.
#[derive(Debug)]
pub struct Pinning {
    /// The current snapshot.
    pub manifest: Manifest,
    /// All columns: the pinned ones, then the new ones.
    pub columns: Vec<PinnedColumn>,
    /// What accepting tonight's schema changes, in words; empty: nothing.
    pub changes: Vec<String>,
    /// Why tonight's schema cannot be accepted, with the remedy; empty: it can.
    pub refused: Vec<String>,
    /// What should be known of the next run once it is accepted.
    pub consequences: Vec<String>,
    schema: Schema,
    input: Option<Schema>,
}

/// Compares the pinned schema with tonight's extract; `None` if the job has no snapshot yet. Changes nothing on disk.
///
/// # Errors
/// An extract or a manifest that cannot be read.
pub async fn pinning(
    job: Arc<Job>,
    home: &Home,
    store: Option<&dyn RunStore>,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Pinning>, PipelineError> {
    let input = PlanInput::to_look(job, home, store, clock, Reach::SinceLastSuccess).await?;
    blocking(move || look(&input)).await
}

impl Runner {
    /// As [`pinning`], and tonight's schema is the pinned one from now on, unless it is refused or changes nothing.
    ///
    /// # Errors
    /// As [`pinning`]; also a run of the job that is on, here or on another machine, and a disk that cannot be written.
    pub async fn accept_schema(&self, job: Arc<Job>) -> Result<Option<Pinning>, PipelineError> {
        // No folder is made for a job that has none.
        if Manifest::load(&self.home.snapshots(&job.name))?.is_none() {
            return Ok(None);
        }
        let hold = self.hold_job(&job.name, "schema accept").await?;
        let outcome = hold.runner().accept_held(job).await;
        hold.end().await;
        outcome
    }

    async fn accept_held(&self, job: Arc<Job>) -> Result<Option<Pinning>, PipelineError> {
        let name = job.name.clone();
        let (home, settings, of) = (self.home.clone(), self.settings.clone(), name.clone());
        let sharing = blocking(move || shared::bring(&home, &settings, &of)).await?;
        // What is not shared yet is given by the next run, as it is then.
        let sharing = sharing.filter(Sharing::is_there);
        let store = Some(&*self.store);
        let input = PlanInput::to_look(job, &self.home, store, &self.clock, Reach::SinceLastSuccess).await?;
        let dir = input.dir.clone();
        let Some(pinning) = blocking(move || look(&input)).await? else { return Ok(None) };
        if !pinning.refused.is_empty() || pinning.changes.is_empty() {
            return Ok(Some(pinning));
        }
        let repinning = blocking(move || {
            pinning.manifest.repin(&dir, pinning.schema.clone(), pinning.input.clone(), sharing.as_ref())?;
            Ok(pinning)
        });
        // Not begun if the job may be another's by now: to read an extract takes its time.
        self.while_held(&name, repinning).await?.map(Some)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PipelineError> + Send + 'static,
) -> Result<T, PipelineError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| PipelineError::Internal(e.to_string()))?
}

fn look(input: &PlanInput) -> Result<Option<Pinning>, PipelineError> {
    let Some(manifest) = Manifest::load(&input.dir)? else { return Ok(None) };
    let columns = Columns { job: &input.job, manifest: Some(&manifest), dir: &input.dir };
    let failed = |error| source_error(&input.job, error);
    let (stream, repinned) = open(input, &columns, &manifest).map_err(failed)?;
    let role = |name: &str| role(&columns, name);
    let mut tonight = Plan::tonight(&stream.schema, &stream.typing, &manifest.schema, &role)?;
    let drift = match Plan::new(&stream.schema, &stream.typing, Some(&manifest.schema), &role) {
        Err(PlanError::Drift(drift)) => drift.problems,
        Err(other) => return Err(other.into()),
        Ok(_) => Vec::new(),
    };
    let valued = valued(&stream).map_err(failed)?;
    let listed = listed(&columns, &manifest, &stream, &tonight, &valued, &drift);
    // A column without a value has no type of its own: it stays what it was, and what is new waits for its first value.
    let pinned = |name: &str| manifest.schema.index_of(name).map(|index| manifest.schema.columns[index].kind);
    tonight.columns.retain_mut(|column| match pinned(&column.name) {
        _ if valued.contains(&column.name) => true,
        Some(kind) => {
            column.kind = kind;
            true
        }
        None => false,
    });
    let (schema, mut changes) = accepted(&manifest.schema, &tonight);
    if let Some(input) = &repinned {
        let said = accepted(manifest.input.as_ref().unwrap_or(&Schema::default()), input).1;
        changes.extend(said.into_iter().map(|change| format!("of the model's input: {change}")));
    }
    let refused = words::refused(&columns, &manifest, &schema);
    let consequences = words::consequences(&columns, &manifest, &stream, &tonight, &schema)?;
    let input = repinned.or_else(|| manifest.input.clone());
    Ok(Some(Pinning { columns: listed, changes, refused, consequences, schema, input, manifest }))
}

/// Opens the extract so that it shows its own types. The input types of a model are only taken anew if the extract cannot
/// be read with the pinned ones; then they are returned.
fn open(
    input: &PlanInput,
    columns: &Columns<'_>,
    manifest: &Manifest,
) -> Result<(Stream, Option<Schema>), SourceError> {
    let source = source::open(&columns.job.source, &input.environment);
    let wanted = |name: &str| is_wanted(columns, name);
    let ask = |pinned_input| Ask { pinned: None, pinned_input, limit: None, wanted: &wanted };
    match source.stream(&ask(manifest.input.as_ref())) {
        Err(error) if manifest.input.is_some() => {
            let Ok(stream) = source.stream(&ask(None)) else { return Err(error) };
            let input = stream.input.clone();
            Ok((stream, input))
        }
        opened => Ok((opened?, None)),
    }
}

/// The columns that hold a value. Reads no further than it must.
fn valued(stream: &Stream) -> Result<BTreeSet<String>, SourceError> {
    let (mut valued, mut open) = (BTreeSet::new(), true);
    while open && let Some(piece) = stream.rows.next()? {
        for batch in piece.batches {
            let batch = batch?;
            for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
                if array.logical_null_count() < array.len() {
                    valued.insert(field.name().clone());
                }
            }
            open = batch.num_rows() == 0 || valued.len() < batch.num_columns();
            if !open {
                break;
            }
        }
    }
    Ok(valued)
}

fn listed(
    columns: &Columns<'_>,
    manifest: &Manifest,
    stream: &Stream,
    tonight: &Schema,
    valued: &BTreeSet<String>,
    drift: &[DriftProblem],
) -> Vec<PinnedColumn> {
    let own = |name: &str| tonight.index_of(name).map(|index| tonight.columns[index].kind);
    let of = |name: &str, pinned: Option<Kind>| {
        let problem = drift.iter().find(|problem| {
            matches!(problem, DriftProblem::Gone { column, .. } | DriftProblem::Retyped { column, .. } if column == name)
        });
        let tonight = own(name).filter(|_| valued.contains(name));
        let is_there = stream.schema.field_with_name(name).is_ok();
        let becomes = |pinned: Kind, tonight: Kind| {
            let one = |kind| Schema { columns: vec![crate::row::Column { name: name.to_owned(), kind }] };
            accepted(&one(pinned), &one(tonight)).1.is_empty()
        };
        let standing = match (pinned, tonight) {
            (None, _) => Standing::New,
            (Some(_), _) if !is_there => Standing::Gone,
            (Some(pinned), Some(tonight)) if !becomes(pinned, tonight) => Standing::Retyped,
            _ => Standing::Same,
        };
        let candidates = match problem {
            Some(DriftProblem::Gone { candidates, .. }) => candidates.clone(),
            _ => Vec::new(),
        };
        let (name, purpose) = (name.to_owned(), columns.purpose(name));
        PinnedColumn { name, purpose, pinned, tonight, standing, holds: problem.is_some(), candidates }
    };
    let pinned = manifest.schema.columns.iter().map(|column| of(&column.name, Some(column.kind)));
    let new = stream.schema.fields().iter().filter(|field| manifest.schema.index_of(field.name()).is_none());
    pinned.chain(new.map(|field| of(field.name(), None))).collect()
}
