//! One extract of a SQLite file.

use super::cells::Value;
use crate::job::spec::SqliteSource;
use crate::source::model::ONE;
use crate::source::sql::feed::{Ended, Outlet};
use crate::source::sql::tuples::Tuples;
use crate::source::sql::{Refused, refused, schema};
use crate::source::{Bound, Parameter, Parameters, SourceError};
use arrow::datatypes::{DataType, Field, SchemaRef};
use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions, Connection, Executor, Row, SqlSafeStr, Sqlite, Statement, TypeInfo,
    ValueRef,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long another process may write before that is an error.
const BUSY: Duration = Duration::from_secs(30);
/// Instructions of SQLite's machine between two looks at whether the query is still wanted.
const INSTRUCTIONS: i32 = 10_000;

/// What an extract is asked with.
pub(super) struct Asked {
    pub(super) spec: SqliteSource,
    pub(super) bound: Bound,
    pub(super) values: Parameters,
    pub(super) limit: Option<usize>,
}

/// What is known before the first row.
pub(super) struct Head {
    pub(super) schema: SchemaRef,
    /// How many rows there are, if they were counted; else 0.
    pub(super) rows: u64,
}

/// Hands the rows to the outlet. `chosen`: which columns are wanted.
pub(super) async fn extract(
    asked: Asked,
    outlet: Outlet<Head, Tuples>,
    chosen: oneshot::Receiver<Vec<usize>>,
) -> Result<(), Ended> {
    let file = &asked.spec.path;
    if file.is_dir() {
        let error = SourceError::new(format!("{}: this is a folder ({})", asked.spec.written, file.display()));
        return Err(error.hint("name the file in it").into());
    }
    if !file.is_file() {
        let error = SourceError::new(format!("{}: there is no such file ({})", asked.spec.written, file.display()));
        return Err(error.hint("relative paths start at the home folder (--home)").into());
    }
    let ended = Arc::new(AtomicBool::new(false));
    let late = || {
        SourceError::new(format!("{}: the query has taken longer than {:?}", asked.spec.written, asked.spec.timeout))
            .hint(
                "raise `timeout` in [source], or make the query quicker: EXPLAIN QUERY PLAN shows where its time goes",
            )
    };
    let session = Session { asked: &asked, outlet: &outlet };
    let work = session.read(Arc::clone(&ended), chosen);
    let done = outlet.unless(Instant::now() + asked.spec.timeout, late, work).await;
    // The query runs on a thread of the driver, which asks for this every few instructions.
    ended.store(true, Ordering::Relaxed);
    done
}

struct Session<'a> {
    asked: &'a Asked,
    outlet: &'a Outlet<Head, Tuples>,
}

