//! One extract: describe and read.

use super::connect::Server;
use super::errors::{self, told};
use super::tables::tables;
use super::types::{Cell, Column, column, quoted};
use crate::source::model::ONE;
use crate::source::sql::dialogue::Dialogue;
use crate::source::sql::feed::{Ended, Outlet};
use crate::source::sql::told::Told;
use crate::source::sql::tuples::Tuples;
use crate::source::sql::{refused, schema};
use crate::source::{Bound, Parameter, Parameters};
use arrow::datatypes::SchemaRef;
use futures_util::TryStreamExt;
use sqlx::mysql::{MySqlArguments, MySqlColumn, MySqlConnection, MySqlRow};
use sqlx::query::Query;
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions, Decode, Executor, MySql, Row, SqlSafeStr, Statement, TypeInfo as _,
};
use std::cell::Cell as Flag;
use std::time::Duration;
use tokio::sync::oneshot;

/// What an extract is asked with.
pub(super) struct Asked {
    pub(super) server: Server,
    pub(super) bound: Bound,
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
    type Connection = MySqlConnection;
    type Process = u64;
    type Head = Head;

    fn told(&self) -> &Told {
        &self.told
    }

    async fn connect(&self) -> Result<MySqlConnection, sqlx::Error> {
        self.asked.server.options.connect().await
    }

    async fn read(
        &self,
        connection: &mut MySqlConnection,
        process: &Flag<Option<u64>>,
        outlet: &Outlet<Head, Tuples>,
        chosen: oneshot::Receiver<Vec<usize>>,
    ) -> Result<(), Ended> {
        Session { asked: &self.asked, told: &self.told, outlet }.read(connection, process, chosen).await
    }

    async fn cancel(connection: &mut MySqlConnection, process: u64) -> Result<(), sqlx::Error> {
        // A number of the server's own.
        let cancel = sqlx::raw_sql(AssertSqlSafe(format!("KILL QUERY {process}")));
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
        let is_syntax = errors::is_syntax(&error);
        let failed = self.told.failed(error, None);
        if is_syntax { failed.hint(ONE) } else { failed }.into()
    }

    async fn read(
        &self,
        connection: &mut MySqlConnection,
        process: &Flag<Option<u64>>,
        chosen: oneshot::Receiver<Vec<usize>>,
    ) -> Result<(), Ended> {
        let hello: (u64, String) = sqlx::query_as("SELECT CAST(connection_id() AS UNSIGNED), version()")
            .fetch_one(&mut *connection)
            .await
            .map_err(|e| self.failed(e))?;
        process.set(Some(hello.0));
        self.begin(connection, hello.1.contains("MariaDB")).await?;
        let columns = self.columns(connection).await?;
        let schema = schema(columns.iter().map(Column::field).collect())?;
        let estimate = self.estimate(connection).await;
        let estimate = self.asked.limit.map_or(estimate, |limit| estimate.min(limit as u64));
        self.outlet.head(Head { schema, columns: columns.clone(), estimate })?;
        // Who does not choose does not want it.
        let kept = chosen.await.map_err(|_| Ended::Dropped)?;
        self.rows(connection, &columns, &kept).await
    }

    /// Begins the transaction that the rows are read in.
    async fn begin(&self, connection: &mut MySqlConnection, is_mariadb: bool) -> Result<(), Ended> {
        let timeout = self.asked.timeout;
        let limit = match is_mariadb {
            true => format!("SET SESSION max_statement_time = {}", timeout.as_secs_f64()),
            false => format!("SET SESSION max_execution_time = {}", timeout.as_millis()),
        };
        // Rows that are waited for are not a client that is gone.
        let patience = format!("SET SESSION net_write_timeout = {}", timeout.as_secs().max(60));
        for statement in [
            limit,
            patience,
            // Limits that a server sets for everybody would cut the rows, or texts that are put together, and nobody would see it.
            "SET SESSION sql_select_limit = 18446744073709551615".to_owned(),
            "SET SESSION group_concat_max_len = 1073741824".to_owned(),
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ".to_owned(),
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY".to_owned(),
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await.map_err(|e| self.failed(e))?;
        }
        Ok(())
    }

    /// An error of a query that cannot be described. The server names only the first table that may not be read; so each is asked for by itself.
    async fn undescribed(&self, connection: &mut MySqlConnection, error: sqlx::Error) -> Ended {
        let mut denied = Vec::new();
        if errors::is_denied(&error) {
            for table in tables(&self.asked.bound.sql) {
                let probe = AssertSqlSafe(format!("SELECT 1 FROM {table}")).into_sql_str();
                if (&mut *connection).prepare(probe).await.err().as_ref().is_some_and(errors::is_denied) {
                    denied.push(table);
                }
            }
        }
        match denied.len() {
            0 | 1 => self.failed(error),
            _ => errors::forbidden(self.told, &denied).into(),
        }
    }

    /// The query's columns, as the server describes them.
    async fn columns(&self, connection: &mut MySqlConnection) -> Result<Vec<Column>, Ended> {
        let sql = AssertSqlSafe(self.asked.bound.sql.clone()).into_sql_str();
        let statement = match (&mut *connection).prepare(sql).await {
            Ok(statement) => statement,
            Err(error) => return Err(self.undescribed(connection, error).await),
        };
        if statement.columns().is_empty() {
            let error = self.told.error("the query yields no rows with columns");
            return Err(error.hint(ONE).into());
        }
        let (mut columns, mut unfit) = (Vec::new(), Vec::new());
        for described in statement.columns() {
            match column(described.name(), described.type_info()) {
                Ok(column) => columns.push(column),
                Err(refused) => unfit.push(refused),
            }
        }
        if !unfit.is_empty() {
            return Err(refused(&unfit, statement.columns().iter().map(|column| column.name())).into());
        }
        // Two of one name could not be asked for apart.
        schema(columns.iter().map(Column::field).collect())?;
        self.scales(connection, &mut columns).await;
        Ok(columns)
    }

