//! One extract: describe and read.

use super::connect::Server;
use super::copy::{Copy, CopyState};
use super::errors::{forbidden, told};
use super::scale::scales;
use super::types::{Column, Made, column};
use crate::source::model::ONE;
use crate::source::sql::dialogue::Dialogue;
use crate::source::sql::feed::{Ended, Outlet};
use crate::source::sql::told::Told;
use crate::source::sql::tuples::Tuples;
use crate::source::sql::{refused, schema};
use crate::source::{Bound, Parameter, Parameters};
use arrow::datatypes::SchemaRef;
use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions, Connection as _, Executor, Row, Statement, ValueRef};
use std::cell::Cell as Flag;
use std::time::Duration;
use tokio::sync::oneshot;

/// The settings of the session that have the parameters.
pub(super) const LAST_SUCCESS: &str = "nightmark.last_success";
pub(super) const RUN_DATE: &str = "nightmark.run_date";

/// What an extract is asked with.
pub(super) struct Asked {
    pub(super) server: Server,
    /// The query with placeholders.
    pub(super) bound: Bound,
    /// The query that reads its parameters from settings.
    pub(super) settled: String,
    pub(super) values: Parameters,
    pub(super) timeout: Duration,
    pub(super) limit: Option<usize>,
}

/// What is known before the first row.
pub(super) struct Head {
    pub(super) schema: SchemaRef,
    pub(super) columns: Vec<Column>,
    /// About how many rows there are, as the server plans; 0 if it does not say.
    pub(super) estimate: u64,
    /// Whether fields come as text.
    pub(super) is_text: bool,
}

/// One extract.
pub(super) struct Talk {
    asked: Asked,
    told: Told,
}

impl Talk {
    pub(super) fn new(asked: Asked) -> Self {
        let told = told(&asked.server.shown, &asked.server.options, asked.timeout);
        Talk { asked, told }
    }
}

impl Dialogue for Talk {
    type Connection = PgConnection;
    type Process = i32;
    type Head = Head;

    fn told(&self) -> &Told {
        &self.told
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        self.asked.server.options.connect().await
    }

    async fn read(
        &self,
        connection: &mut PgConnection,
        process: &Flag<Option<i32>>,
        outlet: &Outlet<Head, Tuples>,
        chosen: oneshot::Receiver<Vec<usize>>,
    ) -> Result<(), Ended> {
        Session { asked: &self.asked, told: &self.told, outlet }.read(connection, process, chosen).await
    }

    async fn cancel(connection: &mut PgConnection, process: i32) -> Result<(), sqlx::Error> {
        let cancel = sqlx::query("SELECT pg_cancel_backend($1)").bind(process);
        cancel.execute(connection).await.map(drop)
    }
}

struct Session<'a> {
    asked: &'a Asked,
    told: &'a Told,
    outlet: &'a Outlet<Head, Tuples>,
}

