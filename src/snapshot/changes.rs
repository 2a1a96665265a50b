//! `changes.parquet`: the change set of a run, in the order in which it is sent.

use super::SnapshotError;
use super::table::{compared_of, fingerprint_array, fingerprint_at, group, names_array, names_at, project, ungroup};
use super::view::View;
use crate::diff::{Change, Diff, Operation};
use crate::row::{Fingerprint, Fingerprinter, HashSeed, RowRef, Schema};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{Field, SchemaRef};
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;
use std::sync::Arc;

/// What a change says besides its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// What is to happen at the destination.
    pub operation: Operation,
    /// The same for every repeat of the same version of a row.
    pub webhook_id: String,
    /// An earlier send may have been applied.
    pub uncertain: bool,
    /// Whether the destination is known to have had the org.
    pub had_before: bool,
    /// Compared columns of which the destination's value was not known and not to be sent: NULL in `before`.
    pub unknown_before: Vec<String>,
}

/// The rows to send, with their values.
#[derive(Debug, Clone)]
pub struct ChangeSet {
    /// One per change, in order; the position is the change's `seq`.
    pub rows: Vec<ChangeRow>,
    /// The columns of `after`: tonight's extract.
    pub schema: Schema,
    /// The key's positions in `schema`.
    pub key: Vec<usize>,
    /// What is to be sent, one row per change. A removed org has its key and last known values, the rest NULL.
    pub after: RecordBatch,
    /// The columns of `before`: key and compared.
    pub before_schema: Schema,
    /// What the destination had, one row per change; only the key counts where it had nothing.
    pub before: RecordBatch,
}

impl ChangeSet {
    /// Takes the values of the changed rows.
    ///
    /// `tonight`: the whole extract, canonical, of `schema`; `narrow` the same with only the columns of `before_schema`.
    ///
    /// # Errors
    /// Only what Arrow itself refuses.
    pub fn build(input: &Tables<'_>, view: &View, diff: &Diff, run: &str) -> Result<Self, SnapshotError> {
        let narrow = input.narrow()?;
        let mut before_sources = vec![&narrow];
        before_sources.extend(view.values());
        let before_picks: Vec<_> = diff.changes.iter().map(|c| before_pick(c, view)).collect();
        let before = arrow::compute::interleave_record_batch(&before_sources, &before_picks)?;
        let widened = project(&before, input.before_schema, input.schema)?;
        let after_picks: Vec<_> =
            diff.changes.iter().enumerate().map(|(i, c)| c.tonight.map_or((1, i), |row| (0, row))).collect();
        let after = arrow::compute::interleave_record_batch(&[input.tonight, &widened], &after_picks)?;
        let rows = diff.changes.iter().map(|c| ChangeRow {
            operation: c.operation,
            webhook_id: c.repeats.map_or_else(|| webhook_id(input.seed, run, c), |at| view.webhook_id(at).to_owned()),
            uncertain: c.uncertain,
            had_before: c.before.is_some(),
            unknown_before: c.known.map(|at| view.unknown(at).to_vec()).unwrap_or_default(),
        });
        Ok(ChangeSet {
            rows: rows.collect(),
            schema: input.schema.clone(),
            key: input.key.to_vec(),
            after,
            before_schema: input.before_schema.clone(),
            before,
        })
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row to render and send.
    pub fn row(&self, seq: usize) -> RowRef<'_> {
        RowRef { schema: &self.schema, batch: &self.after, row: seq }
    }

    /// What the destination had, if it is known to have had the org.
    pub fn before(&self, seq: usize) -> Option<RowRef<'_>> {
        self.rows[seq].had_before.then_some(RowRef { schema: &self.before_schema, batch: &self.before, row: seq })
    }

    /// The compared columns in which a change differs; empty for one that is repeated only because its outcome is unknown.
    pub fn changed_columns(&self, seq: usize) -> Vec<&str> {
        let (Some(before), Operation::Changed) = (self.before(seq), self.rows[seq].operation) else {
            return Vec::new();
        };
        let unknown = &self.rows[seq].unknown_before;
        let differs = |name: &&str| {
            if unknown.iter().any(|u| u == name) {
                return false;
            }
            let (Some(old), Some(new)) = (self.before_schema.index_of(name), self.schema.index_of(name)) else {
                return false;
            };
            !same(before, old, self.row(seq), new)
        };
        self.before_schema.columns.iter().map(|c| c.name.as_str()).filter(differs).collect()
    }

    /// The file's form: `seq, operation, webhook_id, uncertain, key{…}, before{…}, after{…}, fingerprint_before/after,
    /// unknown_before`.
    pub(super) fn to_batch(&self, seed: HashSeed) -> Result<(SchemaRef, RecordBatch), SnapshotError> {
        let before_key = positions(&self.before_schema, &self.schema, &self.key);
        let compared = compared_of(&self.before_schema, &before_key);
        let fingerprints = |batch: &RecordBatch, schema: &Schema| -> Result<Vec<Fingerprint>, SnapshotError> {
            let narrow = project(batch, schema, &self.before_schema)?;
            Ok(Fingerprinter::new(seed, &self.before_schema, &compared).fingerprints(&narrow))
        };
        let (old, new) = (fingerprints(&self.before, &self.before_schema)?, fingerprints(&self.after, &self.schema)?);
        let had: Vec<bool> = self.rows.iter().map(|r| r.had_before).collect();
        let has: Vec<bool> = self.rows.iter().map(|r| r.operation != Operation::Removed).collect();
        let payload: Vec<usize> = (0..self.schema.columns.len()).filter(|c| !self.key.contains(c)).collect();
        let of = |present: &[bool], values: Vec<Fingerprint>| {
            fingerprint_array(present.iter().zip(values).map(|(p, f)| p.then_some(f)))
        };
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("seq", Arc::new(Int64Array::from_iter_values(0..self.len() as i64))),
            ("operation", Arc::new(self.rows.iter().map(|r| Some(r.operation.as_str())).collect::<StringArray>())),
            ("webhook_id", Arc::new(self.rows.iter().map(|r| Some(r.webhook_id.as_str())).collect::<StringArray>())),
            ("uncertain", Arc::new(self.rows.iter().map(|r| Some(r.uncertain)).collect::<BooleanArray>())),
            ("key", Arc::new(group(&self.after, &self.key, None))),
            ("before", Arc::new(group(&self.before, &compared, Some(&had)))),
            ("after", Arc::new(group(&self.after, &payload, Some(&has)))),
            ("fingerprint_before", Arc::new(of(&had, old)?)),
            ("fingerprint_after", Arc::new(of(&has, new)?)),
            ("unknown_before", Arc::new(names_array(self.rows.iter().map(|r| r.unknown_before.as_slice())))),
        ];
        let fields: Vec<Field> = columns.iter().map(|(n, a)| Field::new(*n, a.data_type().clone(), true)).collect();
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        let arrays = columns.into_iter().map(|(_, a)| a).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.len()));
        Ok((Arc::clone(&schema), RecordBatch::try_new_with_options(schema, arrays, &options)?))
    }
}