    /// Finds the scales of decimals: a zero that has to share a column with each of them is written with its scale. Nothing is read
    /// for it. If the server does not take the statement, they stay numbers without a scale.
    async fn scales(&self, connection: &mut MySqlConnection, columns: &mut [Column]) {
        let mut decimals: Vec<&mut Column> = columns.iter_mut().filter(|column| column.cell == Cell::Number).collect();
        if decimals.is_empty() {
            return;
        }
        let names: Vec<String> = decimals.iter().map(|column| format!("q.{}", quoted(&column.name))).collect();
        let zeros = vec!["0"; names.len()];
        let sql = format!(
            "SELECT {} FROM (\n{}\n) AS q WHERE 1 = 0 UNION SELECT {}",
            names.join(", "),
            self.asked.bound.sql,
            zeros.join(", ")
        );
        let Ok(row) = self.bound(sql).fetch_one(connection).await else { return };
        for (index, column) in decimals.iter_mut().enumerate() {
            let Ok(zero) = row.try_get_unchecked::<&[u8], _>(index) else { continue };
            let places = zero.iter().position(|byte| *byte == b'.').map_or(0, |point| zero.len() - point - 1);
            if let Some(scale) = i8::try_from(places).ok().filter(|scale| *scale <= 38) {
                column.cell = Cell::Decimal { scale };
            }
        }
    }

    /// Refuses rows whose columns are not those that were described: their bytes would be taken for something else.
    fn same(&self, columns: &[Column], row: &MySqlRow) -> Result<(), Ended> {
        let found = row.columns();
        // The scale of a decimal is not part of what is described.
        let is_decimal = |cell: Cell| matches!(cell, Cell::Decimal { .. } | Cell::Number);
        let is_same = |(known, found): (&Column, &MySqlColumn)| {
            let cell = column(found.name(), found.type_info()).map(|column| column.cell);
            let is_same = |cell| cell == known.cell || (is_decimal(cell) && is_decimal(known.cell));
            found.name() == known.name && cell.is_ok_and(is_same)
        };
        if found.len() == columns.len() {
            let Some((known, found)) = columns.iter().zip(found).find(|pair| !is_same(*pair)) else { return Ok(()) };
            let message = format!(
                "column `{}` was described as {}, and comes as {} (`{}`)",
                known.name,
                known.field().data_type(),
                found.type_info().name(),
                found.name()
            );
            return Err(self
                .told
                .error(message)
                .hint(format!("cast it in the query: CAST({} AS …)", quoted(&known.name)))
                .into());
        }
        let message = format!("{} columns were described, and {} come", columns.len(), found.len());
        Err(self.told.error(message).hint("was a table changed while it was read? run the job again").into())
    }

    async fn rows(&self, connection: &mut MySqlConnection, columns: &[Column], kept: &[usize]) -> Result<(), Ended> {
        let sql = &self.asked.bound.sql;
        let sql = match self.asked.limit {
            Some(limit) => format!("SELECT * FROM (\n{sql}\n) AS q LIMIT {limit}"),
            None => sql.clone(),
        };
        let mut rows = self.bound(sql).fetch(connection);
        let mut next = rows.try_next().await.map_err(|e| self.unselected(e))?;
        if let Some(row) = &next {
            self.same(columns, row)?;
        }
        self.outlet.ready()?;
        let mut tuples = Tuples::default();
        while let Some(row) = next {
            pack(&row, kept, &mut tuples).map_err(|e| self.failed(e))?;
            if tuples.is_full() {
                self.outlet.raw(std::mem::take(&mut tuples))?;
            }
            next = rows.try_next().await.map_err(|e| self.failed(e))?;
        }
        if tuples.rows == 0 { Ok(()) } else { self.outlet.raw(tuples) }
    }

    fn bound(&self, sql: String) -> Query<'static, MySql, MySqlArguments> {
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for parameter in &self.asked.bound.parameters {
            query = match parameter {
                Parameter::LastSuccess => query.bind(self.asked.values.last_success().naive_utc()),
                Parameter::RunDate => query.bind(self.asked.values.run_date),
            };
        }
        query
    }

    /// About how many rows the query has: what the server expects of its first table.
    async fn estimate(&self, connection: &mut MySqlConnection) -> u64 {
        let explain = self.bound(format!("EXPLAIN {}", self.asked.bound.sql));
        let Ok(row) = explain.fetch_one(connection).await else { return 0 };
        row.try_get_unchecked::<&[u8], _>("rows").map_or(0, |bytes| match bytes.try_into() {
            Ok(number) => u64::from_le_bytes(number),
            Err(_) => 0,
        })
    }
}

fn pack(row: &MySqlRow, kept: &[usize], tuples: &mut Tuples) -> Result<(), sqlx::Error> {
    // MySQL has at most 4,096 columns.
    tuples.row(kept.len() as u16);
    for &index in kept {
        // The driver takes a date of zeros for NULL; its bytes are there all the same, and those of a NULL are not.
        tuples.field(<&[u8] as Decode<MySql>>::decode(row.try_get_raw(index)?).ok());
    }
    Ok(())
}
