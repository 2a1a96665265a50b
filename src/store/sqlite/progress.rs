//! Receipts: bitmaps of what is known of each row, and rows for what did not get through.

use super::micros;
use super::runs::{kind_text, outcome_text, parse_outcome, parse_state};
use crate::receipt::{FailureKind, Outcome, Progress, Receipt};
use crate::store::{RunState, StoreError};
use futures_util::TryStreamExt;
use roaring::RoaringBitmap;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, SqliteConnection, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A chunk is what one container of a Roaring bitmap holds: at most 8 KiB, a few bytes if all its rows are alike.
const CHUNK_BITS: u32 = 16;

const LOAD_CHUNK: &str = "SELECT * FROM progress WHERE run_id = ?1 AND chunk = ?2";

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
    SELECT ?2, value ->> 0, value ->> 1, 1, value ->> 2, value ->> 3, value ->> 4, value ->> 4, ?1
    FROM json_each(?3) WHERE true
    ON CONFLICT (job, webhook_id) DO UPDATE SET count = count + 1, status = excluded.status, detail = excluded.detail,
        last_at = excluded.last_at, run_id = excluded.run_id";

/// Grants and receipts, all in `transaction`.
pub(super) async fn commit(
    transaction: &mut Transaction<'_, Sqlite>,
    run: &str,
    attempting: &[Range<u64>],
    receipts: &[Receipt],
) -> Result<(), StoreError> {
    let job: Option<String> =
        sqlx::query_scalar("SELECT job FROM runs WHERE id = ?1").bind(run).fetch_optional(&mut **transaction).await?;
    let Some(job) = job else { return Err(StoreError::UnknownRun(run.to_owned())) };
    let mut chunks = Chunks { run, loaded: BTreeMap::new() };
    for rows in attempting {
        chunks.attempt(transaction, rows.clone()).await?;
    }
    // What was told of a row that is acknowledged now is no longer true.
    let (mut mended, mut doubtful) = (Vec::new(), BTreeSet::new());
    for receipt in receipts {
        let progress = chunks.of(transaction, receipt.seq).await?;
        let seq = u32::try_from(receipt.seq).unwrap_or(u32::MAX);
        if progress.refused.contains(seq) || progress.unknown.contains(seq) {
            mended.push(receipt.seq);
        }
        progress.receive(receipt.seq, receipt.outcome);
        if receipt.outcome == Outcome::Refused && progress.unknown.contains(seq) {
            doubtful.insert(receipt.seq);
        }
    }
    chunks.store(transaction).await?;
    if !mended.is_empty() {
        let mended = json!(mended).to_string();
        sqlx::query(DROP_FAILURES).bind(run).bind(mended).execute(&mut **transaction).await?;
    }
    put_failures(transaction, run, &job, receipts, &doubtful).await
}

/// `doubtful`: rows whose refusal says nothing about an earlier attempt, which may have been applied.
async fn put_failures(
    transaction: &mut Transaction<'_, Sqlite>,
    run: &str,
    job: &str,
    receipts: &[Receipt],
    doubtful: &BTreeSet<u64>,
) -> Result<(), StoreError> {
    let failures: Vec<Value> =
        receipts.iter().filter_map(|receipt| failure_row(receipt, doubtful.contains(&receipt.seq))).collect();
    if failures.is_empty() {
        return Ok(());
    }
    let failures = Value::Array(failures).to_string();
    sqlx::query(PUT_FAILURES).bind(run).bind(failures).execute(&mut **transaction).await?;
    let refusals: Vec<Value> = receipts.iter().filter_map(refusal_row).collect();
    if !refusals.is_empty() {
        let refusals = Value::Array(refusals).to_string();
        sqlx::query(COUNT_REFUSALS).bind(run).bind(job).bind(refusals).execute(&mut **transaction).await?;
    }
    Ok(())
}

fn failure_row(receipt: &Receipt, is_doubtful: bool) -> Option<Value> {
    let failure = receipt.failure.as_ref()?;
    let told = (receipt.outcome, failure.kind);
    let (outcome, kind) = if is_doubtful { (Outcome::Unknown, FailureKind::Unknown) } else { told };
    Some(json!([
        receipt.seq,
        outcome_text(outcome),
        receipt.status,
        receipt.attempts,
        receipt.detail,
        micros(receipt.at),
        failure.key,
        kind_text(kind)
    ]))
}

fn refusal_row(receipt: &Receipt) -> Option<Value> {
    let failure = receipt.failure.as_ref().filter(|failure| failure.kind == FailureKind::Refused)?;
    Some(json!([failure.webhook_id, failure.key, receipt.status, receipt.detail, micros(receipt.at)]))
}

/// What may be in flight has not left.
pub(super) async fn release(transaction: &mut Transaction<'_, Sqlite>, run: &str) -> Result<(), StoreError> {
    let clear = "UPDATE progress SET attempting = NULL WHERE run_id = ?1 AND attempting IS NOT NULL";
    sqlx::query(clear).bind(run).execute(&mut **transaction).await?;
    Ok(())
}

