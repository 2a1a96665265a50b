//! 64 bits for the compared columns of a row.

use super::column::ColumnHasher;
use super::secret::{self, Class};
use crate::row::{Form, HashSeed, Kind};
use arrow::array::{Array, ArrayRef};
use serde::{Deserialize, Serialize};

/// The wrapping sum over the compared columns of a keyed 64-bit hash of each value. NULL adds 0: a column that a row lacks
/// and one that is NULL are alike, and what one column adds can be taken off again.
pub type Print = u64;

/// A column that is compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    /// Its name: the same value adds something else in another column.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// How it is compared. A tolerance has no part in prints.
    pub form: Form,
}

/// Makes the prints of canonical columns, which may be dictionary-encoded.
#[derive(Debug, Clone)]
pub struct PrintHasher {
    columns: Vec<ColumnHasher>,
}

impl PrintHasher {
    /// A hasher of these columns. Their order has no effect on prints; it is the order in which arrays are given.
    pub fn new(seed: HashSeed, columns: &[Compared]) -> Self {
        let column = |c: &Compared| ColumnHasher {
            kind: c.kind,
            form: c.form.clone(),
            sip: secret::of_column(seed, &c.name, Class::of(c.kind)),
        };
        PrintHasher { columns: columns.iter().map(column).collect() }
    }

    /// One print for each of `rows` rows; the columns are those of [`PrintHasher::new`], in its order. `rows` is given
    /// since a job may compare no column at all.
    pub fn prints(&self, rows: usize, columns: &[ArrayRef]) -> Vec<Print> {
        let mut out = vec![0; rows];
        for (hasher, array) in self.columns.iter().zip(columns) {
            hasher.add(array, &mut out);
        }
        out
    }

    /// What one column adds to each row's print.
    pub fn column(&self, index: usize, array: &ArrayRef) -> Vec<u64> {
        let mut out = vec![0; array.len()];
        self.add_column(index, array, &mut out);
        out
    }

    /// Adds one column to the prints of its rows. `out` is as long as `array`.
    pub fn add_column(&self, index: usize, array: &ArrayRef, out: &mut [u64]) {
        debug_assert_eq!(array.len(), out.len());
        if let Some(hasher) = self.columns.get(index) {
            hasher.add(array, out);
        }
    }
}
