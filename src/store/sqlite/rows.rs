//! Statements for several rows at a time.
//!
//! A row that is bound as values costs SQLite a quarter of one that it takes out of JSON (measured on 256 orgs with their history:
//! 10 µs and 40 µs each). Rows go in pieces of at most [`PIECE`], the last one filled up with NULLs to a power of two, so that there
//! are few statements, each prepared once.

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection};

/// Rows of one statement at most.
const PIECE: usize = 64;
/// 1, 2, 4 … 64 rows.
const SIZES: usize = PIECE.trailing_zeros() as usize + 1;

pub(super) type Bound = Query<'static, Sqlite, SqliteArguments>;

/// A statement over `(VALUES (?, …), …)`, in each of its sizes. Rows whose first column is NULL are there to be left out.
#[derive(Debug)]
pub(super) struct Statement {
    texts: [String; SIZES],
    columns: usize,
}

impl Statement {
    /// `head` and `tail`: what stands before and behind `(VALUES …)`.
    pub(super) fn new(head: &str, columns: usize, tail: &str) -> Statement {
        let row = format!("({})", vec!["?"; columns].join(", "));
        let text = |rows: usize| format!("{head} (VALUES {}) {tail}", vec![row.as_str(); rows].join(", "));
        Statement { texts: std::array::from_fn(|size| text(1 << size)), columns }
    }

    /// The statement for each piece of the rows.
    pub(super) fn over<T>(&'static self, rows: &[T], bind: impl Fn(Bound, &T) -> Bound) -> impl Iterator<Item = Bound> {
        rows.chunks(PIECE).map(move |piece| {
            let size = piece.len().next_power_of_two();
            let text: &'static str = &self.texts[size.trailing_zeros() as usize];
            let query = piece.iter().fold(sqlx::query(text), &bind);
            (0..(size - piece.len()) * self.columns).fold(query, |query, _| query.bind(None::<i64>))
        })
    }

    /// Executes it on all rows.
    pub(super) async fn execute<T>(
        &'static self,
        connection: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(Bound, &T) -> Bound,
    ) -> Result<(), sqlx::Error> {
        for query in self.over(rows, bind) {
            query.execute(&mut *connection).await?;
        }
        Ok(())
    }
}
