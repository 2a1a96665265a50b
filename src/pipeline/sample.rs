//! A look at the beginning of an extract: what `check` shows. No snapshot rows, no comparison, no uniqueness of keys beyond the rows read.

use super::columns::Columns;
use super::extract::{self, Extract, Ready, source_error};
use super::planned::PlanInput;
use super::{PipelineError, Reach, faults};
use crate::clock::Clock;
use crate::config::Home;
use crate::diff::{BadKey, BadKeys, Duplicate};
use crate::job::spec::Job;
use crate::mapping::{PayloadTemplate, Seen};
use crate::normalise::Rejects;
use crate::row::{HashSeed, KeyHash, RowRef, key_text};
use crate::snapshot::Manifest;
use crate::source::{self, Environment};
use crate::store::RunStore;
use crate::template::{Conformance, Meta, RenderError};
use arrow::array::{RecordBatch, new_null_array};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What the first rows of an extract look like.
#[derive(Debug)]
pub struct Sample {
    /// Rows read; at most as many as were asked for.
    pub rows: u64,
    /// Name, kind and purpose (`key`, `compared`, `payload-only` or `ignored`) of each column, in the extract's order.
    pub columns: Vec<(String, String, &'static str)>,
    /// Why a run would be held, as far as the source says it.
    pub held: Vec<String>,
    /// Rows with values that do not fit, of those read.
    pub rejects: Rejects,
    /// Keys that are missing or stand in several of the rows read.
    pub bad_keys: BadKeys,
    /// The body that the first row would have if it were sent (empty: its request would have none); `None` for an empty extract.
    pub body: Option<Result<String, RenderError>>,
    /// Why the first row could not be sent as `changed`, or as `removed` with no more than is known of an org that is gone.
    pub unsendable: Vec<(&'static str, RenderError)>,
    /// How the rows that were read answer what the destination's key takes; `None`: the job does not say what it takes.
    pub conformance: Option<Answering>,
}

/// How bodies answer `[payload.conforms_to]`.
#[derive(Debug, Default)]
pub struct Answering {
    /// Rows whose body it refuses, or that have none.
    pub refused: u64,
    /// The first of them, with their rows, counted from 1.
    pub first: Vec<(u64, RenderError)>,
    /// Fields and paths at which no body has anything.
    pub unanswered: Vec<(String, String)>,
    /// Bodies that were looked at.
    bodies: u64,
    /// By path: whether any body has something there.
    seen: Vec<bool>,
}

impl Answering {
    /// Refused rows that are told.
    const LISTED: usize = 3;

    fn take(&mut self, row: u64, rendered: Result<Option<Seen>, RenderError>) {
        self.bodies += 1;
        match rendered {
            Ok(seen) => {
                let Seen(seen) = seen.unwrap_or(Seen(Vec::new()));
                self.seen.resize(self.seen.len().max(seen.len()), false);
                self.seen.iter_mut().zip(seen).for_each(|(any, now)| *any |= now);
            }
            Err(error) => {
                self.refused += 1;
                if self.first.len() < Self::LISTED {
                    self.first.push((row, error));
                }
            }
        }
    }

    /// Says what no body answers. If all are refused, nothing is known of the other fields.
    fn conclude(&mut self, template: &PayloadTemplate) {
        if self.bodies > self.refused {
            let missing = template.paths().zip(&self.seen).filter(|(_, seen)| !**seen);
            self.unanswered = missing.map(|((field, path), _)| (field.to_owned(), path.to_string())).collect();
        }
    }
}

/// What whoever wrote the job should know of how its source is set up, though nothing is wrong. Connects to nothing.
pub fn advice(job: &Job, home: &Home, clock: &dyn Clock) -> Vec<String> {
    source::open(&job.source, &Arc::new(Environment::new(home, clock.now()))).advice()
}

/// Reads at most `rows` rows and tries everything that does not need the others. Changes nothing on disk.
///
/// # Errors
/// Whatever would keep a run from being planned, as far as these rows show it.
pub async fn sample(
    job: Arc<Job>,
    home: &Home,
    store: Option<&dyn RunStore>,
    clock: &Arc<dyn Clock>,
    rows: usize,
) -> Result<Sample, PipelineError> {
    let input = PlanInput::to_look(job, home, store, clock, Reach::SinceLastSuccess).await?;
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
    let stream = match extract::stream(input, manifest.as_ref(), None, Some(rows)) {
        Ok(stream) => stream,
        Err(PipelineError::Source { job, source }) => {
            let beside = faults::beside(input, manifest.as_ref(), &source);
            let unread = PipelineError::Source { job, source };
            return Err(if beside.is_empty() {
                unread
            } else {
                PipelineError::Several(std::iter::once(unread).chain(beside).collect())
            });
        }
        Err(error) => return Err(error),
    };
    let mut found = faults::of(input, manifest.as_ref(), &stream);
    if found.len() > 1 {
        return Err(PipelineError::Several(found));
    }
    if let Some(error) = found.pop() {
        return Err(error);
    }
    let extract = Extract::of(stream, input, manifest.as_ref(), seed, text)?;
    let mut keys = Keys::default();
    let mut sample = Sample {
        rows: 0,
        columns: Vec::new(),
        held: extract.held.clone(),
        rejects: Rejects::default(),
        bad_keys: BadKeys::default(),
        body: None,
        unsendable: Vec::new(),
        conformance: conforms(input, &extract).map(|_| Answering::default()),
    };
    let rules = Columns { job: &input.job, manifest: manifest.as_ref(), dir: &input.dir };
    while let Some(piece) = extract.stream.rows.next().map_err(|e| source_error(&input.job, e))? {
        for batch in piece.batches {
            let batch = batch.map_err(|e| source_error(&input.job, e))?;
            let ready = extract.ready(&batch)?;
            for misfit in &ready.misfits {
                sample.rejects.push(misfit.reject(&extract.shape.schema, sample.rows));
            }
            if sample.body.is_none() && ready.batch.num_rows() > 0 {
                let first = extract.rows(&ready.batch, vec![0])?;
                sample.body = Some(sample_body(input, &extract, operation(input), &first, 0));
                sample.unsendable = unsendable(input, &extract, &rules, &first)?;
            }
            answer(input, &extract, &ready, &mut sample)?;
            keys.take(&extract, &ready, sample.rows, &mut sample.bad_keys)?;
            sample.rows += ready.batch.num_rows() as u64;
        }
    }
    keys.conclude(&mut sample.bad_keys);
    if let (Some(conformance), Some(of)) = (&mut sample.conformance, conforms(input, &extract)) {
        conformance.conclude(of.template());
    }
    let columns = extract.shape.schema.columns.iter();
    sample.columns = columns.map(|c| (c.name.clone(), c.kind.to_string(), rules.purpose(&c.name))).collect();
    Ok(sample)
}

/// The keys of the rows that were read.
#[derive(Default)]
struct Keys {
    /// Where a key stood first, and in how many rows it stands.
    seen: HashMap<KeyHash, (u32, u64)>,
    /// Those that stand in several, with the first of them as text.
    twice: Vec<(KeyHash, String)>,
}

impl Keys {
    /// `first`: the number of the batch's first row.
    fn take(&mut self, extract: &Extract, ready: &Ready, first: u64, bad: &mut BadKeys) -> Result<(), PipelineError> {
        for missing in &ready.keyless {
            bad.keyless(|| BadKey { row: first + missing.row, ..missing.clone() });
        }
        let keyless: HashSet<u64> = ready.keyless.iter().map(|bad| bad.row).collect();
        for (row, key) in (0u32..).zip(&ready.keys).filter(|(row, _)| !keyless.contains(&u64::from(*row))) {
            let at = u32::try_from(first).unwrap_or(u32::MAX).saturating_add(row);
            let (_, rows) = *self.seen.entry(*key).and_modify(|(_, rows)| *rows += 1).or_insert((at, 1));
            if rows == 2 {
                let of = extract.rows(&ready.batch, vec![row])?;
                let schema = &extract.shape.schema;
                self.twice.push((*key, key_text(RowRef { schema, batch: &of, row: 0 }, &extract.shape.key)));
            }
        }
        Ok(())
    }

    fn conclude(mut self, bad: &mut BadKeys) {
        let of = |key: &KeyHash| self.seen.get(key).copied().unwrap_or((0, 0));
        self.twice.sort_by_key(|(key, _)| of(key).0);
        let mut duplicates = Vec::new();
        for (key, _) in &self.twice {
            let (first, rows) = of(key);
            duplicates.push(Duplicate { key: *key, rows: vec![first; usize::try_from(rows).unwrap_or(usize::MAX)] });
        }
        bad.duplicates(&duplicates, self.twice.into_iter().map(|(_, text)| text).collect());
    }
}

/// Tries every row that would be sent against what the destination's key takes.
fn answer(input: &PlanInput, extract: &Extract, ready: &Ready, sample: &mut Sample) -> Result<(), PipelineError> {
    let (Some(conformance), Some(of)) = (&mut sample.conformance, conforms(input, extract)) else { return Ok(()) };
    let rows = (0..ready.batch.num_rows() as u32).filter(|row| ready.rejected.binary_search(row).is_err());
    let rows: Vec<u32> = rows.collect();
    let batch = extract.rows(&ready.batch, rows.clone())?;
    for (at, row) in rows.into_iter().enumerate() {
        let body = sample_body(input, extract, operation(input), &batch, at);
        conformance.take(sample.rows + u64::from(row) + 1, body.map(|body| of.check(&body).ok()));
    }
    Ok(())
}

/// What the bodies of the sample have to conform to.
fn conforms<'e>(input: &PlanInput, extract: &'e Extract) -> Option<&'e Conformance> {
    extract.bodies.conforms_to(operation(input))
}

