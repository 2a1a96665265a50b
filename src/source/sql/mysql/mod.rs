//! `kind = "mysql"`: MySQL and MariaDB.
//!
//! In: a [`DatabaseSource`]. Out: a [`Stream`] whose pieces are decoded by whoever takes them.
//!
//! `connect` finds the server, `session` asks it, `types` says what becomes of each type, `cells` decodes the protocol's
//! binary form, `errors` says what the server's errors mean.
//!
//! Always holds:
//! - The query is sent as it is written, as a prepared statement: within another one, MariaDB would drop its ORDER BY. Only a
//!   limit is put around it.
//! - The transaction is `START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY` at REPEATABLE READ, the session's time zone is
//!   UTC, and the server ends the statement at the time-out.
//! - A decimal has the scale that the server gives it, which is asked for beforehand: the driver does not say it.
//!
//! Deliberately absent: engines without transactions are read as they are at the moment of each row.

mod cells;
mod connect;
mod errors;
mod session;
mod tables;
mod types;

use super::rows::{self, Extract};
use super::tuples::Tuples;
use super::{dialogue, feed};
use crate::job::spec::DatabaseSource;
use crate::source::model::{self, Quotes};
use crate::source::{Ask, Environment, Parameter, Source, SourceError, Stream, Typing, bind};
use session::{Asked, Talk};
use std::sync::Arc;
use tokio::sync::oneshot;

/// The `mysql` source.
#[derive(Debug)]
pub struct Mysql {
    spec: DatabaseSource,
    environment: Arc<Environment>,
}

impl Mysql {
    /// A source for this database. Nothing is connected yet.
    pub fn new(spec: DatabaseSource, environment: Arc<Environment>) -> Self {
        Mysql { spec, environment }
    }
}

impl Source for Mysql {
    fn stream(&self, ask: &Ask<'_>) -> Result<Stream, SourceError> {
        let text = self.environment.query(&self.spec.model, Quotes::Backtick)?;
        let placeholder = |_: usize, parameter| match parameter {
            Parameter::LastSuccess => "CAST(? AS DATETIME(6))".to_owned(),
            Parameter::RunDate => "CAST(? AS DATE)".to_owned(),
        };
        let asked = Asked {
            server: connect::server(&self.spec, &self.environment)?,
            bound: bind(&text, &placeholder)?,
            values: self.environment.parameters,
            timeout: self.spec.timeout,
            limit: ask.limit,
        };
        let partial = asked.bound.is_partial();
        let (choose, chosen) = oneshot::channel();
        let (head, feed) =
            feed::open(self.environment.given_up(), move |outlet| dialogue::have(Talk::new(asked), outlet, chosen))?;
        let columns = rows::choose(&feed, &head.schema, ask, choose)?;
        let decoder = cells::Decoder::new(&head.schema, &head.columns, &columns);
        let schema = Arc::clone(&head.schema);
        let rows = Box::new(Extract::new(feed, move |tuples: &Tuples| decoder.batch(tuples), head.estimate));
        Ok(Stream { schema, typing: Typing::Declared, input: None, rows, files: None, partial })
    }

    fn describe(&self) -> String {
        format!("{}, {}", self.spec.url.written, model::describe(&self.spec.model))
    }

    fn advice(&self) -> Vec<String> {
        connect::advice(&self.spec, &self.environment).into_iter().collect()
    }
}
