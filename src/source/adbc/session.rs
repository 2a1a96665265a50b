//! One conversation with a driver, from its loading to the last row, on one thread.

use super::driver;
use super::reading::{Line, Said};
use super::request::{Request, Stage};
use crate::source::{Parameter, SourceError};
use adbc_core::error::Status;
use adbc_core::options::OptionValue;
use adbc_core::{Connection, Database, Driver, Optionable, Statement};
use arrow::array::{ArrayRef, Date32Array, RecordBatch, RecordBatchReader, TimestampMicrosecondArray};
use arrow::datatypes::Date32Type;
use arrow::error::ArrowError;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;

/// Batches are handed on together until they have so many rows or bytes: some drivers make very small ones.
const ROWS: usize = 16 << 10;
const BYTES: usize = 4 << 20;

/// Reads everything. `Ok` before the end: nobody listens any more.
pub(super) fn run(request: &Request, line: &Line) -> Result<(), SourceError> {
    // Dropped from the last to the first: the rows before the statement, the library at the end.
    let mut driver = driver::load(request)?;
    let database = driver
        .new_database_with_opts(options(&request.options))
        .map_err(|error| request.failed(Stage::Options, &error))?;
    let mut connection = database
        .new_connection_with_opts(options(&request.connection_options))
        .map_err(|error| request.failed(Stage::Connecting, &error))?;
    let preparing = |error| request.failed(Stage::Preparing, &error);
    let mut statement = connection.new_statement().map_err(preparing)?;
    for (name, value) in options(&request.statement_options) {
        statement.set_option(name, value).map_err(preparing)?;
    }
    statement.set_sql_query(&request.bound.sql).map_err(preparing)?;
    line.cancel_by(statement.get_cancel_handle());
    bind(request, &mut statement)?;
    if line.is_stopped() {
        return Ok(());
    }
    let rows = statement.execute().map_err(|error| request.failed(Stage::Querying, &error))?;
    read(request, line, rows)
}

fn options<K: for<'k> From<&'k str>>(options: &[(String, SecretString)]) -> Vec<(K, OptionValue)> {
    let option = |(name, value): &(String, SecretString)| {
        (K::from(name.as_str()), OptionValue::String(value.expose_secret().to_owned()))
    };
    options.iter().map(option).collect()
}

fn bind(request: &Request, statement: &mut impl Statement) -> Result<(), SourceError> {
    if request.bound.parameters.is_empty() {
        return Ok(());
    }
    match statement.prepare() {
        Err(error) if error.status != Status::NotImplemented => return Err(request.failed(Stage::Preparing, &error)),
        _ => {}
    }
    let values = values(request).map_err(|error| request.error(&error.to_string()))?;
    statement.bind(values).map_err(|error| request.failed(Stage::Binding, &error))
}

/// One row, with a column for each placeholder.
fn values(request: &Request) -> Result<RecordBatch, ArrowError> {
    let parameters = request.parameters;
    let column = |(index, parameter): (usize, &Parameter)| {
        let array: ArrayRef = match parameter {
            Parameter::LastSuccess => {
                let micros = parameters.last_success().timestamp_micros();
                Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC"))
            }
            Parameter::RunDate => Arc::new(Date32Array::from(vec![Date32Type::from_naive_date(parameters.run_date)])),
        };
        (format!("{}", index + 1), array)
    };
    RecordBatch::try_from_iter(request.bound.parameters.iter().enumerate().map(column))
}

fn read(
    request: &Request,
    line: &Line,
    mut rows: Box<dyn RecordBatchReader + Send + 'static>,
) -> Result<(), SourceError> {
    if !line.say(Ok(Said::Schema(rows.schema()))) {
        return Ok(());
    }
    let mut left = request.limit.unwrap_or(usize::MAX);
    let (mut number, mut group) = (0, Group::default());
    while left > 0 {
        // A driver may have been deaf to its being cancelled, or has not been asked yet: this may be seen first.
        if line.is_stopped() {
            line.cancel();
            return Ok(());
        }
        let Some(batch) = rows.next() else { break };
        let batch = batch.map_err(|error| request.broke_off(&error))?;
        let taken = batch.num_rows().min(left);
        left -= taken;
        if let Some(full) = group.with(batch.slice(0, taken)) {
            if !line.say(Ok(Said::Rows(number, full))) {
                return Ok(());
            }
            number += 1;
        }
    }
    if !group.batches.is_empty() && !line.say(Ok(Said::Rows(number, group.batches))) {
        return Ok(());
    }
    line.say(Ok(Said::End));
    if request.limit.is_some() {
        line.cancel();
    }
    Ok(())
}

#[derive(Default)]
struct Group {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl Group {
    /// Adds a batch. What has come together, if that is enough.
    fn with(&mut self, batch: RecordBatch) -> Option<Vec<RecordBatch>> {
        if batch.num_rows() == 0 {
            return None;
        }
        self.rows += batch.num_rows();
        self.bytes += batch.get_array_memory_size();
        self.batches.push(batch);
        (self.rows >= ROWS || self.bytes >= BYTES).then(|| std::mem::take(self).batches)
    }
}
