//! Tonight's extract, opened: what its columns are and are for, and how a batch of it is made ready for comparison.

use super::PipelineError;
use super::bodies::Bodies;
use super::columns::Columns;
use super::planned::PlanInput;
use super::planning::WantedRows;
use crate::diff::{BadKey, KeyFault, Slot, faulty_rows};
use crate::job::spec::{Job, Payload};
use crate::normalise::{self, Misfit, Plan, Role};
use crate::row::{HashSeed, KeyHash, KeyHasher, Print, PrintHasher, RowRef, Schema, key_text};
use crate::snapshot::{Basis, Manifest, Shape};
use crate::source::{self, Ask, Source, Stream};
use crate::template::may_say;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// An extract whose columns are understood.
pub(super) struct Extract {
    plan: Plan,
    pub(super) stream: Stream,
    /// Why the run should be held, by what the source says.
    pub(super) held: Vec<String>,
    pub(super) bodies: Bodies,
    pub(super) shape: Arc<Shape>,
    pub(super) basis: Basis,
    keys: KeyHasher,
    prints: PrintHasher,
    /// The names of the key columns, then of the compared ones, as `basis.schema` has them.
    hashed: Vec<String>,
    /// Whether it has only the orgs that have changed since the last success: others are not gone.
    pub(super) partial: bool,
}

/// A batch that is ready for comparison.
pub(super) struct Ready {
    /// The decoded columns, canonical or dictionaries of such.
    pub(super) batch: RecordBatch,
    /// The columns of `basis.schema`.
    pub(super) hashed: Vec<ArrayRef>,
    pub(super) keys: Vec<KeyHash>,
    pub(super) prints: Vec<Print>,
    /// Over the columns that are not adopted tonight, if any is.
    pub(super) against: Option<Vec<Print>>,
    /// Rows with a value that does not fit, ascending.
    pub(super) rejected: Vec<u32>,
    /// Rows without a usable key, ascending, and what is wrong; rows are those of the batch.
    pub(super) keyless: Vec<BadKey>,
    pub(super) misfits: Vec<Misfit>,
    /// The columns that hold a value, by position in the extract's schema.
    pub(super) valued: Vec<usize>,
}

impl Ready {
    /// Key hash and fingerprint of each row.
    pub(super) fn slots(&self) -> Vec<Slot> {
        self.keys.iter().zip(&self.prints).map(|(key, print)| Slot::new(*key, *print)).collect()
    }
}

/// What a column is for, which decides what happens to a value that does not fit.
pub(super) fn role(columns: &Columns<'_>, name: &str) -> Role {
    match () {
        () if columns.is_key(name) => Role::Key,
        () if columns.is_compared(name) => Role::Strict,
        () if columns.is_ignored(name) => Role::Ignored,
        () => Role::Payload,
    }
}

/// Whether anybody needs a column's values: an ignored one is only needed by a payload that may say it.
pub(super) fn is_wanted(columns: &Columns<'_>, name: &str) -> bool {
    let names = |payload: &Payload| match payload {
        Payload::Flat { fields } | Payload::Group { fields } => fields.iter().any(|(_, column)| column == name),
        Payload::Liquid { template } | Payload::Rows { template } => may_say(template, name),
        Payload::Empty => false,
    };
    let mut texts = columns.job.destination.templated().map(|(_, text)| text);
    !columns.is_ignored(name)
        || columns.job.payloads().any(names)
        || texts.any(|text| text.is_template() && may_say(&text.written, name))
}

/// The rows of the job, with what is pinned of them. `files`: private copies to read instead. `limit`: at most so many rows.
pub(super) fn stream(
    input: &PlanInput,
    manifest: Option<&Manifest>,
    files: Option<Vec<PathBuf>>,
    limit: Option<usize>,
) -> Result<Stream, PipelineError> {
    let job = &input.job;
    let columns = Columns { job, manifest, dir: &input.dir };
    let source: Box<dyn Source> = match files {
        Some(files) => source::parquet_files(files),
        None => source::open(&job.source, &input.environment),
    };
    let ask = Ask {
        pinned: manifest.map(|m| &m.schema),
        pinned_input: manifest.and_then(|m| m.input.as_ref()),
        limit,
        wanted: &|name| is_wanted(&columns, name),
    };
    let stream = source.stream(&ask).map_err(|source| source_error(job, source))?;
    Ok(Stream { rows: Box::new(WantedRows::new(stream.rows, &input.environment)), ..stream })
}