impl Session<'_> {
    fn failed(&self, error: sqlx::Error) -> Ended {
        let written = &self.asked.spec.written;
        let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<i32>().ok());
        let said = match error.as_database_error() {
            Some(said) => said.message().to_owned(),
            None => error.to_string(),
        };
        let failed = SourceError::new(format!("{written}: {said}"));
        // The lower byte is the primary code (sqlite.org/rescode.html).
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => failed.hint("another process writes to the file: run the job again when it is done"),
            Some(8 | 14) => {
                failed.hint("the user of nightmark needs to read the file, and in WAL mode to write to its folder")
            }
            Some(10 | 11) => failed.hint("the file is damaged, or was written over while it was read"),
            Some(26) => failed.hint("mend `path`: this is no SQLite database, or an encrypted one"),
            Some(1) => failed.hint("try the query in sqlite3"),
            _ => failed,
        }
        .into()
    }

    /// An error of a query that could be described by itself: what is wrong with its text is that rows cannot be selected from it.
    fn unselected(&self, error: sqlx::Error) -> Ended {
        match self.failed(error) {
            Ended::Failed(failed) if failed.message.ends_with("syntax error") => failed.hint(ONE).into(),
            other => other,
        }
    }

    /// An error of a query that cannot be described. Where a table is missing, the file's own are named.
    async fn undescribed(&self, connection: &mut SqliteConnection, error: sqlx::Error) -> Ended {
        let failed = match self.failed(error) {
            Ended::Failed(failed) if failed.message.contains("no such table") => failed,
            other => return other,
        };
        let tables = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
                      ORDER BY name LIMIT 21";
        let tables = sqlx::query_scalar::<_, String>(tables).fetch_all(connection).await;
        match tables.unwrap_or_default().as_slice() {
            [] => failed.hint("the file has no tables: is `path` that of the right one?"),
            few if few.len() <= 20 => failed.hint(format!("the file has: {}", few.join(", "))),
            many => failed.hint(format!("the file has: {}, …", many[..20].join(", "))),
        }
        .into()
    }

    async fn read(&self, ended: Arc<AtomicBool>, chosen: oneshot::Receiver<Vec<usize>>) -> Result<(), Ended> {
        let options = SqliteConnectOptions::new()
            .filename(&self.asked.spec.path)
            .read_only(true)
            .create_if_missing(false)
            .busy_timeout(BUSY)
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(|e| self.failed(e))?;
        let mut handle = connection.lock_handle().await.map_err(|e| self.failed(e))?;
        handle.set_progress_handler(INSTRUCTIONS, move || !ended.load(Ordering::Relaxed));
        drop(handle);
        sqlx::raw_sql("BEGIN").execute(&mut connection).await.map_err(|e| self.failed(e))?;
        let (fields, rows) = self.columns(&mut connection).await?;
        let names: Vec<String> = fields.iter().map(|field| quoted(field.name())).collect();
        self.outlet.head(Head { schema: schema(fields)?, rows })?;
        // Who does not choose does not want it.
        let kept = chosen.await.map_err(|_| Ended::Dropped)?;
        let wanted: Vec<String> = kept.iter().map(|&index| format!("q.{}", names[index])).collect();
        self.rows(&mut connection, &wanted.join(", ")).await?;
        // Nothing was written, so that it does not matter how this ends.
        drop(connection.close().await);
        Ok(())
    }

    /// The query's columns; and how many rows there are, if all had to be looked at.
    async fn columns(&self, connection: &mut SqliteConnection) -> Result<(Vec<Field>, u64), Ended> {
        let sql = AssertSqlSafe(self.asked.bound.sql.clone()).into_sql_str();
        let statement = match (&mut *connection).prepare(sql).await {
            Ok(statement) => statement,
            Err(error) => return Err(self.undescribed(connection, error).await),
        };
        let described: Vec<(String, Option<DataType>)> = statement
            .columns()
            .iter()
            .map(|column| (column.name().to_owned(), declared(column.type_info().name())))
            .collect();
        // Two of one name could not be asked for apart.
        let all = described.iter().map(|(name, _)| Field::new(name, DataType::Null, true)).collect();
        let all = schema(all)?;
        distinct(&all)?;
        if all.fields().is_empty() {
            let error = SourceError::new(format!("{}: the query yields no rows with columns", self.asked.spec.written));
            return Err(error.hint(ONE).into());
        }
        let unknown: Vec<&str> =
            described.iter().filter(|(_, of)| of.is_none()).map(|(name, _)| name.as_str()).collect();
        let (classes, rows) = match unknown.is_empty() {
            true => (Vec::new(), 0),
            false => self.classes(connection, &unknown).await?,
        };
        let (mut fields, mut unfit, mut classes) = (Vec::new(), Vec::new(), classes.iter());
        for (name, of) in &described {
            let of = match of {
                Some(of) => Ok(of.clone()),
                None => by_classes(name, classes.next().map_or("", String::as_str)),
            };
            match of {
                Ok(of) => fields.push(Field::new(name, of, true)),
                Err(refused) => unfit.push(refused),
            }
        }
        if unfit.is_empty() {
            return Ok((fields, rows));
        }
        Err(refused(&unfit, described.iter().map(|(name, _)| name.as_str())).into())
    }

    /// The classes of all values of these columns, such as `integer,null`, and how many rows there are.
    async fn classes(&self, connection: &mut SqliteConnection, names: &[&str]) -> Result<(Vec<String>, u64), Ended> {
        let class = |name: &&str| format!("group_concat(DISTINCT typeof(q.{}))", quoted(name));
        let classes: Vec<String> = names.iter().map(class).collect();
        let limit = self.asked.limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        let sql = format!(
            "SELECT count(*), {} FROM (SELECT * FROM (\n{}\n){limit}) AS q",
            classes.join(", "),
            self.asked.bound.sql
        );
        let row = self.bound(sql).fetch_one(connection).await.map_err(|e| self.unselected(e))?;
        let rows: i64 = row.try_get(0).map_err(|e| self.failed(e))?;
        let class = |index: usize| row.try_get::<Option<String>, _>(index).map(Option::unwrap_or_default);
        let classes = (1..=names.len()).map(class).collect::<Result<_, _>>().map_err(|e| self.failed(e))?;
        Ok((classes, u64::try_from(rows).unwrap_or(0)))
    }

    async fn rows(&self, connection: &mut SqliteConnection, wanted: &str) -> Result<(), Ended> {
        let limit = self.asked.limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        let sql = format!("SELECT {wanted} FROM (\n{}\n) AS q{limit}", self.asked.bound.sql);
        let mut rows = self.bound(sql).fetch(connection);
        self.outlet.ready()?;
        let (mut tuples, mut room) = (Tuples::default(), Vec::new());
        while let Some(row) = rows.try_next().await.map_err(|e| self.unselected(e))? {
            pack(&row, &mut tuples, &mut room).map_err(|e| self.failed(e))?;
            if tuples.is_full() {
                self.outlet.raw(std::mem::take(&mut tuples))?;
            }
        }
        if tuples.rows == 0 { Ok(()) } else { self.outlet.raw(tuples) }
    }

    /// The statement with its parameters: text, as SQLite's own functions of dates take and give it.
    fn bound(&self, sql: String) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for parameter in &self.asked.bound.parameters {
            query = match parameter {
                Parameter::LastSuccess => {
                    query.bind(self.asked.values.last_success().format("%Y-%m-%d %H:%M:%S").to_string())
                }
                Parameter::RunDate => query.bind(self.asked.values.run_date.to_string()),
            };
        }
        query
    }
}

