//! Keys that the table does not have.

use crate::row::{KeyHash, Print};

/// What becomes of a row whose key is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It cannot be judged: nothing is known of the org. Its key may still stand twice.
    Rejected,
    /// It becomes part of the baseline and is not sent.
    Adopted,
    /// It is sent.
    Sent,
}

/// A row of tonight whose key is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// The hash of its key.
    pub key: KeyHash,
    /// Its fingerprint.
    pub print: Print,
    /// Its row in tonight's extract.
    pub row: u32,
    /// What becomes of it.
    pub fate: Fate,
}

/// Brings the rows in the order of their keys; of one key in the order of rows.
pub(super) fn sort(added: &mut [Added]) {
    added.sort_unstable_by_key(|a| (a.key, a.row));
}

/// The groups of rows that have one key, of sorted rows; those of more than one row.
pub(super) fn repeated(sorted: &[Added]) -> impl Iterator<Item = &[Added]> {
    sorted.chunk_by(|a, b| a.key == b.key).filter(|group| group.len() > 1)
}
