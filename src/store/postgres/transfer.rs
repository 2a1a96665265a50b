//! Everything out of the schema, and into an empty one.

use super::{PostgresStore, shown};
use crate::store::StoreError;
use crate::store::transfer::{
    Cell, Found, ORG_NUMBERS, Piece, ROWS, Table, TransferStore, broken_off, not_empty, parents_first,
};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::collections::BTreeMap;
use tokio::sync::mpsc::{Receiver, Sender};

/// Uses of keys are in several rows only so that receivers do not wait for each other: they go along in the keys, as the view has them.
const FOLDED: &str = "api_key_uses";
const KEYS: &str = "api_keys";
const KEYS_WITH_USES: &str = "api_key_records";

/// Text that is shown to people and means nothing to the program: a NUL in it, which Postgres does not hold, is replaced.
const SHOWN: [&str; 3] = ["detail", "reason", "remedy"];

// Leases and shared deliveries are of the moment, and of Postgres alone.
const COLUMNS: &str = "
    SELECT t.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
        coalesce(array_position(i.indkey::smallint[], a.attnum), -1)::bigint
    FROM pg_class AS t
    JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_index AS i ON i.indrelid = t.oid AND i.indisprimary
    WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND t.relkind IN ('r', 'p') AND t.relname NOT IN ('_sqlx_migrations', 'api_key_uses', 'leases', 'shares', 'share_chunks')
    ORDER BY t.relname::text COLLATE \"C\", a.attname::text COLLATE \"C\"";

const REFERENCES: &str = "
    SELECT t.relname::text, p.relname::text FROM pg_constraint AS c
    JOIN pg_class AS t ON t.oid = c.conrelid JOIN pg_class AS p ON p.oid = c.confrelid
    WHERE c.contype = 'f' AND c.connamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
        AND t.relname NOT IN ('shares', 'share_chunks')";

/// The types of a table's columns, by their names.
type Types = BTreeMap<String, String>;

struct Catalogue {
    tables: Vec<Found>,
    types: BTreeMap<String, Types>,
}

async fn catalogue(connection: &mut PgConnection) -> Result<Catalogue, StoreError> {
    let columns: Vec<(String, String, String, i64)> = sqlx::query_as(COLUMNS).fetch_all(&mut *connection).await?;
    let references: Vec<(String, String)> = sqlx::query_as(REFERENCES).fetch_all(&mut *connection).await?;
    let mut types: BTreeMap<String, Types> = BTreeMap::new();
    let mut keys: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for (table, column, kind, place) in columns {
        if place >= 0 {
            keys.entry(table.clone()).or_default().push((place, column.clone()));
        }
        types.entry(table).or_default().insert(column, kind);
    }
    let mut tables: Vec<Found> = types
        .iter()
        .map(|(name, types)| {
            let mut key = keys.remove(name).unwrap_or_default();
            key.sort();
            Found {
                table: Table { name: name.clone(), columns: types.keys().cloned().collect() },
                key: key.into_iter().map(|(_, column)| column).collect(),
                refers_to: references.iter().filter(|(from, _)| from == name).map(|(_, to)| to.clone()).collect(),
            }
        })
        .collect();
    let numbers = Table { name: ORG_NUMBERS.to_owned(), columns: vec!["last".to_owned()] };
    tables.push(Found { table: numbers, key: Vec::new(), refers_to: Vec::new() });
    types.insert(ORG_NUMBERS.to_owned(), Types::from([("last".to_owned(), "bigint".to_owned())]));
    Ok(Catalogue { tables: parents_first(tables), types })
}

impl Catalogue {
    fn kind(&self, table: &str, column: &str) -> Result<Kind, StoreError> {
        let kind = self.types.get(table).and_then(|types| types.get(column)).map_or("", String::as_str);
        Kind::of(kind)
            .ok_or_else(|| StoreError::Corrupt(format!("the column {table}.{column} is of the type `{kind}`")))
    }