/// Why a run should be held that would adopt columns of orgs which it does not see: when their values change, the change would be taken for what the
/// destination has.
fn unseen(input: &PlanInput, partial: bool, basis: &Basis) -> Option<String> {
    let since = input.environment.parameters.last_success.filter(|_| partial && !basis.adopted.is_empty())?;
    let names: Vec<String> = basis.adopted.iter().map(|&column| format!("`{}`", basis.compared[column].name)).collect();
    Some(format!(
        "{} would be adopted (diff.on_new_column) with the values of orgs that have changed since {since} alone: run once with --full, so that no \
         later change of the others is taken for what the destination has",
        names.join(", ")
    ))
}

impl Extract {
    /// Opens the job's extract. `files`: private copies of its files to read instead. `text`: ignored columns that are kept
    /// as text. `limit`: at most so many rows.
    pub(super) fn open(
        input: &PlanInput,
        manifest: Option<&Manifest>,
        seed: HashSeed,
        files: Option<Vec<PathBuf>>,
        text: &BTreeSet<String>,
        limit: Option<usize>,
    ) -> Result<Self, PipelineError> {
        let stream = stream(input, manifest, files, limit)?;
        Extract::of(stream, input, manifest, seed, text)
    }

    /// Understands the columns of a stream of the job.
    pub(super) fn of(
        stream: Stream,
        input: &PlanInput,
        manifest: Option<&Manifest>,
        seed: HashSeed,
        text: &BTreeSet<String>,
    ) -> Result<Self, PipelineError> {
        let job = &input.job;
        let columns = Columns { job, manifest, dir: &input.dir };
        let pinned = manifest.map(|m| &m.schema);
        let mut plan = Plan::new(&stream.schema, &stream.typing, pinned, &|name| role(&columns, name))?;
        let partial = stream.partial;
        columns.check(plan.schema(), partial)?;
        text.iter().for_each(|column| plan.keep_text(column));
        let schema = plan.schema().clone();
        let bodies = Bodies::compile(job, &schema)?;
        let before = columns.before_schema(&schema);
        let compared = columns.compared(&before)?;
        let key = schema.indices_of(&job.diff.key).map_err(|e| PipelineError::Columns(vec![e.to_string()]))?;
        let adopted = columns.adopted(&compared);
        let forms = compared.iter().map(|c| c.form.clone()).collect();
        let basis = Basis { seed, schema: before.clone(), key: key.len(), compared, adopted };
        let mut held = stream.rows.held();
        held.extend(unseen(input, partial, &basis));
        Ok(Extract {
            held,
            keys: basis.keys(),
            prints: basis.prints(),
            hashed: before.names(),
            shape: Arc::new(Shape { schema, key, before, forms }),
            basis,
            bodies,
            stream,
            plan,
            partial,
        })
    }

