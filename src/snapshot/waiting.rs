//! `waiting.parquet`: changes of earlier runs that are not acknowledged, not repeated tonight and not superseded either,
//! because their org is missing or cannot be judged. When the org is back with the same version, it goes out under the
//! same webhook id. What the destination has of such an org is in the base as ever; this file says nothing about that.

use super::SnapshotError;
use super::changes::Tables;
use super::table::{compared_of, fingerprint_array, fingerprint_at, group, ungroup};
use super::view::View;
use crate::diff::Diff;
use crate::row::{Fingerprint, Fingerprinter, Schema};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{Field, SchemaRef};
use std::sync::Arc;

/// One waiting change, as read back.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) webhook_id: String,
    /// `None` for a removal.
    pub(super) after: Option<Fingerprint>,
    /// For how many publications it has waited.
    pub(super) waited: u32,
}

/// The file's form: `webhook_id, waited, key{…}, after{…}, fingerprint_after`. `key`: its positions in
/// [`Tables::before_schema`].
pub(super) fn build(
    input: &Tables<'_>,
    key: &[usize],
    view: &View,
    diff: &Diff,
) -> Result<(SchemaRef, RecordBatch), SnapshotError> {
    let schema = input.before_schema;
    let compared = compared_of(schema, key);
    let changes: Vec<_> = diff.waiting.iter().filter_map(|&at| view.known()[at].pending).collect();
    let picks: Vec<_> = changes.iter().map(|p| view.after(p.at)).collect();
    let none = RecordBatch::new_empty(schema.arrow());
    let sources: Vec<_> = std::iter::once(&none).chain(view.afters()).collect();
    let picks: Vec<_> = picks.into_iter().map(|(source, row)| (source + 1, row)).collect();
    let after = arrow::compute::interleave_record_batch(&sources, &picks)?;
    let has: Vec<bool> = changes.iter().map(|p| p.after.is_some()).collect();
    let fingerprints = Fingerprinter::new(input.seed, schema, &compared).fingerprints(&after);
    let stored = fingerprint_array(has.iter().zip(fingerprints).map(|(has, f)| has.then_some(f)))?;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("webhook_id", Arc::new(changes.iter().map(|p| Some(view.webhook_id(p.at))).collect::<StringArray>())),
        ("waited", Arc::new(Int64Array::from_iter_values(changes.iter().map(|p| i64::from(p.waited) + 1)))),
        ("key", Arc::new(group(&after, key, None))),
        ("after", Arc::new(group(&after, &compared, Some(&has)))),
        ("fingerprint_after", Arc::new(stored)),
    ];
    let fields: Vec<Field> = columns.iter().map(|(n, a)| Field::new(*n, a.data_type().clone(), true)).collect();
    let arrow = Arc::new(arrow::datatypes::Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(changes.len()));
    let arrays = columns.into_iter().map(|(_, a)| a).collect();
    Ok((Arc::clone(&arrow), RecordBatch::try_new_with_options(arrow, arrays, &options)?))
}

/// Reads the file back, with the versions' values as a batch of `schema`. `None` if it is not one.
pub(super) fn from_batch(
    batch: &RecordBatch,
    schema: &Schema,
) -> Option<Result<(Vec<Waiting>, RecordBatch), SnapshotError>> {
    let ids = batch.column_by_name("webhook_id")?.as_string_opt::<i32>()?;
    let waited = batch.column_by_name("waited")?.as_primitive_opt::<arrow::datatypes::Int64Type>()?;
    let fingerprints = batch.column_by_name("fingerprint_after")?.as_fixed_size_binary_opt()?;
    let key = batch.column_by_name("key")?.as_struct_opt()?;
    let after = batch.column_by_name("after")?.as_struct_opt()?;
    let waiting = |row| Waiting {
        webhook_id: ids.value(row).to_owned(),
        after: fingerprint_at(fingerprints, row),
        waited: u32::try_from(waited.value(row)).unwrap_or(u32::MAX),
    };
    let rows = (0..batch.num_rows()).map(waiting).collect();
    Some(ungroup(schema, key, after).map(|values| (rows, values)))
}
