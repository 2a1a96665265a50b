//! What a change set says of keys: no values are read.

use super::super::SnapshotError;
use super::super::basis::Basis;
use super::super::read::Table;
use super::set::ChangeSet;
use crate::normalise;
use crate::row::{KeyHash, Print};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::UInt64Type;

/// The hash of a row's key, and the fingerprint of what the destination had.
pub type Mark = (KeyHash, Option<Print>);

impl ChangeSet {
    /// The marks of all rows, in order, some at a time. `basis`: what the change set was compared by.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn marks(&self, basis: &Basis, each: &mut dyn FnMut(Vec<Mark>)) -> Result<(), SnapshotError> {
        if self.is_empty() {
            return Ok(());
        }
        let table = Table::unchecked(self.path().to_owned())?;
        let not_ours = || SnapshotError::damaged(table.path(), "columns of ours are missing");
        let hasher = basis.keys();
        for row_group in 0..table.groups().len() {
            for batch in table.group(&["key", "fingerprint_before"], row_group)? {
                let batch = batch?;
                let key = batch.column_by_name("key").and_then(|a| a.as_struct_opt()).ok_or_else(not_ours)?;
                let columns = basis.schema.columns[..basis.key].iter().map(|column| {
                    let array = key.column_by_name(&column.name).ok_or_else(not_ours)?;
                    Ok(normalise::canonical(array, column.kind)?.0)
                });
                let keys = hasher.hashes(&columns.collect::<Result<Vec<ArrayRef>, SnapshotError>>()?);
                let prints = batch.column_by_name("fingerprint_before");
                let prints = prints.and_then(|a| a.as_primitive_opt::<UInt64Type>()).ok_or_else(not_ours)?;
                let print = |row: usize| prints.is_valid(row).then(|| prints.value(row));
                each(keys.into_iter().enumerate().map(|(row, key)| (key, print(row))).collect());
            }
        }
        Ok(())
    }
}