    fn select(&self, found: &Found) -> Result<String, StoreError> {
        let Table { name, columns } = &found.table;
        if name == ORG_NUMBERS {
            return Ok("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM org_numbers".to_owned());
        }
        let from = if name == KEYS { KEYS_WITH_USES } else { name };
        let columns: Vec<String> =
            columns.iter().map(|column| Ok(self.kind(name, column)?.out(column))).collect::<Result<_, StoreError>>()?;
        let order: Vec<String> = found
            .key
            .iter()
            .map(|column| match self.kind(name, column)? {
                Kind::Text => Ok(format!("\"{column}\" COLLATE \"C\"")),
                _ => Ok(format!("\"{column}\"")),
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(format!("SELECT {} FROM {from} ORDER BY {}", columns.join(", "), order.join(", ")))
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Flag,
    Time,
    Text,
    Json,
    Bytes,
}

impl Kind {
    fn of(name: &str) -> Option<Kind> {
        Some(match name {
            "bigint" | "integer" | "smallint" => Kind::Integer,
            "boolean" => Kind::Flag,
            "timestamp with time zone" => Kind::Time,
            "text" => Kind::Text,
            "json" => Kind::Json,
            "bytea" => Kind::Bytes,
            _ => return None,
        })
    }

    /// As a cell has it.
    fn out(self, column: &str) -> String {
        match self {
            Kind::Integer => format!("\"{column}\"::bigint"),
            Kind::Flag => format!("\"{column}\"::int::bigint"),
            // A version of Postgres that has no exact number here has one that is exact to less than a microsecond.
            Kind::Time => format!("round(extract(epoch FROM \"{column}\") * 1000000)::bigint"),
            Kind::Text | Kind::Json => format!("\"{column}\"::text"),
            Kind::Bytes => format!("\"{column}\""),
        }
    }

    /// The type of the array that it comes in, and what is made of an element.
    fn back(self, column: &str) -> (&'static str, String) {
        match self {
            Kind::Integer => ("bigint[]", format!("r.\"{column}\"")),
            Kind::Flag => ("bigint[]", format!("r.\"{column}\" <> 0")),
            Kind::Time => ("bigint[]", format!("timestamptz 'epoch' + r.\"{column}\" * interval '1 microsecond'")),
            Kind::Text => ("text[]", format!("r.\"{column}\"")),
            Kind::Json => ("text[]", format!("r.\"{column}\"::json")),
            Kind::Bytes => ("bytea[]", format!("r.\"{column}\"")),
        }
    }
}

fn cell(row: &PgRow, place: usize, kind: Kind) -> Result<Cell, StoreError> {
    Ok(match kind {
        Kind::Integer | Kind::Flag | Kind::Time => row.try_get::<Option<i64>, _>(place)?.map(Cell::Integer),
        Kind::Text | Kind::Json => row.try_get::<Option<String>, _>(place)?.map(Cell::Text),
        Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(place)?.map(Cell::Bytes),
    }
    .unwrap_or(Cell::Null))
}

/// It takes as long as it takes, and who sends or takes the rows may be slow.
const PATIENTLY: &str = "
    SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)";

#[async_trait]
impl TransferStore for PostgresStore {
    async fn tables(&self) -> Result<Vec<Table>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        Ok(catalogue(&mut connection).await?.tables.into_iter().map(|found| found.table).collect())
    }

    async fn export(&self, to: Sender<Piece>) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        // Every statement sees what the first has seen.
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *transaction).await?;
        sqlx::query(PATIENTLY).execute(&mut *transaction).await?;
        let catalogue = catalogue(&mut transaction).await?;
        for (table, found) in catalogue.tables.iter().enumerate() {
            let columns = found.table.columns.iter();
            let kinds: Vec<Kind> =
                columns.map(|column| catalogue.kind(&found.table.name, column)).collect::<Result<_, _>>()?;
            let query = AssertSqlSafe(catalogue.select(found)?);
            let mut stream = sqlx::query(query).fetch(&mut *transaction);
            let mut rows = Vec::new();
            while let Some(row) = stream.try_next().await? {
                let cells = kinds.iter().enumerate().map(|(place, kind)| cell(&row, place, *kind));
                rows.push(cells.collect::<Result<_, _>>()?);
                if rows.len() == ROWS && to.send(Piece::Rows { table, rows: std::mem::take(&mut rows) }).await.is_err()
                {
                    return Ok(());
                }
            }
            if !rows.is_empty() && to.send(Piece::Rows { table, rows }).await.is_err() {
                return Ok(());
            }
        }
        let _ = to.send(Piece::End).await;
        Ok(())
    }

    async fn import(&self, mut from: Receiver<Piece>) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(PATIENTLY).execute(&mut *transaction).await?;
        let catalogue = catalogue(&mut transaction).await?;
        lock_empty(&mut transaction, &catalogue.tables).await?;
        let mut last = 0;
        loop {
            match from.recv().await {
                Some(Piece::Rows { table, rows }) => {
                    let found = catalogue.tables.get(table).ok_or_else(broken_off)?;
                    match found.table.name.as_str() {
                        ORG_NUMBERS => last = number(&rows)?,
                        _ => insert(&mut transaction, &catalogue, &found.table, rows).await?,
                    }
                }
                Some(Piece::End) => {
                    set_org_numbers(&mut transaction, last).await?;
                    return Ok(transaction.commit().await?);
                }
                None => return Err(broken_off()),
            }
        }
    }
}

