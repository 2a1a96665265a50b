//! All of a store's state, out of one and into another of any kind.
//!
//! In and out: rows of tables as [`Cell`]s, which are the same whichever database they are in: times are microseconds since 1970, flags 0 and 1, JSON its
//! text as it stands. Always holds: every table of the database is taken along, as its catalogue names them, so that none of a later migration can be
//! forgotten (what is left out on purpose each store says itself); what is read is of one moment; an import is done wholly or not at all, and only into a
//! store that has nothing.
//! Deliberately absent: what a row means. Secrets are in neither database; of keys there are hashes.

mod stream;

pub use stream::{Header, Reading, StreamError, Writing};

use super::StoreError;
use async_trait::async_trait;
use tokio::sync::mpsc::{Receiver, Sender};

/// Rows in a [`Piece`] at most.
pub const ROWS: usize = 1000;

/// The last number that was given to an org. Both databases have it outside of their tables.
pub(super) const ORG_NUMBERS: &str = "org_numbers";

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// NULL
    Null,
    /// A number, a time, a flag.
    Integer(i64),
    /// Text, or JSON as it stands.
    Text(String),
    /// A hash, a bitmap.
    Bytes(Vec<u8>),
}

/// A table, and its columns in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Their names.
    pub columns: Vec<String>,
}

/// A part of what is carried over.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Rows of a table, each with a cell for each of its columns. `table`: its place among [`TransferStore::tables`].
    Rows {
        /// The table.
        table: usize,
        /// Rows.
        rows: Vec<Vec<Cell>>,
    },
    /// That was all. Without it, an import is none.
    End,
}

/// What can be carried over.
#[async_trait]
pub trait TransferStore: Send + Sync {
    /// The tables; those that others refer to come before these.
    async fn tables(&self) -> Result<Vec<Table>, StoreError>;
    /// Sends all rows, in the order of the tables and in each by its primary key, and [`Piece::End`]. Ends early if nobody listens any more.
    async fn export(&self, to: Sender<Piece>) -> Result<(), StoreError>;
    /// Takes rows until [`Piece::End`].
    ///
    /// # Errors
    /// [`StoreError::Refused`] by a store that has something already, and for a value that it cannot hold; pieces that end without an end. In each case
    /// nothing has changed.
    async fn import(&self, from: Receiver<Piece>) -> Result<(), StoreError>;
}

/// A table beside those that it refers to, as a catalogue has it.
pub(super) struct Found {
    pub(super) table: Table,
    /// Columns that tell its rows apart, in their order.
    pub(super) key: Vec<String>,
    pub(super) refers_to: Vec<String>,
}

/// Those that are referred to first, else by name.
pub(super) fn parents_first(mut left: Vec<Found>) -> Vec<Found> {
    left.sort_by(|one, other| other.table.name.cmp(&one.table.name));
    let mut done: Vec<Found> = Vec::new();
    while !left.is_empty() {
        let is_free = |found: &Found| {
            found
                .refers_to
                .iter()
                .all(|name| *name == found.table.name || !left.iter().any(|left| left.table.name == *name))
        };
        // Tables that refer to each other in a circle, which there are none of, keep their names' order.
        let next = left.iter().rposition(is_free).unwrap_or(left.len() - 1);
        done.push(left.remove(next));
    }
    done
}

/// What a store that is not empty says.
pub(super) fn not_empty(filled: &[String]) -> StoreError {
    StoreError::Refused(format!(
        "it has something already ({}), and nothing is mixed; import into a new one: another file, or another database or schema",
        filled.join(", ")
    ))
}

/// What ended before its end.
pub(super) fn broken_off() -> StoreError {
    StoreError::Database("what was to be imported broke off; nothing was changed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_referred_to_comes_first() {
        let found = |name: &str, refers_to: &[&str]| Found {
            table: Table { name: name.to_owned(), columns: Vec::new() },
            key: Vec::new(),
            refers_to: refers_to.iter().map(|name| (*name).to_owned()).collect(),
        };
        let order = |all| parents_first(all).into_iter().map(|found| found.table.name).collect::<Vec<_>>();
        assert_eq!(
            order(vec![found("b", &["c"]), found("a", &["b", "c"]), found("c", &["c"]), found("d", &[])]),
            ["c", "b", "a", "d"]
        );
        assert_eq!(order(vec![found("a", &["b"]), found("b", &["a"]), found("c", &[])]), ["c", "a", "b"]);
    }
}
