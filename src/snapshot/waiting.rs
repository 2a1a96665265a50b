//! `waiting.parquet`: changes of earlier runs that are not acknowledged, not repeated tonight and not superseded either,
//! because their org is missing or cannot be judged. When the org is back with the same version, it goes out under the
//! same webhook id. What the destination has of such an org is in the base as ever; this file says nothing about that.
//!
//! Columns: `webhook_id, waited, key{…}, after{…}`; `after` is NULL for a removal.

use super::basis::Basis;
use super::changes::{id_of, id_text};
use super::files::{self, TableWriter};
use super::known::Snapshot;
use super::read::Table;
use super::table::{group, ungroup};
use super::{FileEntry, Manifest, SnapshotError};
use crate::diff::Pending;
use crate::row::{RowRef, Schema, key_text};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{Field, Int64Type};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// One waiting change, as read back.
#[derive(Debug, Clone)]
pub(super) struct WaitingRow {
    pub(super) id: u128,
    /// False for a removal.
    pub(super) has_after: bool,
    /// For how many publications it has waited.
    pub(super) waited: u32,
}

/// Writes the file.
pub(super) fn write(
    dir: &Path,
    name: &str,
    snapshot: &Snapshot,
    basis: &Basis,
    waiting: &[Pending],
) -> Result<FileEntry, SnapshotError> {
    let versions: Vec<_> = waiting.iter().map(|p| p.version).collect();
    let after = snapshot.versions(&basis.schema, &versions)?;
    let has: Vec<bool> = waiting.iter().map(|p| p.after.is_some()).collect();
    let key: Vec<usize> = (0..basis.key).collect();
    let compared: Vec<usize> = (basis.key..basis.schema.columns.len()).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("webhook_id", Arc::new(waiting.iter().map(|p| Some(id_text(p.id))).collect::<StringArray>())),
        ("waited", Arc::new(Int64Array::from_iter_values(waiting.iter().map(|p| i64::from(p.waited) + 1)))),
        ("key", Arc::new(group(&after, &key, None))),
        ("after", Arc::new(group(&after, &compared, Some(&has)))),
    ];
    let fields: Vec<Field> = columns.iter().map(|(n, a)| Field::new(*n, a.data_type().clone(), true)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(waiting.len()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)?;
    let mut writer = TableWriter::create(dir, name, &schema, files::properties().build())?;
    writer.write(&batch)?;
    writer.finish()
}

impl Manifest {
    /// The webhook ids of the changes that wait.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn waiting_ids(&self, dir: &Path) -> Result<HashSet<String>, SnapshotError> {
        let Some(entry) = &self.waiting else { return Ok(HashSet::new()) };
        let table = Table::open(dir, entry)?;
        let mut ids = HashSet::new();
        for row_group in 0..table.groups().len() {
            for batch in table.group(&["webhook_id"], row_group)? {
                let batch = batch?;
                let column = batch.column_by_name("webhook_id").and_then(|a| a.as_string_opt::<i32>());
                let column =
                    column.ok_or_else(|| SnapshotError::damaged(table.path(), "columns of ours are missing"))?;
                ids.extend(column.iter().flatten().map(str::to_owned));
            }
        }
        Ok(ids)
    }
}

impl Manifest {
    /// The keys of the first changes that wait, at most `limit`, as text.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn waiting_keys(&self, dir: &Path, limit: usize) -> Result<Vec<String>, SnapshotError> {
        let Some(entry) = &self.waiting else { return Ok(Vec::new()) };
        let table = Table::open(dir, entry)?;
        let basis = Basis::of(self);
        let schema = Schema { columns: basis.schema.columns[..basis.key].to_vec() };
        let columns: Vec<usize> = (0..basis.key).collect();
        let mut keys = Vec::new();
        for row_group in 0..table.groups().len() {
            for batch in table.group(&["key"], row_group)? {
                let batch = batch?;
                let group = batch.column_by_name("key").and_then(|a| a.as_struct_opt());
                let group = group.ok_or_else(|| SnapshotError::damaged(table.path(), "columns of ours are missing"))?;
                let rows = RecordBatch::try_new(schema.arrow(), group.columns().to_vec())?;
                let left = rows.num_rows().min(limit - keys.len());
                keys.extend((0..left).map(|row| key_text(RowRef { schema: &schema, batch: &rows, row }, &columns)));
            }
        }
        Ok(keys)
    }
}

/// Reads the file back, with the versions' values as a batch of `schema`.
pub(super) fn read(table: &Table, schema: &Schema) -> Result<(Vec<WaitingRow>, RecordBatch), SnapshotError> {
    let not_ours = || SnapshotError::damaged(table.path(), "columns of ours are missing");
    let (mut rows, mut versions) = (Vec::new(), Vec::new());
    for row_group in 0..table.groups().len() {
        for batch in table.group(&["webhook_id", "waited", "key", "after"], row_group)? {
            let batch = batch?;
            rows.extend(rows_of(&batch).ok_or_else(not_ours)?);
            let group = |name: &str| batch.column_by_name(name).and_then(|a| a.as_struct_opt()).ok_or_else(not_ours);
            versions.push(ungroup(schema, group("key")?, group("after")?)?);
        }
    }
    Ok((rows, arrow::compute::concat_batches(&schema.arrow(), &versions)?))
}

fn rows_of(batch: &RecordBatch) -> Option<Vec<WaitingRow>> {
    let ids = batch.column_by_name("webhook_id")?.as_string_opt::<i32>()?;
    let waited = batch.column_by_name("waited")?.as_primitive_opt::<Int64Type>()?;
    let after = batch.column_by_name("after")?.as_struct_opt()?;
    let row = |row| {
        Some(WaitingRow {
            id: id_of(ids.value(row))?,
            has_after: after.is_valid(row),
            waited: u32::try_from(waited.value(row)).unwrap_or(u32::MAX),
        })
    };
    (0..batch.num_rows()).map(row).collect()
}
