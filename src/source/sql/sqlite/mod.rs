//! `kind = "sqlite"`: a SQLite file, which is only read.
//!
//! In: a [`SqliteSource`]. Out: a [`Stream`] whose pieces are decoded by whoever takes them.
//!
//! Always holds:
//! - A column's type is what it is declared as, if that is text, an integer, a real or a boolean; a value of another class
//!   is an error then. SQLite keeps any value in any column, and knows no type of an expression, of `NUMERIC` or of a date:
//!   there the classes of all values decide, which are looked at beforehand in the same transaction.
//! - The rows are those of one read transaction; the file is opened for reading only, and no journal mode is set.
//! - A progress handler ends the query when nobody wants its rows or it takes too long.
//!
//! Deliberately absent: dates, decimals and JSON as types: they are the text or the numbers that were stored.

mod cells;
mod session;

use super::feed;
use super::rows::{self, Extract};
use super::tuples::Tuples;
use crate::job::spec::SqliteSource;
use crate::source::model::{self, Quotes};
use crate::source::{Ask, Environment, Parameter, Source, SourceError, Stream, Typing, bind};
use session::Asked;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The `sqlite` source.
#[derive(Debug)]
pub struct Sqlite {
    spec: SqliteSource,
    environment: Arc<Environment>,
}

impl Sqlite {
    /// A source for this file. Nothing is opened yet.
    pub fn new(spec: SqliteSource, environment: Arc<Environment>) -> Self {
        Sqlite { spec, environment }
    }
}

impl Source for Sqlite {
    fn stream(&self, ask: &Ask<'_>) -> Result<Stream, SourceError> {
        let text = self.environment.query(&self.spec.model, Quotes::Double)?;
        let placeholder = |number: usize, _: Parameter| format!("?{number}");
        let asked = Asked {
            spec: self.spec.clone(),
            bound: bind(&text, &placeholder)?,
            values: self.environment.parameters,
            limit: ask.limit,
        };
        let partial = asked.bound.is_partial();
        let (choose, chosen) = oneshot::channel();
        let (head, feed) =
            feed::open(self.environment.given_up(), move |outlet| session::extract(asked, outlet, chosen))?;
        let columns = rows::choose(&feed, &head.schema, ask, choose)?;
        let decoder = cells::Decoder::new(&head.schema, &columns);
        let schema = Arc::clone(&head.schema);
        let rows = Box::new(Extract::new(feed, move |tuples: &Tuples| decoder.batch(tuples), head.rows));
        Ok(Stream { schema, typing: Typing::Declared, input: None, rows, files: None, partial })
    }

    fn describe(&self) -> String {
        format!("{}, {}", self.spec.written, model::describe(&self.spec.model))
    }
}
