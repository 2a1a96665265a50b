//! Receipts: bitmaps of what is known of each row, and rows for what did not get through. Whoever changes what is known of a
//! run's rows holds the lock of its record.

use super::columns::Moment;
use super::shown;
use crate::receipt::{Progress, Receipt};
use crate::store::chunks::{self, Chunks, FailureRow, Merged, RefusalRow};
use crate::store::{StoreError, records};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use std::ops::Range;

const LOCK: &str = "SELECT job FROM runs WHERE id = $1 FOR UPDATE";

const PUT_CHUNKS: &str = "
    INSERT INTO progress (run_id, chunk, acknowledged, refused, unknown, attempting)
    SELECT $1, * FROM unnest($2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[])
    ON CONFLICT (run_id, chunk) DO UPDATE SET acknowledged = excluded.acknowledged, refused = excluded.refused,
        unknown = excluded.unknown, attempting = excluded.attempting";

const PUT_FAILURES: &str = "
    INSERT INTO receipts (run_id, seq, outcome, status, attempts, detail, at, key, kind)
    SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::timestamptz[],
        $8::text[], $9::text[])
    ON CONFLICT (run_id, seq) DO UPDATE SET outcome = excluded.outcome, status = excluded.status,
        attempts = excluded.attempts, detail = excluded.detail, at = excluded.at, key = excluded.key, kind = excluded.kind";

// In the order of their ids: jobs may share none of them, and two runs of a job take them in the same order.
const COUNT_REFUSALS: &str = "
    INSERT INTO refusals (run_id, job, webhook_id, key, count, status, detail, first_at, last_at)
    SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::timestamptz[],
        $9::timestamptz[])
    ON CONFLICT (job, webhook_id) DO UPDATE SET count = refusals.count + excluded.count, status = excluded.status,
        detail = excluded.detail, last_at = excluded.last_at, run_id = excluded.run_id";

/// Grants and receipts, all in the connection's transaction.
pub(super) async fn commit(
    connection: &mut PgConnection,
    run: &str,
    attempting: &[Range<u64>],
    receipts: &[Receipt],
) -> Result<(), StoreError> {
    let job: Option<String> = sqlx::query_scalar(LOCK).bind(run).fetch_optional(&mut *connection).await?;
    let Some(job) = job else { return Err(StoreError::UnknownRun(run.to_owned())) };
    let touched: Vec<i64> = chunks::touched(attempting, receipts).into_iter().map(i64::from).collect();
    let load = "SELECT * FROM progress WHERE run_id = $1 AND chunk = ANY($2)";
    let rows = sqlx::query(load).bind(run).bind(touched).fetch_all(&mut *connection).await?;
    let stored = rows.iter().map(chunks::chunk).collect::<Result<Chunks, _>>()?;
    let Merged { chunks, mended, failures, refusals } = chunks::merge(stored, attempting, receipts);
    put_chunks(connection, run, chunks).await?;
    if !mended.is_empty() {
        let drop = "DELETE FROM receipts WHERE run_id = $1 AND seq = ANY($2)";
        sqlx::query(drop).bind(run).bind(mended).execute(&mut *connection).await?;
    }
    put_failures(connection, run, &failures).await?;
    count_refusals(connection, run, &job, &refusals).await
}

async fn put_chunks(connection: &mut PgConnection, run: &str, mut chunks: Chunks) -> Result<(), StoreError> {
    if chunks.is_empty() {
        return Ok(());
    }
    let mut sets = |of: fn(&mut Progress) -> &mut roaring::RoaringBitmap| {
        chunks.values_mut().map(|progress| chunks::bytes(of(progress))).collect::<Vec<_>>()
    };
    let (acknowledged, refused) = (sets(|chunk| &mut chunk.acknowledged), sets(|chunk| &mut chunk.refused));
    let (unknown, attempting) = (sets(|chunk| &mut chunk.unknown), sets(|chunk| &mut chunk.attempting));
    sqlx::query(PUT_CHUNKS)
        .bind(run)
        .bind(chunks.keys().copied().map(i64::from).collect::<Vec<_>>())
        .bind(acknowledged)
        .bind(refused)
        .bind(unknown)
        .bind(attempting)
        .execute(connection)
        .await?;
    Ok(())
}

