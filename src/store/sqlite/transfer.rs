//! Everything out of the file, and into an empty one.

use super::SqliteStore;
use crate::store::StoreError;
use crate::store::transfer::{
    Cell, Found, ORG_NUMBERS, Piece, ROWS, Table, TransferStore, broken_off, not_empty, parents_first,
};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection, TypeInfo, ValueRef};
use tokio::sync::mpsc::{Receiver, Sender};

/// Columns of before there were bitmaps: what they say is said by [`select`] in today's words.
const LEGACY: &[(&str, &str)] = &[("runs", "attempted_before")];

const TABLES: &str = "
    SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> '_sqlx_migrations'";

async fn found(connection: &mut SqliteConnection) -> Result<Vec<Found>, StoreError> {
    let names: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&mut *connection).await?;
    let mut all = Vec::new();
    for name in names {
        let columns = "SELECT name, pk FROM pragma_table_info(?1) ORDER BY name";
        let mut columns: Vec<(String, i64)> = sqlx::query_as(columns).bind(&name).fetch_all(&mut *connection).await?;
        columns.retain(|(column, _)| !LEGACY.contains(&(name.as_str(), column.as_str())));
        let refers_to = "SELECT \"table\" FROM pragma_foreign_key_list(?1)";
        let refers_to = sqlx::query_scalar(refers_to).bind(&name).fetch_all(&mut *connection).await?;
        let mut key: Vec<&(String, i64)> = columns.iter().filter(|(_, place)| *place > 0).collect();
        key.sort_by_key(|(_, place)| *place);
        let key = key.into_iter().map(|(column, _)| column.clone()).collect();
        let columns = columns.iter().map(|(column, _)| column.clone()).collect();
        all.push(Found { table: Table { name, columns }, key, refers_to });
    }
    let numbers = Table { name: ORG_NUMBERS.to_owned(), columns: vec!["last".to_owned()] };
    all.push(Found { table: numbers, key: Vec::new(), refers_to: Vec::new() });
    Ok(parents_first(all))
}

/// Names of a catalogue, which are ours.
fn listed(columns: &[String]) -> String {
    columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ")
}

fn select(found: &Found) -> String {
    let Table { name, columns } = &found.table;
    if name == ORG_NUMBERS {
        return "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'orgs'), 0)".to_owned();
    }
    let columns: Vec<String> = columns.iter().map(|column| expression(name, column)).collect();
    // What an earlier version has stored of a row that was acknowledged is no failure.
    let only = if name == "receipts" { " WHERE kind IS NOT NULL OR outcome <> 'acknowledged'" } else { "" };
    format!("SELECT {} FROM \"{name}\"{only} ORDER BY {}", columns.join(", "), listed(&found.key))
}

/// A column, but for what an earlier version has stored: any row of such a run may have been applied, and is sent once more.
fn expression(table: &str, column: &str) -> String {
    match (table, column) {
        ("receipts", "key") => "coalesce(key, '')".to_owned(),
        ("receipts", "kind") => {
            "coalesce(kind, CASE outcome WHEN 'unknown' THEN 'unknown' ELSE 'refused' END)".to_owned()
        }
        ("runs", "rows_forgotten") => "CASE WHEN attempted_before > 0 OR EXISTS (SELECT 1 FROM receipts AS r WHERE r.run_id = runs.id AND r.kind IS NULL) \
             THEN 1 ELSE rows_forgotten END"
            .to_owned(),
        _ => format!("\"{column}\""),
    }
}

fn cells(row: &SqliteRow) -> Result<Vec<Cell>, StoreError> {
    (0..row.len())
        .map(|place| {
            let value = row.try_get_raw(place)?;
            if value.is_null() {
                return Ok(Cell::Null);
            }
            let kind = value.type_info().name().to_owned();
            Ok(match kind.as_str() {
                "TEXT" => Cell::Text(row.try_get_unchecked(place)?),
                "BLOB" => Cell::Bytes(row.try_get_unchecked(place)?),
                "INTEGER" | "BOOLEAN" => Cell::Integer(row.try_get_unchecked(place)?),
                other => return Err(StoreError::Corrupt(format!("a value of the type {other}"))),
            })
        })
        .collect()
}

#[async_trait]
impl TransferStore for SqliteStore {
    async fn tables(&self) -> Result<Vec<Table>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        Ok(found(&mut connection).await?.into_iter().map(|found| found.table).collect())
    }

    async fn export(&self, to: Sender<Piece>) -> Result<(), StoreError> {
        // One transaction sees one state, whatever is written beside it.
        let mut transaction = self.readers.begin().await?;
        for (table, found) in found(&mut transaction).await?.iter().enumerate() {
            let query = AssertSqlSafe(select(found));
            let mut stream = sqlx::query(query).fetch(&mut *transaction);
            let mut rows = Vec::new();
            while let Some(row) = stream.try_next().await? {
                rows.push(cells(&row)?);
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
        // Parents come first as it is; this is for what refers to its own table.
        sqlx::query("PRAGMA defer_foreign_keys = ON").execute(&mut *transaction).await?;
        let tables = found(&mut transaction).await?;
        check_empty(&mut transaction, &tables).await?;
        loop {
            match from.recv().await {
                Some(Piece::Rows { table, rows }) => {
                    let found = tables.get(table).ok_or_else(broken_off)?;
                    insert(&mut transaction, &found.table, rows).await?;
                }
                Some(Piece::End) => return transaction.commit().await,
                None => return Err(broken_off()),
            }
        }
    }
}

async fn check_empty(connection: &mut SqliteConnection, tables: &[Found]) -> Result<(), StoreError> {
    let mut filled = Vec::new();
    for Found { table: Table { name, .. }, .. } in tables.iter().filter(|found| found.table.name != ORG_NUMBERS) {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM \"{name}\""));
        let rows: i64 = sqlx::query_scalar(count).fetch_one(&mut *connection).await?;
        if rows > 0 {
            filled.push(format!("{name}: {rows}"));
        }
    }
    if filled.is_empty() { Ok(()) } else { Err(not_empty(&filled)) }
}

async fn insert(connection: &mut SqliteConnection, table: &Table, rows: Vec<Vec<Cell>>) -> Result<(), StoreError> {
    if table.name == ORG_NUMBERS {
        for cell in rows.into_iter().flatten() {
            let Cell::Integer(last) = cell else { return Err(broken_off()) };
            sqlx::query("DELETE FROM sqlite_sequence WHERE name = 'orgs'").execute(&mut *connection).await?;
            if last > 0 {
                let put = sqlx::query("INSERT INTO sqlite_sequence (name, seq) VALUES ('orgs', ?1)").bind(last);
                put.execute(&mut *connection).await?;
            }
        }
        return Ok(());
    }
    let values = vec!["?"; table.columns.len()].join(", ");
    let query = format!("INSERT INTO \"{}\" ({}) VALUES ({values})", table.name, listed(&table.columns));
    for row in rows {
        let bound = row.into_iter().fold(sqlx::query(AssertSqlSafe(query.clone())), |query, cell| match cell {
            Cell::Null => query.bind(None::<i64>),
            Cell::Integer(number) => query.bind(number),
            Cell::Text(text) => query.bind(text),
            Cell::Bytes(bytes) => query.bind(bytes),
        });
        bound.execute(&mut *connection).await?;
    }
    Ok(())
}
