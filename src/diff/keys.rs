//! Keys: present, of the pinned type, not empty, unique.

use crate::row::{KeyHash, Kind};
use arrow::array::{Array, ArrayRef, AsArray};

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

/// A key that stands in several rows of tonight's extract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// Its hash.
    pub key: KeyHash,
    /// Its rows, ascending; at least two.
    pub rows: Vec<u32>,
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
    /// Rows that have no usable key at all (NULL, empty, or no value of its kind), so that no org can be told.
    pub keyless: u64,
}

impl BadKeys {
    /// How many are listed with their values.
    pub const LISTED: usize = 20;

    /// Notes a row without a usable key. Rows come in order.
    pub fn keyless(&mut self, bad: impl FnOnce() -> BadKey) {
        self.count += 1;
        self.keyless += 1;
        if self.listed.len() < Self::LISTED {
            self.listed.push(bad());
        }
    }

    /// Notes the keys that stand several times, in the order of their first rows; `texts` of the first [`Self::LISTED`].
    pub fn duplicates(&mut self, duplicates: &[Duplicate], texts: Vec<String>) {
        self.count += duplicates.len() as u64;
        let listed = duplicates.iter().zip(texts).map(|(duplicate, key)| BadKey {
            row: u64::from(duplicate.rows[0]),
            key,
            fault: KeyFault::Duplicate { rows: duplicate.rows.len() as u64 },
        });
        self.listed.extend(listed);
        self.listed.sort_by_key(|bad| bad.row);
        self.listed.truncate(Self::LISTED);
    }
}

/// The rows in which a key column is NULL or the empty text, ascending, with the position among `columns` of the first
/// such column and whether it is NULL there. `columns`: canonical, or dictionaries of such.
pub fn faulty_rows(columns: &[ArrayRef]) -> Vec<(u32, usize, bool)> {
    let mut faults: Vec<(u32, usize, bool)> = Vec::new();
    for (position, column) in columns.iter().enumerate() {
        if let Some(nulls) = column.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
            faults.extend((0..column.len()).filter(|&row| nulls.is_null(row)).map(|row| (row as u32, position, true)));
        }
        faults.extend(empty_texts(column).into_iter().map(|row| (row, position, false)));
    }
    // NULL in any column is said before empty in any.
    faults.sort_unstable_by_key(|(row, position, null)| (*row, !null, *position));
    faults.dedup_by_key(|(row, ..)| *row);
    faults
}

fn empty_texts(column: &ArrayRef) -> Vec<u32> {
    if let Some(dictionary) = column.as_any_dictionary_opt() {
        let empty = empty_texts(dictionary.values());
        if empty.is_empty() || dictionary.is_empty() {
            return Vec::new();
        }
        let keys = dictionary.normalized_keys();
        let is_empty = |row: &u32| column.is_valid(*row as usize) && empty.contains(&(keys[*row as usize] as u32));
        return (0..column.len() as u32).filter(is_empty).collect();
    }
    let Some(texts) = column.as_string_view_opt() else { return Vec::new() };
    // The length of a text is the low half of its view.
    let views = texts.views().iter().zip(0u32..);
    views.filter(|(view, row)| **view as u32 == 0 && texts.is_valid(*row as usize)).map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{KeyHash, Kind};
    use arrow::array::{DictionaryArray, Int32Array, Int64Array, StringViewArray};
    use std::sync::Arc;

    #[test]
    fn null_and_empty_keys_are_found() {
        let ids: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a"), None, Some(""), Some("b"), Some("")]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), None, None, Some(5)]));
        assert_eq!(faulty_rows(&[Arc::clone(&ids)]), [(1, 0, true), (2, 0, false), (4, 0, false)]);
        let both = faulty_rows(&[ids, numbers]);
        assert_eq!(both, [(1, 0, true), (2, 1, true), (3, 1, true), (4, 0, false)]);
        let values: ArrayRef = Arc::new(StringViewArray::from(vec!["", "x"]));
        let keys = Int32Array::from(vec![Some(1), Some(0), None, Some(1)]);
        let dictionary: ArrayRef = Arc::new(DictionaryArray::new(keys, values));
        assert_eq!(faulty_rows(&[dictionary]), [(1, 0, false), (2, 0, true)]);
    }

    #[test]
    fn bad_keys_are_listed_in_the_order_of_their_first_rows() {
        let mut bad = BadKeys::default();
        let key = |row, fault| BadKey { row, key: String::new(), fault };
        bad.keyless(|| key(1, KeyFault::Null));
        bad.keyless(|| key(4, KeyFault::DoesNotFit { value: Some("ws-7".into()), kind: Kind::Int }));
        let duplicate = Duplicate { key: KeyHash { hi: 0, lo: 0 }, rows: vec![0, 3, 6] };
        bad.duplicates(&[duplicate], vec!["a".into()]);
        let shown: Vec<_> = bad.listed.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "`a` stands in 3 rows (first in row 1)",
                "row 2: the key is NULL",
                "row 5: the key `ws-7` does not fit int, the type pinned with the first base"
            ]
        );
        assert_eq!((bad.count, bad.keyless), (3, 2));
    }
}
