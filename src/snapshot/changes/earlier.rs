//! Changes of an earlier run, read back to be put into what is known.

use super::super::SnapshotError;
use super::super::read::Table;
use super::super::table::{ungroup, ungroup_with_misfits};
use super::id_of;
use super::set::change_rows;
use crate::diff::Operation;
use crate::row::Schema;
use arrow::array::{AsArray, RecordBatch};
use std::collections::BTreeSet;

/// One change of an earlier run.
#[derive(Debug, Clone)]
pub(in crate::snapshot) struct Earlier {
    pub(in crate::snapshot) operation: Operation,
    pub(in crate::snapshot) id: u128,
    pub(in crate::snapshot) uncertain: bool,
    pub(in crate::snapshot) had_before: bool,
    pub(in crate::snapshot) unknown_before: Vec<String>,
    /// A value of `before` does not fit its kind of tonight: it reads as NULL and is not.
    pub(in crate::snapshot) misfit: bool,
}

/// Some changes of a file, and their `before` and `after` values as batches of one schema (a column that the file lacks is
/// NULL).
pub(in crate::snapshot) struct EarlierChanges {
    pub(in crate::snapshot) rows: Vec<Earlier>,
    pub(in crate::snapshot) before: RecordBatch,
    pub(in crate::snapshot) after: RecordBatch,
}

const COLUMNS: [&str; 7] = ["operation", "webhook_id", "uncertain", "key", "before", "after", "unknown_before"];

/// Reads the changes at these positions, ascending and each once. `schema`: key and compared columns.
pub(in crate::snapshot) fn read(table: &Table, schema: &Schema, seqs: &[u64]) -> Result<EarlierChanges, SnapshotError> {
    let not_ours = || SnapshotError::damaged(table.path(), "columns of ours are missing");
    let batches = table.pick(&COLUMNS, seqs, &|batch| Ok(batch))?;
    let (mut rows, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
    for batch in &batches {
        let said = change_rows(batch).ok_or_else(not_ours)?;
        rows.extend(said.into_iter().map(|row| Earlier {
            operation: row.operation,
            id: id_of(&row.webhook_id).unwrap_or(0),
            uncertain: row.uncertain,
            had_before: row.had_before,
            unknown_before: row.unknown_before,
            misfit: false,
        }));
        let group = |name: &str| batch.column_by_name(name).and_then(|a| a.as_struct_opt()).ok_or_else(not_ours);
        let key = group("key")?;
        let (first, mut misfits) = (rows.len() - batch.num_rows(), BTreeSet::new());
        before.push(ungroup_with_misfits(schema, key, group("before")?, &mut misfits)?);
        misfits.into_iter().for_each(|row| rows[first + row].misfit = true);
        after.push(ungroup(schema, key, group("after")?)?);
    }
    let whole = |batches: &[RecordBatch]| arrow::compute::concat_batches(&schema.arrow(), batches);
    Ok(EarlierChanges { rows, before: whole(&before)?, after: whole(&after)? })
}
