//! Warehouses and databases by their ADBC drivers: shared libraries that are loaded when an extract is opened.
//!
//! In: [`AdbcSource`], secrets, parameters. Out: a [`Stream`] of the driver's own Arrow batches.
//!
//! The path of an extract: `request` (what is asked, secrets put in) → `reading` (a thread of the driver's own, and its deadline) →
//! `driver` (the library) → `session` (database, connection, statement, rows) → `columns` (what the types are, and batches that are checked,
//! on the pipeline's threads).
//!
//! Always holds:
//! - Drivers are foreign code. Whatever they say may have a secret in it, which is taken out; a panic, a missing stream and an array
//!   that is not what the interface says is an error. Arrays are checked whole before anything reads them.
//! - A driver is called on one thread, which nobody waits for longer than the time-out and a little more. A driver that does not react to
//!   being cancelled is left behind with its thread, and the run fails.
//! - Rows that are dropped before their end cancel the query.
//! - Values are bound, never pasted.
//! - Memory: two groups of batches and those that the pipeline is at. How large a batch is, is the driver's business.
//!
//! Deliberately absent: a process of its own for a driver. One that crashes takes the process with it, and what a driver says of its buffers'
//! lengths cannot be checked. A limit in the query's text: every dialect has another one; the reading ends instead.

mod columns;
mod driver;
mod reading;
mod request;
mod session;

use super::{Ask, Environment, Piece, Rows, Source, SourceError, Stream, Typing, model};
use crate::job::spec::AdbcSource;
use columns::Columns;
use reading::{Reading, Said};
use request::Request;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a driver may take to end after it was told to.
const GRACE: Duration = Duration::from_secs(10);

/// The `adbc` source.
#[derive(Debug)]
pub struct Adbc {
    spec: AdbcSource,
    environment: Arc<Environment>,
    grace: Duration,
}

impl Adbc {
    /// A source that asks this. Nothing is opened yet.
    pub fn new(spec: AdbcSource, environment: Arc<Environment>) -> Self {
        Adbc { spec, environment, grace: GRACE }
    }

    /// Waits so long for a driver that was told to end, for tests.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

impl Source for Adbc {
    fn stream(&self, ask: &Ask<'_>) -> Result<Stream, SourceError> {
        let request = Request::new(&self.spec, &self.environment, ask.limit)?;
        let partial = request.bound.is_partial();
        let mut reading = Reading::start(request, (self.spec.timeout, self.grace), self.environment.given_up())?;
        let Said::Schema(schema) = reading.next()? else {
            return Err(SourceError::new(format!("{} sent rows before it said what they are", self.spec.driver)));
        };
        let columns = Arc::new(Columns::new(&self.spec, &schema, ask.wanted)?);
        let schema = columns.schema();
        let rows = Box::new(Batches { reading: Mutex::new(reading), columns });
        Ok(Stream { schema, typing: Typing::Declared, input: None, rows, files: None, partial })
    }

    fn describe(&self) -> String {
        format!("{} of {}", model::describe(&self.spec.model), self.spec.driver)
    }
}

/// Whether the source's driver can be loaded and begins: on a thread of its own, which is not waited for longer than [`GRACE`]. Nothing is connected to.
///
/// # Errors
/// Why it cannot.
pub fn try_driver(spec: &AdbcSource, environment: &Environment) -> Result<(), SourceError> {
    let request = Request::new(spec, environment, None)?;
    let late = SourceError::new(format!("{} has not begun within {} s", spec.driver, GRACE.as_secs()));
    reading::begins(request, GRACE).unwrap_or(Err(late))
}

struct Batches {
    reading: Mutex<Reading>,
    columns: Arc<Columns>,
}

impl Rows for Batches {
    fn next(&self) -> Result<Option<Piece>, SourceError> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        match reading.next()? {
            Said::Rows(number, batches) => {
                let columns = Arc::clone(&self.columns);
                let batches = batches.into_iter().flat_map(columns::slices).map(move |batch| columns.shaped(&batch));
                Ok(Some(Piece { number, batches: Box::new(batches) }))
            }
            Said::Schema(_) | Said::End => Ok(None),
        }
    }

    /// No driver says it.
    fn estimate(&self) -> u64 {
        0
    }
}