/// `added`; or another, where new orgs are not sent.
fn operation(input: &PlanInput) -> &'static str {
    let on = input.job.diff.on;
    match (on.added, on.changed) {
        (true, _) => "added",
        (_, true) => "changed",
        _ => "removed",
    }
}

/// The first row with the operations that it was not tried with.
fn unsendable(
    input: &PlanInput,
    extract: &Extract,
    rules: &Columns<'_>,
    first: &RecordBatch,
) -> Result<Vec<(&'static str, RenderError)>, PipelineError> {
    let on = input.job.diff.on;
    let mut found = Vec::new();
    for (operation, _) in [("changed", on.changed), ("removed", on.removed)]
        .into_iter()
        .filter(|(operation, is_sent)| *is_sent && *operation != self::operation(input))
    {
        let known = if operation == "removed" { known_when_gone(rules, extract, first)? } else { first.clone() };
        found.extend(sample_body(input, extract, operation, &known, 0).err().map(|error| (operation, error)));
    }
    Ok(found)
}

/// Of an org that is gone no more is known than what was compared.
fn known_when_gone(rules: &Columns<'_>, extract: &Extract, rows: &RecordBatch) -> Result<RecordBatch, PipelineError> {
    let columns = extract.shape.schema.columns.iter().zip(rows.columns());
    let columns = columns.map(|(column, array)| match rules.is_key(&column.name) || rules.is_compared(&column.name) {
        true => Arc::clone(array),
        false => new_null_array(array.data_type(), array.len()),
    });
    Ok(RecordBatch::try_new(rows.schema(), columns.collect())?)
}

/// The body of a row of an extract.
fn sample_body(
    input: &PlanInput,
    extract: &Extract,
    operation: &'static str,
    rows: &RecordBatch,
    row: usize,
) -> Result<String, RenderError> {
    let meta = Meta { job: &input.job.name, webhook_id: "nm_sample", operation, at: input.at };
    let row = RowRef { schema: &extract.shape.schema, batch: rows, row };
    extract.bodies.aside(row, &meta)?;
    extract.bodies.render(row, &meta)
}