fn pack(row: &SqliteRow, tuples: &mut Tuples, room: &mut Vec<u8>) -> Result<(), sqlx::Error> {
    // SQLite has at most 32,767 columns.
    tuples.row(row.len() as u16);
    for index in 0..row.len() {
        let value = row.try_get_raw(index)?;
        if value.is_null() {
            tuples.field(None);
            continue;
        }
        let value = match value.type_info().name() {
            "INTEGER" => Value::Integer(row.try_get_unchecked(index)?),
            "REAL" => Value::Real(row.try_get_unchecked(index)?),
            "TEXT" => Value::Text(row.try_get_unchecked::<&[u8], _>(index)?),
            _ => Value::Blob,
        };
        value.pack(tuples, room);
    }
    Ok(())
}

/// The type that a declaration says; `None`: its values decide.
fn declared(name: &str) -> Option<DataType> {
    Some(match name {
        "BOOLEAN" => DataType::Boolean,
        "INTEGER" => DataType::Int64,
        "REAL" => DataType::Float64,
        "TEXT" => DataType::Utf8View,
        _ => return None,
    })
}

/// The type that the classes of all values say.
fn by_classes(name: &str, classes: &str) -> Result<DataType, Refused> {
    let mut classes: Vec<&str> = classes.split(',').filter(|class| !class.is_empty() && *class != "null").collect();
    classes.sort_unstable();
    let quoted = quoted(name);
    let cast = match classes.as_slice() {
        [] => return Ok(DataType::Null),
        ["integer"] => return Ok(DataType::Int64),
        ["real"] | ["integer", "real"] => return Ok(DataType::Float64),
        ["text"] => return Ok(DataType::Utf8View),
        ["blob"] => format!("hex({quoted})"),
        _ => format!("CAST({quoted} AS TEXT)"),
    };
    let cast = format!("{cast} AS {quoted}");
    Err(Refused { column: name.to_owned(), data_type: classes.join(" and "), cast })
}

/// SQLite takes names that differ in the case of their letters for one: the second could not be asked for.
fn distinct(schema: &arrow::datatypes::Schema) -> Result<(), SourceError> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let twice = names.iter().enumerate().find_map(|(index, name)| {
        names[..index].iter().find(|other| other.eq_ignore_ascii_case(name)).map(|other| (*other, *name))
    });
    let Some((first, second)) = twice else { return Ok(()) };
    Err(SourceError::new(format!("the columns `{first}` and `{second}` have one name for SQLite"))
        .hint("give one of them another, with AS"))
}

/// A name so that nothing in it is SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_of_values_are_a_type() {
        for (classes, expected) in [
            ("", DataType::Null),
            ("null", DataType::Null),
            ("null,integer", DataType::Int64),
            ("real,integer,null", DataType::Float64),
            ("text", DataType::Utf8View),
        ] {
            assert_eq!(by_classes("a", classes).ok(), Some(expected), "{classes}");
        }
        let cast = |classes: &str| by_classes("a\"b", classes).err().map(|refused| refused.cast);
        assert_eq!(cast("blob").as_deref(), Some("hex(\"a\"\"b\") AS \"a\"\"b\""));
        assert_eq!(cast("text,integer").as_deref(), Some("CAST(\"a\"\"b\" AS TEXT) AS \"a\"\"b\""));
    }
}