impl Session<'_> {
    fn failed(&self, error: sqlx::Error) -> Ended {
        self.told.failed(error, None).into()
    }

    /// An error of a query that could be described by itself: what is wrong with its text is that rows cannot be selected from it.
    fn unselected(&self, error: sqlx::Error) -> Ended {
        let is_syntax = error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "42601");
        let failed = self.told.failed(error, None);
        if is_syntax { failed.hint(ONE) } else { failed }.into()
    }

    async fn read(
        &self,
        connection: &mut PgConnection,
        process: &Flag<Option<i32>>,
        chosen: oneshot::Receiver<Vec<usize>>,
    ) -> Result<(), Ended> {
        let copies = self.begin(connection).await?;
        process.set(self.process(connection, copies).await?);
        let columns = self.columns(connection, copies).await?;
        let schema = schema(columns.iter().map(Column::field).collect())?;
        let estimate = if copies { self.estimate(connection).await? } else { 0 };
        let estimate = self.asked.limit.map_or(estimate, |limit| estimate.min(limit as u64));
        self.outlet.head(Head { schema, columns: columns.clone(), estimate, is_text: !copies })?;
        // Who does not choose does not want it.
        let kept = chosen.await.map_err(|_| Ended::Dropped)?;
        if copies {
            self.copy(connection, &columns, &kept).await?;
        } else {
            self.fetch(connection, &columns, &kept).await?;
        }
        // Every row is here. A pooler gives the server's session to somebody else then, as it was: nothing is to be cancelled in it any more.
        process.set(None);
        let _ = sqlx::raw_sql("COMMIT").execute(connection).await;
        Ok(())
    }

    /// Begins the transaction in which everything is done: what is described and what is read is of one moment, and behind a pooler nothing is
    /// set that somebody else would find. `false`: the server lacks COPY or settings of our own, so that rows come as text.
    async fn begin(&self, connection: &mut PgConnection) -> Result<bool, Ended> {
        if copies(connection).await.map_err(|e| self.failed(e))? {
            self.transaction(connection).await?;
            if self.settle(connection).await? {
                return Ok(true);
            }
        }
        // After a COPY that was refused, the driver does not know where it is.
        *connection = self.asked.server.for_text().connect().await.map_err(|e| self.failed(e))?;
        self.transaction(connection).await?;
        Ok(false)
    }

    /// The order of its words is the one that Redshift takes as well.
    async fn transaction(&self, connection: &mut PgConnection) -> Result<(), Ended> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        sqlx::raw_sql(begin).execute(&mut *connection).await.map_err(|e| self.failed(e))?;
        let timeout = format!("SET LOCAL statement_timeout = {}", self.asked.timeout.as_millis());
        sqlx::raw_sql(AssertSqlSafe(timeout)).execute(connection).await.map_err(|e| self.failed(e))?;
        Ok(())
    }

    /// Puts the parameters into settings of the transaction. `false`: this server has no such settings.
    async fn settle(&self, connection: &mut PgConnection) -> Result<bool, Ended> {
        if self.asked.bound.parameters.is_empty() {
            return Ok(true);
        }
        let values = &self.asked.values;
        let last_success = values.last_success().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let set = sqlx::query("SELECT set_config($1, $2, true), set_config($3, $4, true)")
            .bind(LAST_SUCCESS)
            .bind(last_success)
            .bind(RUN_DATE)
            .bind(values.run_date.to_string())
            .persistent(false);
        self.answered(set.execute(connection).await).map(|set| set.is_some())
    }

    /// What the query can be ended by; `None`: it ends at its time.
    async fn process(&self, connection: &mut PgConnection, copies: bool) -> Result<Option<i32>, Ended> {
        let process = sqlx::query_scalar("SELECT pg_backend_pid()").persistent(false).fetch_one(&mut *connection).await;
        let process = self.answered(process)?;
        if process.is_none() {
            // The refusal has ended the transaction.
            sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.map_err(|e| self.failed(e))?;
            self.transaction(connection).await?;
            if copies {
                self.settle(connection).await?;
            }
        }
        Ok(process)
    }

    /// `None`: the server has answered that it does not do this.
    fn answered<T>(&self, result: Result<T, sqlx::Error>) -> Result<Option<T>, Ended> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.as_database_error().and_then(|e| e.code()).is_some_and(|code| is_lacking(&code)) => {
                Ok(None)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Does what may be refused, and goes on in the transaction if it is. Only on servers with savepoints: those that have COPY do.
    async fn attempt<T>(
        &self,
        connection: &mut PgConnection,
        of: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<Option<T>, Ended> {
        sqlx::raw_sql("SAVEPOINT nightmark").execute(&mut *connection).await.map_err(|e| self.failed(e))?;
        let done = of(connection).await;
        let done = self.answered(done)?;
        let end = if done.is_some() { "RELEASE SAVEPOINT nightmark" } else { "ROLLBACK TO SAVEPOINT nightmark" };
        sqlx::raw_sql(end).execute(connection).await.map_err(|e| self.failed(e))?;
        Ok(done)
    }

    /// About how many rows the query has, as the server plans it; 0 if it does not say.
    async fn estimate(&self, connection: &mut PgConnection) -> Result<u64, Ended> {
        let explain = format!("EXPLAIN {}", self.asked.settled);
        let row = self
            .attempt(connection, async |connection| sqlx::raw_sql(AssertSqlSafe(explain)).fetch_one(connection).await)
            .await?;
        let Some(row) = row else {
            self.permitted(connection).await?;
            return Ok(0);
        };
        let line: String = row.try_get(0).unwrap_or_default();
        let rows = line.split_once("rows=").map_or("", |(_, after)| after);
        Ok(rows.split(' ').next().and_then(|rows| rows.parse().ok()).unwrap_or(0))
    }

    /// Whether everything that the query names may be read. The server names only the first table that may not; since the query was described
    /// the transaction holds a lock on each.
    async fn permitted(&self, connection: &mut PgConnection) -> Result<(), Ended> {
        let locked = "SELECT c.oid::regclass::text FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
                      WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
                      AND NOT has_any_column_privilege(c.oid, 'SELECT') ORDER BY 1";
        let ask = async |connection: &mut PgConnection| {
            sqlx::query_scalar::<_, String>(locked).persistent(false).fetch_all(connection).await
        };
        match self.attempt(connection, ask).await?.unwrap_or_default().as_slice() {
            [] => Ok(()),
            tables => Err(forbidden(self.told, tables).into()),
        }
    }

    /// The query's columns, as the server describes them.
    async fn columns(&self, connection: &mut PgConnection, copies: bool) -> Result<Vec<Column>, Ended> {
        let sql = &self.asked.bound.sql;
        let prepared = (&mut *connection).prepare(sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(sql.clone()))).await;
        let statement = prepared.map_err(|e| self.told.failed(e, Some(sql)))?;
        let described = statement.columns();
        if described.is_empty() {
            let error = self.told.error("the query yields no rows with columns");
            return Err(error.hint(ONE).into());
        }
        // What comes as text is no decimal.
        let known = match copies {
            // A server that has no such catalogue knows scales for itself alone.
            true => self.attempt(connection, async |connection| scales(connection, described).await).await?,
            false => None,
        };
        // What the driver has prepared has a name in the session, which a pooler's next client would meet.
        connection.clear_cached_statements().await.map_err(|e| self.failed(e))?;
        let known = known.unwrap_or_else(|| vec![None; described.len()]);
        let (mut columns, mut unfit) = (Vec::new(), Vec::new());
        for (described, scale) in described.iter().zip(known) {
            match column(described.name(), described.type_info(), scale) {
                Ok(column) => columns.push(column),
                Err(refused) => unfit.push(refused),
            }
        }
        if unfit.is_empty() {
            return Ok(columns);
        }
        Err(refused(&unfit, described.iter().map(|column| column.name())).into())
    }

    /// The statement that yields the wanted columns: the query itself, where it needs nothing around it.
    fn statement(&self, sql: &str, columns: &[Column], kept: &[usize], of: impl Fn(&Column) -> String) -> String {
        let wanted: Vec<String> = kept.iter().map(|&index| of(&columns[index])).collect();
        let limit = self.asked.limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        // The line break ends a comment in the query's last line.
        format!("SELECT {} FROM (\n{sql}\n) AS q{limit}", wanted.join(", "))
    }

    async fn copy(&self, connection: &mut PgConnection, columns: &[Column], kept: &[usize]) -> Result<(), Ended> {
        let sql = &self.asked.settled;
        let is_plain = self.asked.limit.is_none()
            && kept.len() == columns.len()
            && columns.iter().all(|column| column.made == Made::Nothing);
        let query = if is_plain { sql.clone() } else { self.statement(sql, columns, kept, Column::expression) };
        let copy = format!("COPY (\n{query}\n) TO STDOUT (FORMAT BINARY)");
        let mut messages = connection.copy_out_raw(&copy).await.map_err(|e| self.unselected(e))?;
        self.outlet.ready()?;
        let mut reading = Copy { tuples: Tuples::with_room(), state: CopyState::Begun };
        while let Some(message) = messages.try_next().await.map_err(|e| self.failed(e))? {
            reading.take(&message).ok_or_else(|| self.told.error("what the server sends is no binary COPY"))?;
            if reading.tuples.is_full() {
                self.outlet.raw(std::mem::replace(&mut reading.tuples, Tuples::with_room()))?;
            }
        }
        if reading.state != CopyState::Ended {
            return Err(self.told.error("the server has ended the rows without saying that these are all").into());
        }
        self.rest(reading.tuples)
    }

    async fn fetch(&self, connection: &mut PgConnection, columns: &[Column], kept: &[usize]) -> Result<(), Ended> {
        let sql = self.statement(&self.asked.bound.sql, columns, kept, Column::as_text);
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for parameter in &self.asked.bound.parameters {
            query = match parameter {
                Parameter::LastSuccess => query.bind(self.asked.values.last_success()),
                Parameter::RunDate => query.bind(self.asked.values.run_date),
            };
        }
        let mut rows = query.fetch(connection);
        let mut next = rows.try_next().await.map_err(|e| self.unselected(e))?;
        self.outlet.ready()?;
        let mut tuples = Tuples::default();
        while let Some(row) = next {
            pack(&row, &mut tuples).map_err(|e| self.failed(e))?;
            if tuples.is_full() {
                self.outlet.raw(std::mem::take(&mut tuples))?;
            }
            next = rows.try_next().await.map_err(|e| self.failed(e))?;
        }
        self.rest(tuples)
    }

    fn rest(&self, tuples: Tuples) -> Result<(), Ended> {
        if tuples.rows == 0 { Ok(()) } else { self.outlet.raw(tuples) }
    }
}