/// Nobody writes from here on until it is done.
async fn lock_empty(connection: &mut PgConnection, tables: &[Found]) -> Result<(), StoreError> {
    let names = tables.iter().map(|found| found.table.name.as_str()).filter(|name| *name != ORG_NUMBERS);
    let names: Vec<&str> = names.chain([FOLDED]).collect();
    let lock = AssertSqlSafe(format!("LOCK TABLE \"{}\" IN EXCLUSIVE MODE", names.join("\", \"")));
    sqlx::query(lock).execute(&mut *connection).await?;
    let mut filled = Vec::new();
    for name in names {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM \"{name}\""));
        let rows: i64 = sqlx::query_scalar(count).fetch_one(&mut *connection).await?;
        if rows > 0 {
            filled.push(format!("{name}: {rows}"));
        }
    }
    if filled.is_empty() { Ok(()) } else { Err(not_empty(&filled)) }
}

fn number(rows: &[Vec<Cell>]) -> Result<i64, StoreError> {
    match rows {
        [row] => match row.as_slice() {
            [Cell::Integer(last)] => Ok(*last),
            _ => Err(broken_off()),
        },
        _ => Err(broken_off()),
    }
}

/// At the very end: what a sequence was set to stays, also where the transaction is given up.
async fn set_org_numbers(connection: &mut PgConnection, last: i64) -> Result<(), StoreError> {
    if last > 0 {
        sqlx::query("SELECT setval('org_numbers', $1, true)").bind(last).execute(connection).await?;
    }
    Ok(())
}

/// All rows in one statement.
async fn insert(
    connection: &mut PgConnection,
    catalogue: &Catalogue,
    table: &Table,
    rows: Vec<Vec<Cell>>,
) -> Result<(), StoreError> {
    let mut columns: Vec<Vec<Cell>> = table.columns.iter().map(|_| Vec::with_capacity(rows.len())).collect();
    for row in rows {
        for (column, cell) in columns.iter_mut().zip(row) {
            column.push(cell);
        }
    }
    let (mut arrays, mut made) = (Vec::new(), Vec::new());
    for (place, column) in table.columns.iter().enumerate() {
        let (array, expression) = catalogue.kind(&table.name, column)?.back(column);
        arrays.push(format!("${}::{array}", place + 1));
        made.push(expression);
    }
    let names = format!("\"{}\"", table.columns.join("\", \""));
    let text = format!(
        "INSERT INTO \"{}\" ({names}) SELECT {} FROM unnest({}) AS r ({names})",
        table.name,
        made.join(", "),
        arrays.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(text));
    for (name, cells) in table.columns.iter().zip(columns) {
        query = match catalogue.kind(&table.name, name)? {
            Kind::Integer | Kind::Flag | Kind::Time => query.bind(integers(table, name, cells)?),
            Kind::Text | Kind::Json => query.bind(texts(table, name, cells)?),
            Kind::Bytes => query.bind(bytes(table, name, cells)?),
        };
    }
    query.execute(&mut *connection).await?;
    Ok(())
}

fn misfit(table: &Table, column: &str) -> StoreError {
    StoreError::Refused(format!("{}.{column} holds no such value", table.name))
}

fn integers(table: &Table, column: &str, cells: Vec<Cell>) -> Result<Vec<Option<i64>>, StoreError> {
    let of = |cell| match cell {
        Cell::Null => Ok(None),
        Cell::Integer(number) => Ok(Some(number)),
        _ => Err(misfit(table, column)),
    };
    cells.into_iter().map(of).collect()
}

fn texts(table: &Table, column: &str, cells: Vec<Cell>) -> Result<Vec<Option<String>>, StoreError> {
    let of = |cell| match cell {
        Cell::Null => Ok(None),
        Cell::Text(text) if SHOWN.contains(&column) => Ok(Some(shown(&text).into_owned())),
        Cell::Text(text) if text.contains('\0') => Err(StoreError::Refused(format!(
            "a value of {}.{column} has a NUL, which Postgres does not hold",
            table.name
        ))),
        Cell::Text(text) => Ok(Some(text)),
        _ => Err(misfit(table, column)),
    };
    cells.into_iter().map(of).collect()
}

fn bytes(table: &Table, column: &str, cells: Vec<Cell>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
    let of = |cell| match cell {
        Cell::Null => Ok(None),
        Cell::Bytes(bytes) => Ok(Some(bytes)),
        _ => Err(misfit(table, column)),
    };
    cells.into_iter().map(of).collect()
}