/// What may be in flight may have been applied.
pub(super) async fn cut_off(transaction: &mut Transaction<'_, Sqlite>, run: &str) -> Result<(), StoreError> {
    let query = "SELECT * FROM progress WHERE run_id = ?1 AND attempting IS NOT NULL";
    let rows = sqlx::query(query).bind(run).fetch_all(&mut **transaction).await?;
    let mut chunks = Chunks { run, loaded: BTreeMap::new() };
    for row in rows {
        let mut progress = parse(&row)?;
        progress.cut_off();
        chunks.loaded.insert(number(&row)?, progress);
    }
    chunks.store(transaction).await
}

/// Everything that is known of a run's rows.
pub(super) async fn load(connection: &mut SqliteConnection, run: &str) -> Result<Progress, StoreError> {
    let query = "SELECT state, attempted_before, rows_forgotten FROM runs WHERE id = ?1";
    let found: Option<(String, i64, bool)> = sqlx::query_as(query).bind(run).fetch_optional(&mut *connection).await?;
    let Some((state, mark, forgotten)) = found else { return Ok(Progress::forgotten()) };
    let mut progress = Progress { forgotten, ..Progress::default() };
    // Before there were bitmaps: a mark below which rows may have left, and one receipt for each row that had its word.
    if !matches!(parse_state(&state)?, RunState::Finished | RunState::Held) {
        progress.attempt(0..u64::try_from(mark).unwrap_or(0));
    }
    let old = "SELECT seq, outcome FROM receipts WHERE run_id = ?1 AND kind IS NULL";
    let mut rows = sqlx::query_as::<_, (i64, String)>(old).bind(run).fetch(&mut *connection);
    while let Some((seq, outcome)) = rows.try_next().await? {
        let seq = u64::try_from(seq).map_err(|_| StoreError::Corrupt(format!("the row number {seq}")))?;
        progress.receive(seq, parse_outcome(&outcome)?);
    }
    drop(rows);
    let mut chunks = sqlx::query("SELECT * FROM progress WHERE run_id = ?1").bind(run).fetch(connection);
    while let Some(row) = chunks.try_next().await? {
        let chunk = parse(&row)?;
        progress.acknowledged |= chunk.acknowledged;
        progress.refused |= chunk.refused;
        progress.unknown |= chunk.unknown;
        progress.attempting |= chunk.attempting;
    }
    Ok(progress)
}

/// The chunks that a write touches.
struct Chunks<'a> {
    run: &'a str,
    loaded: BTreeMap<u32, Progress>,
}

impl Chunks<'_> {
    /// The chunk of a row.
    async fn of(&mut self, connection: &mut SqliteConnection, seq: u64) -> Result<&mut Progress, StoreError> {
        let chunk = u32::try_from(seq).unwrap_or(u32::MAX) >> CHUNK_BITS;
        if !self.loaded.contains_key(&chunk) {
            let row = sqlx::query(LOAD_CHUNK).bind(self.run).bind(chunk).fetch_optional(connection).await?;
            self.loaded.insert(chunk, row.as_ref().map(parse).transpose()?.unwrap_or_default());
        }
        Ok(self.loaded.entry(chunk).or_default())
    }

    async fn attempt(&mut self, connection: &mut SqliteConnection, rows: Range<u64>) -> Result<(), StoreError> {
        let mut start = rows.start;
        while start < rows.end {
            let end = ((start >> CHUNK_BITS) + 1) << CHUNK_BITS;
            let end = end.min(rows.end);
            self.of(connection, start).await?.attempt(start..end);
            start = end;
        }
        Ok(())
    }

    async fn store(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        for (chunk, progress) in &mut self.loaded {
            let Progress { acknowledged, refused, unknown, attempting, .. } = progress;
            sqlx::query(PUT_CHUNK)
                .bind(self.run)
                .bind(*chunk)
                .bind(bytes(acknowledged))
                .bind(bytes(refused))
                .bind(bytes(unknown))
                .bind(bytes(attempting))
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

fn number(row: &SqliteRow) -> Result<u32, StoreError> {
    Ok(row.try_get("chunk")?)
}

fn parse(row: &SqliteRow) -> Result<Progress, StoreError> {
    let set = |column: &str| match row.try_get::<Option<&[u8]>, _>(column)? {
        None => Ok(RoaringBitmap::new()),
        Some(bytes) => RoaringBitmap::deserialize_from(bytes)
            .map_err(|error| StoreError::Corrupt(format!("the `{column}` rows of a run: {error}"))),
    };
    Ok(Progress {
        forgotten: false,
        acknowledged: set("acknowledged")?,
        refused: set("refused")?,
        unknown: set("unknown")?,
        attempting: set("attempting")?,
    })
}

/// As it is stored; `None` for an empty one.
fn bytes(set: &mut RoaringBitmap) -> Option<Vec<u8>> {
    set.optimize();
    let mut bytes = Vec::with_capacity(set.serialized_size());
    // Writing to memory does not fail.
    let written = set.serialize_into(&mut bytes).is_ok();
    (written && !set.is_empty()).then_some(bytes)
}