fn pack(row: &PgRow, tuples: &mut Tuples) -> Result<(), sqlx::Error> {
    // No server has that many columns.
    tuples.row(u16::try_from(row.len()).unwrap_or(u16::MAX));
    for index in 0..row.len() {
        let value = row.try_get_raw(index)?;
        let bytes = if value.is_null() { None } else { Some(value.as_bytes().map_err(sqlx::Error::Decode)?) };
        tuples.field(bytes);
    }
    Ok(())
}

/// Whether the server has the COPY that we use. What else keeps it from being done is an error.
async fn copies(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let probe = "COPY (SELECT 1) TO STDOUT (FORMAT BINARY)";
    let copied = match connection.copy_out_raw(probe).await {
        Ok(messages) => messages.try_for_each(|_| std::future::ready(Ok(()))).await,
        Err(error) => Err(error),
    };
    match copied {
        Ok(()) => Ok(true),
        Err(error) if error.as_database_error().and_then(|e| e.code()).is_some_and(|code| is_unknown(&code)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Whether an SQLSTATE says that a server lacks something, or does not let us have it: beside what [`is_unknown`] has, a function, a parameter, a table
/// or a column that it does not know, and a right.
fn is_lacking(code: &str) -> bool {
    is_unknown(code) || matches!(code, "42883" | "42704" | "42P01" | "42703" | "42501")
}

/// Whether an SQLSTATE says that a server does not have a statement: a syntax error, a feature that is not supported.
fn is_unknown(code: &str) -> bool {
    matches!(code, "42601" | "0A000")
}

#[cfg(test)]
mod tests {
    use super::super::types::Cell;
    use super::*;

    fn column(name: &str, cell: Cell) -> Column {
        Column { name: name.into(), cell, made: Made::Nothing }
    }

    #[test]
    fn names_are_quoted_and_booleans_are_text_everywhere() {
        assert_eq!(column("a\"b", Cell::Int32).expression(), "q.\"a\"\"b\"");
        assert_eq!(column("a", Cell::Int32).as_text(), "q.\"a\"::text AS \"a\"");
        assert_eq!(column("a", Cell::Text).as_text(), "q.\"a\"");
        assert!(column("a", Cell::Bool).as_text().starts_with("CASE WHEN q.\"a\" THEN 't'"));
    }
}
