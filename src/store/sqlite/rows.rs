//! Statements for several rows at a time.
//!
//! A row that is bound as values costs SQLite a quarter of one that it takes out of JSON (measured on 256 orgs with their history:
//! 10 µs and 40 µs each). Rows go in pieces of at most [`PIECE`], filled up with NULLs to a power of two, so that there are few
//! statements, each prepared once. What goes into several tables goes in one call: each call wakes SQLite's thread and then ours,
//! which under load is what a small batch waits for.

use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;

/// Rows of one block at most.
pub(super) const PIECE: usize = 128;
/// 1, 2, 4 … 128 rows.
const SIZES: usize = PIECE.trailing_zeros() as usize + 1;

pub(super) type Bound = Query<'static, Sqlite, SqliteArguments>;

/// A statement over rows: it has `(VALUES …)` between `head` and `tail`. Rows whose first column is NULL are there to be left out.
pub(super) struct Block {
    pub head: &'static str,
    pub columns: usize,
    pub tail: &'static str,
}

/// Blocks that are executed in one call, each over as many rows, in each size.
#[derive(Debug)]
pub(super) struct Statement {
    texts: [String; SIZES],
}

impl Statement {
    pub(super) fn new(blocks: &[Block]) -> Statement {
        let text = |rows: usize| {
            let block = |Block { head, columns, tail }: &Block| {
                let row = format!("({})", vec!["?"; *columns].join(", "));
                format!("{head} (VALUES {}) {tail}", vec![row.as_str(); rows].join(", "))
            };
            blocks.iter().map(block).collect::<Vec<_>>().join(";\n")
        };
        Statement { texts: std::array::from_fn(|size| text(1 << size)) }
    }

    /// For blocks of at most so many rows, up to [`PIECE`]: the query to which [`bind`] is to add them, block by block, and the size to
    /// say there.
    pub(super) fn query(&'static self, rows: usize) -> (Bound, usize) {
        let size = rows.clamp(1, PIECE).next_power_of_two();
        (sqlx::query(self.texts[size.trailing_zeros() as usize].as_str()), size)
    }
}

/// Adds a block's rows, and NULLs up to the statement's size.
pub(super) fn bind<T>(query: Bound, size: usize, block: &Block, rows: &[T], one: impl Fn(Bound, &T) -> Bound) -> Bound {
    let query = rows.iter().fold(query, one);
    (0..size.saturating_sub(rows.len()) * block.columns).fold(query, |query, _| query.bind(None::<i64>))
}

/// The rows of a piece, by its number from 0.
pub(super) fn piece<T>(rows: &[T], number: usize) -> &[T] {
    let begin = (number * PIECE).min(rows.len());
    &rows[begin..(begin + PIECE).min(rows.len())]
}
