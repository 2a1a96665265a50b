//! Receipts: bitmaps of what is known of each row, and rows for what did not get through.

use super::micros;
use crate::receipt::{Progress, Receipt};
use crate::store::chunks::{self, Chunks, Merged};
use crate::store::{RunState, StoreError, records};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use sqlx::SqliteConnection;
use std::collections::BTreeSet;
use std::ops::Range;

const LOAD_CHUNKS: &str = "
    SELECT * FROM progress WHERE run_id = ?1 AND chunk IN (SELECT value FROM json_each(?2))";

const PUT_CHUNK: &str = "
    INSERT INTO progress (run_id, chunk, acknowledged, refused, unknown, attempting) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (run_id, chunk) DO UPDATE SET acknowledged = excluded.acknowledged, refused = excluded.refused,
        unknown = excluded.unknown, attempting = excluded.attempting";

// "WHERE true" keeps SQLite from reading ON CONFLICT as a join condition.
const PUT_FAILURES: &str = "
    INSERT INTO receipts (run_id, seq, outcome, status, attempts, detail, at, key, kind)
    SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
    FROM json_each(?2) WHERE true
    ON CONFLICT (run_id, seq) DO UPDATE SET outcome = excluded.outcome, status = excluded.status,
        attempts = excluded.attempts, detail = excluded.detail, at = excluded.at, key = excluded.key, kind = excluded.kind";

const DROP_FAILURES: &str = "
    DELETE FROM receipts WHERE run_id = ?1 AND seq IN (SELECT value FROM json_each(?2))";

const COUNT_REFUSALS: &str = "
    INSERT INTO refusals (job, webhook_id, key, count, status, detail, first_at, last_at, run_id)
    SELECT ?2, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, ?1
    FROM json_each(?3) WHERE true
    ON CONFLICT (job, webhook_id) DO UPDATE SET count = count + excluded.count, status = excluded.status, detail = excluded.detail,
        last_at = excluded.last_at, run_id = excluded.run_id";

/// Grants and receipts, all in `transaction`.
pub(super) async fn commit(
    transaction: &mut SqliteConnection,
    run: &str,
    attempting: &[Range<u64>],
    receipts: &[Receipt],
) -> Result<(), StoreError> {
    let job: Option<String> =
        sqlx::query_scalar("SELECT job FROM runs WHERE id = ?1").bind(run).fetch_optional(&mut *transaction).await?;
    let Some(job) = job else { return Err(StoreError::UnknownRun(run.to_owned())) };
    let stored = load_chunks(transaction, run, &chunks::touched(attempting, receipts)).await?;
    write(transaction, run, &job, chunks::merge(stored, attempting, receipts)).await
}

async fn load_chunks(
    connection: &mut SqliteConnection,
    run: &str,
    touched: &BTreeSet<u32>,
) -> Result<Chunks, StoreError> {
    if touched.is_empty() {
        return Ok(Chunks::new());
    }
    let touched = json!(touched).to_string();
    let rows = sqlx::query(LOAD_CHUNKS).bind(run).bind(touched).fetch_all(connection).await?;
    rows.iter().map(chunks::chunk).collect()
}

async fn write(connection: &mut SqliteConnection, run: &str, job: &str, merged: Merged<'_>) -> Result<(), StoreError> {
    let Merged { chunks, mended, failures, refusals } = merged;
    put_chunks(connection, run, chunks).await?;
    if !mended.is_empty() {
        sqlx::query(DROP_FAILURES).bind(run).bind(json!(mended).to_string()).execute(&mut *connection).await?;
    }
    let failures: Value = failures
        .iter()
        .map(|(seq, row)| {
            let (outcome, kind) = (records::outcome_text(row.outcome), records::failure_kind_text(row.kind));
            json!([seq, outcome, row.status, row.attempts, row.detail, micros(row.at), row.key, kind])
        })
        .collect();
    if failures != json!([]) {
        sqlx::query(PUT_FAILURES).bind(run).bind(failures.to_string()).execute(&mut *connection).await?;
    }
    let refusals: Value = refusals
        .iter()
        .map(|(id, row)| {
            json!([id, row.key, row.count, row.status, row.detail, micros(row.first_at), micros(row.last_at)])
        })
        .collect();
    if refusals != json!([]) {
        sqlx::query(COUNT_REFUSALS).bind(run).bind(job).bind(refusals.to_string()).execute(connection).await?;
    }
    Ok(())
}

async fn put_chunks(connection: &mut SqliteConnection, run: &str, chunks: Chunks) -> Result<(), StoreError> {
    for (chunk, mut progress) in chunks {
        sqlx::query(PUT_CHUNK)
            .bind(run)
            .bind(chunk)
            .bind(chunks::bytes(&mut progress.acknowledged))
            .bind(chunks::bytes(&mut progress.refused))
            .bind(chunks::bytes(&mut progress.unknown))
            .bind(chunks::bytes(&mut progress.attempting))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// What may be in flight has not left.
pub(super) async fn release(transaction: &mut SqliteConnection, run: &str) -> Result<(), StoreError> {
    let clear = "UPDATE progress SET attempting = NULL WHERE run_id = ?1 AND attempting IS NOT NULL";
    sqlx::query(clear).bind(run).execute(&mut *transaction).await?;
    Ok(())
}

/// What may be in flight may have been applied.
pub(super) async fn cut_off(transaction: &mut SqliteConnection, run: &str) -> Result<(), StoreError> {
    let query = "SELECT * FROM progress WHERE run_id = ?1 AND attempting IS NOT NULL";
    let rows = sqlx::query(query).bind(run).fetch_all(&mut *transaction).await?;
    let mut chunks: Chunks = rows.iter().map(chunks::chunk).collect::<Result<_, _>>()?;
    chunks.values_mut().for_each(Progress::cut_off);
    put_chunks(transaction, run, chunks).await
}

/// Everything that is known of a run's rows.
pub(super) async fn load(connection: &mut SqliteConnection, run: &str) -> Result<Progress, StoreError> {
    let query = "SELECT state, attempted_before, rows_forgotten FROM runs WHERE id = ?1";
    let found: Option<(String, i64, bool)> = sqlx::query_as(query).bind(run).fetch_optional(&mut *connection).await?;
    let Some((state, mark, forgotten)) = found else { return Ok(Progress::forgotten()) };
    let mut progress = Progress { forgotten, ..Progress::default() };
    // Before there were bitmaps: a mark below which rows may have left, and one receipt for each row that had its word.
    if !matches!(records::run_state(&state)?, RunState::Finished | RunState::Held) {
        progress.attempt(0..u64::try_from(mark).unwrap_or(0));
    }
    let old = "SELECT seq, outcome FROM receipts WHERE run_id = ?1 AND kind IS NULL";
    let mut rows = sqlx::query_as::<_, (i64, String)>(old).bind(run).fetch(&mut *connection);
    while let Some((seq, outcome)) = rows.try_next().await? {
        let seq = u64::try_from(seq).map_err(|_| StoreError::Corrupt(format!("the row number {seq}")))?;
        progress.receive(seq, records::outcome(&outcome)?);
    }
    drop(rows);
    let mut chunks = sqlx::query("SELECT * FROM progress WHERE run_id = ?1").bind(run).fetch(connection);
    while let Some(row) = chunks.try_next().await? {
        chunks::add(&mut progress, chunks::chunk(&row)?.1);
    }
    Ok(progress)
}
