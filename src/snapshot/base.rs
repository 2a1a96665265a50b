//! `base.parquet`: one row per org, as the destination will have it once every change is acknowledged.

use super::SnapshotError;
use super::view::View;
use crate::diff::{Diff, Known, Next};
use crate::row::{Fingerprint, Fingerprinter, HashSeed, Schema};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, FixedSizeBinaryBuilder, RecordBatch,
    RecordBatchOptions,
};
use arrow::datatypes::{DataType, Field, SchemaRef};
use std::sync::Arc;

/// Columns of ours beside the org's own; the prefix is refused in extracts.
pub(super) const PREFIX: &str = "_nightmark_";
const FINGERPRINT: &str = "_nightmark_fingerprint";
const UNCERTAIN: &str = "_nightmark_uncertain";
const GONE: &str = "_nightmark_gone";

/// What a base row says besides its values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) uncertain: bool,
    pub(super) gone: bool,
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
                flags.push((true, false, false));
            }
            Next::Known { at, gone } => {
                let (source, row) = view.origin(at);
                let Known { fingerprint, uncertain, .. } = view.known()[at];
                picks.push((source + 1, row));
                flags.push((fingerprint.is_some(), uncertain, gone));
            }
        }
    }
    let values = arrow::compute::interleave_record_batch(&sources, &picks)?;
    // Hashed from the very values that are written, whatever columns tonight's comparison rested on.
    let fingerprints = Fingerprinter::new(seed, schema, &compared_of(schema, key)).fingerprints(&values);
    let stored = flags.iter().zip(&fingerprints).map(|((there, _, _), f)| there.then_some(*f));
    let mut columns: Vec<ArrayRef> = values.columns().to_vec();
    columns.push(Arc::new(fingerprint_array(stored)?));
    columns.push(Arc::new(flags.iter().map(|f| Some(f.1)).collect::<BooleanArray>()));
    columns.push(Arc::new(flags.iter().map(|f| Some(f.2)).collect::<BooleanArray>()));
    let arrow = arrow_schema(schema);
    let options = RecordBatchOptions::new().with_row_count(Some(flags.len()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&arrow), columns, &options)?;
    Ok((arrow, batch))
}

/// The compared columns of a key-and-compared schema, ordered by name: the order does not depend on the extract's.
pub(super) fn compared_of(schema: &Schema, key: &[usize]) -> Vec<usize> {
    let mut compared: Vec<usize> = (0..schema.columns.len()).filter(|c| !key.contains(c)).collect();
    compared.sort_by(|&a, &b| schema.columns[a].name.cmp(&schema.columns[b].name));
    compared
}

fn arrow_schema(schema: &Schema) -> SchemaRef {
    let mut fields: Vec<Field> = schema.arrow().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.push(Field::new(FINGERPRINT, DataType::FixedSizeBinary(16), true));
    fields.push(Field::new(UNCERTAIN, DataType::Boolean, false));
    fields.push(Field::new(GONE, DataType::Boolean, false));
    Arc::new(arrow::datatypes::Schema::new(fields))
}

/// The marks of a base as read back; `None` if a column is missing.
pub(super) fn marks(batch: &RecordBatch) -> Option<Vec<Mark>> {
    let fingerprints = batch.column_by_name(FINGERPRINT)?.as_fixed_size_binary_opt()?;
    let uncertain = batch.column_by_name(UNCERTAIN)?.as_boolean_opt()?;
    let gone = batch.column_by_name(GONE)?.as_boolean_opt()?;
    let mark = |row| Mark {
        fingerprint: fingerprint_at(fingerprints, row),
        uncertain: uncertain.value(row),
        gone: gone.value(row),
    };
    Some((0..batch.num_rows()).map(mark).collect())
}

pub(super) fn fingerprint_array(
    values: impl Iterator<Item = Option<Fingerprint>>,
) -> Result<FixedSizeBinaryArray, SnapshotError> {
    let mut builder = FixedSizeBinaryBuilder::new(16);
    for value in values {
        match value {
            Some(fingerprint) => builder.append_value(fingerprint.to_be_bytes())?,
            None => builder.append_null(),
        }
    }
    Ok(builder.finish())
}

pub(super) fn fingerprint_at(array: &FixedSizeBinaryArray, row: usize) -> Option<Fingerprint> {
    array.is_valid(row).then(|| array.value(row).try_into().ok().map(Fingerprint::from_be_bytes)).flatten()
}
