//! `kind = "postgres"`: PostgreSQL, and servers that only speak its protocol, such as Redshift.
//!
//! In: a [`DatabaseSource`]. Out: a [`Stream`] whose pieces are decoded by whoever takes them.
//!
//! `connect` finds the server, `session` asks it, `copy` takes its rows apart, `types` says what becomes of each type, `scale` finds the scales of
//! numerics, `cells` and `numeric` decode, `errors` says what the server's errors mean.
//!
//! Always holds:
//! - Rows come by `COPY … TO STDOUT (FORMAT BINARY)`, which is half the work of a fetch for both ends. Nothing can be bound in a
//!   COPY: parameters are bound to settings of the session (`set_config('nightmark.…', $1)`), which the query reads.
//! - A server without such a COPY is asked by an ordinary query, with bound parameters and all columns as text, since what
//!   only speaks the protocol may have binary forms of its own.
//! - The transaction is `ISOLATION LEVEL REPEATABLE READ READ ONLY`, with `statement_timeout`.
//!
//! Deliberately absent: several COPYs at a time over an exported snapshot: one is as fast as the server's own client.

mod cells;
mod connect;
mod copy;
mod errors;
mod numeric;
mod scale;
mod session;
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

/// The `postgres` source.
#[derive(Debug)]
pub struct Postgres {
    spec: DatabaseSource,
    environment: Arc<Environment>,
}

impl Postgres {
    /// A source for this database. Nothing is connected yet.
    pub fn new(spec: DatabaseSource, environment: Arc<Environment>) -> Self {
        Postgres { spec, environment }
    }

    fn asked(&self, limit: Option<usize>) -> Result<Asked, SourceError> {
        let text = self.environment.query(&self.spec.model, Quotes::Double)?;
        let placeholder = |number: usize, parameter| match parameter {
            Parameter::LastSuccess => format!("${number}::timestamptz"),
            Parameter::RunDate => format!("${number}::date"),
        };
        let setting = |_: usize, parameter| match parameter {
            Parameter::LastSuccess => format!("current_setting('{}')::timestamptz", session::LAST_SUCCESS),
            Parameter::RunDate => format!("current_setting('{}')::date", session::RUN_DATE),
        };
        Ok(Asked {
            server: connect::server(&self.spec, &self.environment)?,
            bound: bind(&text, &placeholder)?,
            settled: bind(&text, &setting)?.sql,
            values: self.environment.parameters,
            timeout: self.spec.timeout,
            limit,
        })
    }
}

impl Source for Postgres {
    fn stream(&self, ask: &Ask<'_>) -> Result<Stream, SourceError> {
        let asked = self.asked(ask.limit)?;
        let partial = asked.bound.is_partial();
        let (choose, chosen) = oneshot::channel();
        let (head, feed) =
            feed::open(self.environment.given_up(), move |outlet| dialogue::have(Talk::new(asked), outlet, chosen))?;
        let columns = rows::choose(&feed, &head.schema, ask, choose)?;
        let decoder = cells::Decoder::new(&head.schema, &head.columns, &columns, head.is_text);
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