async fn put_failures(
    connection: &mut PgConnection,
    run: &str,
    failures: &BTreeMap<i64, FailureRow<'_>>,
) -> Result<(), StoreError> {
    if failures.is_empty() {
        return Ok(());
    }
    let rows = || failures.values();
    sqlx::query(PUT_FAILURES)
        .bind(run)
        .bind(failures.keys().copied().collect::<Vec<_>>())
        .bind(rows().map(|row| records::outcome_text(row.outcome)).collect::<Vec<_>>())
        .bind(rows().map(|row| row.status).collect::<Vec<_>>())
        .bind(rows().map(|row| row.attempts).collect::<Vec<_>>())
        .bind(rows().map(|row| row.detail.map(shown)).collect::<Vec<_>>())
        .bind(rows().map(|row| Moment(row.at)).collect::<Vec<_>>())
        .bind(rows().map(|row| shown(row.key)).collect::<Vec<_>>())
        .bind(rows().map(|row| records::failure_kind_text(row.kind)).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

async fn count_refusals(
    connection: &mut PgConnection,
    run: &str,
    job: &str,
    refusals: &BTreeMap<&str, RefusalRow<'_>>,
) -> Result<(), StoreError> {
    if refusals.is_empty() {
        return Ok(());
    }
    let rows = || refusals.values();
    sqlx::query(COUNT_REFUSALS)
        .bind(run)
        .bind(job)
        .bind(refusals.keys().copied().collect::<Vec<_>>())
        .bind(rows().map(|row| shown(row.key)).collect::<Vec<_>>())
        .bind(rows().map(|row| row.count).collect::<Vec<_>>())
        .bind(rows().map(|row| row.status).collect::<Vec<_>>())
        .bind(rows().map(|row| row.detail.map(shown)).collect::<Vec<_>>())
        .bind(rows().map(|row| Moment(row.first_at)).collect::<Vec<_>>())
        .bind(rows().map(|row| Moment(row.last_at)).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// What may be in flight has not left.
pub(super) async fn release(connection: &mut PgConnection, run: &str) -> Result<(), StoreError> {
    let clear = "UPDATE progress SET attempting = NULL WHERE run_id = $1 AND attempting IS NOT NULL";
    sqlx::query(clear).bind(run).execute(connection).await?;
    Ok(())
}

/// What may be in flight may have been applied.
pub(super) async fn cut_off(connection: &mut PgConnection, run: &str) -> Result<(), StoreError> {
    sqlx::query(LOCK).bind(run).execute(&mut *connection).await?;
    let query = "SELECT * FROM progress WHERE run_id = $1 AND attempting IS NOT NULL";
    let rows = sqlx::query(query).bind(run).fetch_all(&mut *connection).await?;
    let mut chunks = rows.iter().map(chunks::chunk).collect::<Result<Chunks, _>>()?;
    chunks.values_mut().for_each(Progress::cut_off);
    put_chunks(connection, run, chunks).await
}

/// The same of some of its rows, in a run whose others go on.
pub(super) async fn cut_off_in(connection: &mut PgConnection, run: &str, of: Range<u64>) -> Result<(), StoreError> {
    sqlx::query(LOCK).bind(run).execute(&mut *connection).await?;
    let touched: Vec<i64> = chunks::touched(std::slice::from_ref(&of), &[]).into_iter().map(i64::from).collect();
    let query = "SELECT * FROM progress WHERE run_id = $1 AND chunk = ANY($2) AND attempting IS NOT NULL";
    let rows = sqlx::query(query).bind(run).bind(touched).fetch_all(&mut *connection).await?;
    let mut chunks = rows.iter().map(chunks::chunk).collect::<Result<Chunks, _>>()?;
    chunks.values_mut().for_each(|chunk| chunk.cut_off_in(of.clone()));
    put_chunks(connection, run, chunks).await
}

/// Everything that is known of a run's rows.
pub(super) async fn load(connection: &mut PgConnection, run: &str) -> Result<Progress, StoreError> {
    let query = "SELECT rows_forgotten FROM runs WHERE id = $1";
    let found: Option<bool> = sqlx::query_scalar(query).bind(run).fetch_optional(&mut *connection).await?;
    let Some(forgotten) = found else { return Ok(Progress::forgotten()) };
    let mut progress = Progress { forgotten, ..Progress::default() };
    let query = "SELECT * FROM progress WHERE run_id = $1";
    for row in sqlx::query(query).bind(run).fetch_all(connection).await? {
        chunks::add(&mut progress, chunks::chunk(&row)?.1);
    }
    Ok(progress)
}
