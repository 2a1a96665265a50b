//! `base.parquet`: one row per org, as the destination will have it once every change is acknowledged.

use super::SnapshotError;
use super::table::{compared_of, fingerprint_array, fingerprint_at, names_array, names_at};
use super::view::View;
use crate::diff::{Diff, Known, Next};
use crate::row::{Fingerprint, Fingerprinter, HashSeed, Schema};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, SchemaRef};
use std::sync::Arc;

/// Columns of ours beside the org's own; the prefix is refused in extracts.
pub(super) const PREFIX: &str = "_nightmark_";
const FINGERPRINT: &str = "_nightmark_fingerprint";
const UNCERTAIN: &str = "_nightmark_uncertain";
const GONE: &str = "_nightmark_gone";
const UNKNOWN: &str = "_nightmark_unknown";

/// What a base row says besides its values.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) uncertain: bool,
    pub(super) gone: bool,
    /// Compared columns of which the destination's value is not known and not to be sent: they were adopted on a night on
    /// which the org could not be judged.
    pub(super) unknown: Vec<String>,
}

/// Builds the next base. `tonight`: the key and compared columns of the extract, canonical, of `schema`.
pub(super) fn build(
    schema: &Schema,
    key: &[usize],
    seed: HashSeed,
    tonight: &RecordBatch,
    view: &View,
    diff: &Diff,
) -> Result<(SchemaRef, RecordBatch), SnapshotError> {
    let mut sources = vec![tonight];
    sources.extend(view.values());
    let mut picks = Vec::with_capacity(diff.next.len());
    let mut flags = Vec::with_capacity(diff.next.len());
    for next in &diff.next {
        match *next {
            Next::Tonight(row) => {
                picks.push((0, row));
                flags.push((true, false, false, [].as_slice()));
            }
            Next::Known { at, gone } => {
                let (source, row) = view.origin(at);
                let Known { fingerprint, uncertain, .. } = view.known()[at];
                picks.push((source + 1, row));
                flags.push((fingerprint.is_some(), uncertain, gone, view.unknown(at)));
            }
        }
    }
    let values = arrow::compute::interleave_record_batch(&sources, &picks)?;
    // Hashed from the very values that are written, whatever columns tonight's comparison rested on.
    let fingerprints = Fingerprinter::new(seed, schema, &compared_of(schema, key)).fingerprints(&values);
    let stored = flags.iter().zip(&fingerprints).map(|((there, ..), f)| there.then_some(*f));
    let mut columns: Vec<ArrayRef> = values.columns().to_vec();
    columns.push(Arc::new(fingerprint_array(stored)?));
    columns.push(Arc::new(flags.iter().map(|f| Some(f.1)).collect::<BooleanArray>()));
    columns.push(Arc::new(flags.iter().map(|f| Some(f.2)).collect::<BooleanArray>()));
    let unknown = names_array(flags.iter().map(|f| f.3));
    let arrow = arrow_schema(schema, unknown.data_type());
    columns.push(Arc::new(unknown));
    let options = RecordBatchOptions::new().with_row_count(Some(flags.len()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&arrow), columns, &options)?;
    Ok((arrow, batch))
}

fn arrow_schema(schema: &Schema, names: &DataType) -> SchemaRef {
    let mut fields: Vec<Field> = schema.arrow().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.push(Field::new(FINGERPRINT, DataType::FixedSizeBinary(16), true));
    fields.push(Field::new(UNCERTAIN, DataType::Boolean, false));
    fields.push(Field::new(GONE, DataType::Boolean, false));
    fields.push(Field::new(UNKNOWN, names.clone(), true));
    Arc::new(arrow::datatypes::Schema::new(fields))
}

/// The marks of a base as read back; `None` if a column is missing.
pub(super) fn marks(batch: &RecordBatch) -> Option<Vec<Mark>> {
    let fingerprints = batch.column_by_name(FINGERPRINT)?.as_fixed_size_binary_opt()?;
    let uncertain = batch.column_by_name(UNCERTAIN)?.as_boolean_opt()?;
    let gone = batch.column_by_name(GONE)?.as_boolean_opt()?;
    let unknown = batch.column_by_name(UNKNOWN)?.as_list_opt::<i32>()?;
    let mark = |row| {
        Some(Mark {
            fingerprint: fingerprint_at(fingerprints, row),
            uncertain: uncertain.value(row),
            gone: gone.value(row),
            unknown: names_at(unknown, row)?,
        })
    };
    (0..batch.num_rows()).map(mark).collect()
}
