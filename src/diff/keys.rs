//! Keys: present, of the pinned type, not empty, unique.

use crate::row::{Fingerprint, Kind, RowRef, Schema, Value, key_text};
use arrow::array::RecordBatch;
use std::collections::HashMap;

/// What is wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFault {
    /// A key column is NULL.
    Null,
    /// A key column has a value that is none of its pinned kind.
    DoesNotFit {
        /// The value as the source has it, if it was kept.
        value: Option<String>,
        /// The pinned kind.
        kind: Kind,
    },
    /// A key column is the empty string.
    Empty,
    /// The same key stands in several rows.
    Duplicate {
        /// In how many.
        rows: u64,
    },
}

/// Why a value that reads as NULL is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// What the source has there, if it was kept.
    pub value: Option<String>,
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
        let row = self.row + 1;
        match &self.fault {
            KeyFault::Null => write!(f, "row {row}: the key is NULL"),
            KeyFault::DoesNotFit { value: Some(value), kind } => {
                write!(f, "row {row}: the key `{value}` does not fit {kind}, the type pinned with the first base")
            }
            KeyFault::DoesNotFit { value: None, kind } => {
                write!(f, "row {row}: the key is NULL or does not fit {kind}, the type pinned with the first base")
            }
            KeyFault::Empty => write!(f, "row {row}: the key is empty"),
            KeyFault::Duplicate { rows } => write!(f, "`{}` stands in {rows} rows (first in row {row})", self.key),
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
    /// How many of them have no usable key at all (NULL, empty, or no value of its kind), so that no org can be told.
    pub keyless: u64,
}

impl BadKeys {
    /// How many are listed with their values.
    pub const LISTED: usize = 20;
}

/// Finds NULL, unfit, empty and duplicate keys.
///
/// `hashes`: the key hash of each row, in the order of the batches. `unfit`: whether a NULL, by row of the extract and
/// column of `schema`, stands for a value that did not fit.
pub fn check_keys(
    schema: &Schema,
    batches: &[RecordBatch],
    key: &[usize],
    hashes: &[Fingerprint],
    unfit: &dyn Fn(u64, usize) -> Option<Unfit>,
) -> BadKeys {
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
            if let Some(fault) = fault(row, key, rows, &|column| unfit(position, column)) {
                bad.rows.push(position);
                let duplicate = matches!(fault, KeyFault::Duplicate { .. });
                bad.keyless += u64::from(!duplicate);
                let repeated = duplicate && listed.insert(hash, ()).is_some();
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

fn fault(row: RowRef<'_>, key: &[usize], rows: u64, unfit: &dyn Fn(usize) -> Option<Unfit>) -> Option<KeyFault> {
    if let Some(&null) = key.iter().find(|&&column| row.value(column) == Value::Null) {
        Some(match unfit(null) {
            Some(Unfit { value }) => KeyFault::DoesNotFit { value, kind: row.schema.columns[null].kind },
            None => KeyFault::Null,
        })
    } else if key.iter().any(|&column| row.value(column) == Value::Text("")) {
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
    use crate::row::{Column, Fingerprinter, HashSeed};
    use arrow::array::{Int64Array, StringViewArray};
    use std::sync::Arc;

    #[test]
    fn bad_keys_are_listed_once_with_their_first_row() {
        let schema = Schema { columns: vec![Column { name: "id".into(), kind: Kind::Text }] };
        let ids = StringViewArray::from(vec![Some("a"), None, Some("b"), Some("a"), Some(""), Some("A"), Some("a")]);
        let batch = RecordBatch::try_new(schema.arrow(), vec![Arc::new(ids)]).unwrap();
        let hashes = Fingerprinter::new(HashSeed([1; 16]), &schema, &[0]).fingerprints(&batch);
        let bad = check_keys(&schema, &[batch], &[0], &hashes, &|_, _| None);
        let shown: Vec<_> = bad.listed.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["`a` stands in 3 rows (first in row 1)", "row 2: the key is NULL", "row 5: the key is empty"]
        );
        assert_eq!((bad.count, bad.rows, bad.keyless), (3, vec![0, 1, 3, 4, 6], 2));
    }

    #[test]
    fn a_value_that_does_not_fit_is_not_called_null() {
        let schema = Schema { columns: vec![Column { name: "id".into(), kind: Kind::Int }] };
        let ids = Int64Array::from(vec![Some(1), None, None, None]);
        let batch = RecordBatch::try_new(schema.arrow(), vec![Arc::new(ids)]).unwrap();
        let hashes = Fingerprinter::new(HashSeed([1; 16]), &schema, &[0]).fingerprints(&batch);
        let unfit = |row, column| match (row, column) {
            (1, 0) => Some(Unfit { value: Some("ws-7".into()) }),
            (2, 0) => Some(Unfit { value: None }),
            _ => None,
        };
        let bad = check_keys(&schema, &[batch], &[0], &hashes, &unfit);
        let shown: Vec<_> = bad.listed.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "row 2: the key `ws-7` does not fit int, the type pinned with the first base",
                "row 3: the key is NULL or does not fit int, the type pinned with the first base",
                "row 4: the key is NULL"
            ]
        );
        assert_eq!(bad.keyless, 3);
    }
}