/// What a change set is built from.
#[derive(Debug, Clone, Copy)]
pub struct Tables<'a> {
    /// The job's hash seed.
    pub seed: HashSeed,
    /// Tonight's extract as one canonical batch of `schema`.
    pub tonight: &'a RecordBatch,
    /// The extract's columns.
    pub schema: &'a Schema,
    /// The key's positions in `schema`.
    pub key: &'a [usize],
    /// Key and compared columns.
    pub before_schema: &'a Schema,
}

impl Tables<'_> {
    /// Tonight's key and compared columns only.
    pub(super) fn narrow(&self) -> Result<RecordBatch, SnapshotError> {
        project(self.tonight, self.schema, self.before_schema)
    }
}

/// One change of an earlier run, as read back.
#[derive(Debug, Clone)]
pub(super) struct Earlier {
    pub(super) operation: Operation,
    pub(super) webhook_id: String,
    pub(super) uncertain: bool,
    pub(super) before: Option<Fingerprint>,
    pub(super) after: Option<Fingerprint>,
    pub(super) unknown_before: Vec<String>,
}

/// The changes of a file, and their `before` and `after` values as batches of one schema (key and compared columns; a
/// column that the file lacks is NULL).
pub(super) struct EarlierChanges {
    pub(super) rows: Vec<Earlier>,
    pub(super) before: RecordBatch,
    pub(super) after: RecordBatch,
}

/// Reads a change set back. `None` if the file is not one.
pub(super) fn from_batch(batch: &RecordBatch, schema: &Schema) -> Option<Result<EarlierChanges, SnapshotError>> {
    let operations = batch.column_by_name("operation")?.as_string_opt::<i32>()?;
    let ids = batch.column_by_name("webhook_id")?.as_string_opt::<i32>()?;
    let uncertain = batch.column_by_name("uncertain")?.as_boolean_opt()?;
    let before = batch.column_by_name("fingerprint_before")?.as_fixed_size_binary_opt()?;
    let after = batch.column_by_name("fingerprint_after")?.as_fixed_size_binary_opt()?;
    let unknown = batch.column_by_name("unknown_before")?.as_list_opt::<i32>()?;
    let key = batch.column_by_name("key")?.as_struct_opt()?;
    let values = |name: &str| Some(ungroup(schema, key, batch.column_by_name(name)?.as_struct_opt()?));
    let (old, new) = (values("before")?, values("after")?);
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        rows.push(Earlier {
            operation: Operation::parse(operations.value(row))?,
            webhook_id: ids.value(row).to_owned(),
            uncertain: uncertain.value(row),
            before: fingerprint_at(before, row),
            after: fingerprint_at(after, row),
            unknown_before: names_at(unknown, row)?,
        });
    }
    Some(old.and_then(|before| Ok(EarlierChanges { rows, before, after: new? })))
}

fn before_pick(change: &Change, view: &View) -> (usize, usize) {
    match (change.known, change.tonight) {
        (Some(at), _) => {
            let (source, row) = view.origin(at);
            (source + 1, row)
        }
        (None, row) => (0, row.unwrap_or(0)),
    }
}

/// Derived, not drawn, so that the same plan gives the same ids; a later version of the row comes from another run.
fn webhook_id(seed: HashSeed, run: &str, change: &Change) -> String {
    let mut hasher = SipHasher24::new_with_key(&seed.0);
    hasher.write(run.as_bytes());
    hasher.write(&change.key.to_be_bytes());
    format!("nm_{:032x}", hasher.finish128().as_u128())
}

fn positions(in_schema: &Schema, of: &Schema, columns: &[usize]) -> Vec<usize> {
    columns.iter().filter_map(|&c| in_schema.index_of(&of.columns[c].name)).collect()
}

fn same(left: RowRef<'_>, left_column: usize, right: RowRef<'_>, right_column: usize) -> bool {
    use crate::row::Value::Float;
    match (left.value(left_column), right.value(right_column)) {
        (Float(a), Float(b)) => a == b || (a.is_nan() && b.is_nan()),
        (a, b) => a == b,
    }
}
