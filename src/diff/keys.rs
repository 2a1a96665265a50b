//! Keys: present, not empty, unique.

use crate::row::{Fingerprint, RowRef, Schema, Value, key_text};
use arrow::array::RecordBatch;
use std::collections::HashMap;

/// What is wrong with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// A key column is NULL.
    Null,
    /// A key column is the empty string.
    Empty,
    /// The same key stands in several rows.
    Duplicate {
        /// In how many.
        rows: u64,
    },
}

/// One bad key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadKey {
    /// Its first row in the extract, from 0.
    pub row: u64,
    /// The key as text; the columns that are NULL read as nothing.
    pub key: String,
    /// What is wrong.
    pub fault: KeyFault,
}

impl std::fmt::Display for BadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.fault {
            KeyFault::Null => write!(f, "row {}: the key is NULL", self.row + 1),
            KeyFault::Empty => write!(f, "row {}: the key is empty", self.row + 1),
            KeyFault::Duplicate { rows } => {
                write!(f, "`{}` stands in {rows} rows (first in row {})", self.key, self.row + 1)
            }
        }
    }
}

/// All bad keys of an extract.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BadKeys {
    /// The first bad keys, in the order of their first rows.
    pub listed: Vec<BadKey>,
    /// How many there are.
    pub count: u64,
    /// The rows concerned, ascending: none of them can be judged.
    pub rows: Vec<u64>,
}

impl BadKeys {
    /// How many are listed with their values.
    pub const LISTED: usize = 20;
}

/// Finds NULL, empty and duplicate keys. `hashes`: the key hash of each row, in the order of the batches.
pub fn check_keys(schema: &Schema, batches: &[RecordBatch], key: &[usize], hashes: &[Fingerprint]) -> BadKeys {
    let mut rows_of: HashMap<Fingerprint, u64> = HashMap::with_capacity(hashes.len());
    for hash in hashes {
        *rows_of.entry(*hash).or_default() += 1;
    }
    let mut bad = BadKeys::default();
    let mut listed: HashMap<Fingerprint, ()> = HashMap::new();
    let mut position = 0u64;
    for batch in batches {
        for row in 0..batch.num_rows() {
            let row = RowRef { schema, batch, row };
            let hash = hashes[usize::try_from(position).unwrap_or(usize::MAX)];
            let rows = rows_of.get(&hash).copied().unwrap_or(1);
            if let Some(fault) = fault(row, key, rows) {
                bad.rows.push(position);
                let repeated = matches!(fault, KeyFault::Duplicate { .. }) && listed.insert(hash, ()).is_some();
                if !repeated {
                    bad.count += 1;
                    if bad.listed.len() < BadKeys::LISTED {
                        bad.listed.push(BadKey { row: position, key: key_text(row, key), fault });
                    }
                }
            }
            position += 1;
        }
    }
    bad
}

fn fault(row: RowRef<'_>, key: &[usize], rows: u64) -> Option<KeyFault> {
    let values = || key.iter().map(|&column| row.value(column));
    if values().any(|v| v == Value::Null) {
        Some(KeyFault::Null)
    } else if values().any(|v| v == Value::Text("")) {
        Some(KeyFault::Empty)
    } else if rows > 1 {
        Some(KeyFault::Duplicate { rows })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Column, Fingerprinter, HashSeed, Kind};
    use arrow::array::StringViewArray;
    use std::sync::Arc;

    #[test]
    fn bad_keys_are_listed_once_with_their_first_row() {
        let schema = Schema { columns: vec![Column { name: "id".into(), kind: Kind::Text }] };
        let ids = StringViewArray::from(vec![Some("a"), None, Some("b"), Some("a"), Some(""), Some("A"), Some("a")]);
        let batch = RecordBatch::try_new(schema.arrow(), vec![Arc::new(ids)]).unwrap();
        let hashes = Fingerprinter::new(HashSeed([1; 16]), &schema, &[0]).fingerprints(&batch);
        let bad = check_keys(&schema, &[batch], &[0], &hashes);
        let shown: Vec<_> = bad.listed.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["`a` stands in 3 rows (first in row 1)", "row 2: the key is NULL", "row 5: the key is empty"]
        );
        assert_eq!((bad.count, bad.rows), (3, vec![0, 1, 3, 4, 6]));
    }
}