    /// Makes a batch canonical and hashes it. [`PipelineError::KeptAsText`] asks to start over.
    pub(super) fn ready(&self, batch: &RecordBatch) -> Result<Ready, PipelineError> {
        let normalised = self.plan.batch(batch)?;
        let (batch, misfits) = (normalised.batch, normalised.misfits);
        let rows = batch.num_rows();
        let hashed: Vec<ArrayRef> =
            self.hashed.iter().filter_map(|name| batch.column_by_name(name).map(Arc::clone)).collect();
        let (key, compared) = hashed.split_at(self.basis.key.min(hashed.len()));
        let keys = self.keys.hashes(key);
        let mut prints = vec![0; rows];
        let plain = (0..compared.len()).filter(|c| !self.basis.adopted.contains(c));
        plain.for_each(|c| self.prints.add_column(c, &compared[c], &mut prints));
        let against = (!self.basis.adopted.is_empty()).then(|| prints.clone());
        self.basis.adopted.iter().for_each(|&c| self.prints.add_column(c, &compared[c], &mut prints));
        let mut rejected: Vec<u32> = misfits.iter().map(|misfit| misfit.row as u32).collect();
        rejected.sort_unstable();
        rejected.dedup();
        let keyless = self.keyless(key, &misfits)?;
        let valued = self.shape.schema.columns.iter().enumerate().filter(|(_, column)| {
            batch.column_by_name(&column.name).is_some_and(|array| array.logical_null_count() < array.len())
        });
        let valued = valued.map(|(index, _)| index).collect();
        Ok(Ready { hashed, keys, prints, against, rejected, keyless, misfits, valued, batch })
    }

    /// Rows without a usable key, and why.
    fn keyless(&self, key: &[ArrayRef], misfits: &[Misfit]) -> Result<Vec<BadKey>, arrow::error::ArrowError> {
        let faults = faulty_rows(key);
        if faults.is_empty() {
            return Ok(Vec::new());
        }
        let plain = key.iter().map(normalise::plain).collect::<Result<Vec<_>, _>>()?;
        let schema = Schema { columns: self.basis.schema.columns[..key.len()].to_vec() };
        let batch = RecordBatch::try_new(schema.arrow(), plain)?;
        let columns: Vec<usize> = (0..key.len()).collect();
        let bad = |(row, column, null): (u32, usize, bool)| {
            let Some(of) = schema.columns.get(column) else { return KeyFault::Null };
            let misfit =
                misfits.iter().find(|m| m.row == row as usize && self.shape.schema.columns[m.column].name == of.name);
            match misfit {
                Some(misfit) => KeyFault::DoesNotFit { value: misfit.value.clone(), kind: of.kind },
                None if null => KeyFault::Null,
                None => KeyFault::Empty,
            }
        };
        let key_of = |row: u32| key_text(RowRef { schema: &schema, batch: &batch, row: row as usize }, &columns);
        Ok(faults
            .into_iter()
            .map(|fault| BadKey { row: u64::from(fault.0), key: key_of(fault.0), fault: bad(fault) })
            .collect())
    }

    /// The fingerprint of one row without what these compared columns add.
    pub(super) fn without(&self, ready: &Ready, row: u32, columns: &[usize]) -> Print {
        let of = |&c: &usize| {
            let array = &ready.hashed[self.basis.key + c];
            self.prints.column(c, &array.slice(row as usize, 1)).first().copied().unwrap_or(0)
        };
        columns.iter().map(of).fold(ready.prints[row as usize], Print::wrapping_sub)
    }

    /// Some rows of a batch with all columns of the extract; NULL in those that nobody needs.
    pub(super) fn rows(&self, batch: &RecordBatch, rows: Vec<u32>) -> Result<RecordBatch, PipelineError> {
        let rows = UInt32Array::from(rows);
        let column = |column: &crate::row::Column| match batch.column_by_name(&column.name) {
            Some(array) => Ok(compact(normalise::plain(&arrow::compute::take(array, &rows, None)?)?)),
            None => Ok(new_null_array(&column.kind.arrow_type(), rows.len())),
        };
        let schema = &self.shape.schema;
        let columns = schema.columns.iter().map(column).collect::<Result<Vec<_>, arrow::error::ArrowError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(schema.arrow(), columns, &options)?)
    }
}

/// Text without the text of the rows that were not taken, which a view would keep in memory.
fn compact(array: ArrayRef) -> ArrayRef {
    array.as_string_view_opt().map_or_else(|| Arc::clone(&array), |texts| Arc::new(texts.gc()))
}

/// What a source's error means for a job.
pub(super) fn source_error(job: &Job, source: source::SourceError) -> PipelineError {
    PipelineError::Source { job: job.name.clone(), source }
}
