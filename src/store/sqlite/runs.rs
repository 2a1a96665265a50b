//! Runs and their steps.

use super::{SqliteStore, micros, progress};
use crate::receipt::{Progress, Receipt};
use crate::store::{FailedReceipt, Past, RunEvent, RunRecord, RunStore, StoreError, records};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::SqliteConnection;
use std::ops::Range;

const PUT_RUN: &str = "
    INSERT INTO runs (id, job, state, started_at, finished_at, counts, reason, report, kind)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, job = excluded.job, state = excluded.state, started_at = excluded.started_at,
        finished_at = excluded.finished_at, counts = excluded.counts, reason = excluded.reason, report = excluded.report";

/// Runs of a job that are at their end and not excepted.
macro_rules! past {
    () => {
        "job = ?1 AND state IN ('finished', 'superseded', 'discarded', 'failed') AND id NOT IN (SELECT value FROM json_each(?2))"
    };
}

/// Those of them that are not among the newest.
macro_rules! older {
    () => {
        concat!(
            past!(),
            " AND id NOT IN (SELECT id FROM runs WHERE job = ?1 ORDER BY started_at DESC, id DESC LIMIT ?3)"
        )
    };
}

// Of two steps into the same state the second is none.
const PUT_EVENT: &str = "
    INSERT INTO run_events (run_id, number, at, state, reason)
    SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4 FROM run_events WHERE run_id = ?1
    HAVING ?3 IS NOT (SELECT state FROM run_events WHERE run_id = ?1 ORDER BY number DESC LIMIT 1)";

const OPEN_RUNS: &str = "
    SELECT * FROM runs WHERE job = ?1 AND kind = 'run' AND state IN ('extracting', 'diffed', 'held', 'published', 'delivering', 'running')
    ORDER BY started_at, id";

const OPEN_BACKFILL: &str = "
    SELECT * FROM runs WHERE job = ?1 AND kind = 'backfill' AND state IN ('extracting', 'diffed', 'held', 'published', 'delivering')
        AND id <> ?2
    ORDER BY started_at DESC, id DESC LIMIT 1";

const FORGET_RUNS: &str = concat!("DELETE FROM runs WHERE started_at < ?3 AND ", past!());

const FORGET_PROGRESS: &str =
    concat!("DELETE FROM progress WHERE run_id IN (SELECT id FROM runs WHERE ", older!(), ")");

const FORGET_RECEIPTS: &str =
    concat!("DELETE FROM receipts WHERE run_id IN (SELECT id FROM runs WHERE ", older!(), ")");

const NOTE_FORGOTTEN: &str = concat!("UPDATE runs SET rows_forgotten = 1 WHERE rows_forgotten = 0 AND ", older!());

#[async_trait]
impl RunStore for SqliteStore {
    async fn put_run(&self, run: &RunRecord, at: DateTime<Utc>) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        put(&mut transaction, run, at).await?;
        transaction.commit().await
    }

    async fn end_delivery(&self, run: &RunRecord, at: DateTime<Utc>) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        put(&mut transaction, run, at).await?;
        progress::release(&mut transaction, &run.id).await?;
        transaction.commit().await
    }

    async fn begin_backfill(&self, backfill: &RunRecord, at: DateTime<Utc>) -> Result<Option<RunRecord>, StoreError> {
        // It has the write lock from its beginning: nobody puts another meanwhile.
        let mut transaction = self.begin().await?;
        let open = sqlx::query(OPEN_BACKFILL).bind(&backfill.job).bind(&backfill.id);
        if let Some(open) = open.fetch_optional(&mut *transaction).await? {
            transaction.undo().await?;
            return records::run(&open).map(Some);
        }
        put(&mut transaction, backfill, at).await?;
        transaction.commit().await?;
        Ok(None)
    }

    async fn runs(&self, job: Option<&str>, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        let query = match job {
            Some(job) => sqlx::query(
                "SELECT * FROM runs WHERE kind = 'run' AND job = ?2 ORDER BY started_at DESC, id DESC LIMIT ?1",
            )
            .bind(limit)
            .bind(job),
            None => sqlx::query("SELECT * FROM runs WHERE kind = 'run' ORDER BY started_at DESC, id DESC LIMIT ?1")
                .bind(limit),
        };
        query.fetch_all(&self.readers).await?.iter().map(records::run).collect()
    }

    async fn open_runs(&self, job: &str) -> Result<Vec<RunRecord>, StoreError> {
        sqlx::query(OPEN_RUNS).bind(job).fetch_all(&self.readers).await?.iter().map(records::run).collect()
    }

    async fn backfills(&self, job: Option<&str>, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        let query = "SELECT * FROM runs WHERE kind = 'backfill' AND (?1 IS NULL OR job = ?1) ORDER BY started_at DESC, id DESC LIMIT ?2";
        let rows = sqlx::query(query).bind(job).bind(limit).fetch_all(&self.readers).await?;
        rows.iter().map(records::run).collect()
    }

    async fn open_backfill(&self, job: &str) -> Result<Option<RunRecord>, StoreError> {
        let row = sqlx::query(OPEN_BACKFILL).bind(job).bind("").fetch_optional(&self.readers).await?;
        row.as_ref().map(records::run).transpose()
    }

    async fn run(&self, id: &str) -> Result<Option<RunRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM runs WHERE id = ?1").bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(records::run).transpose()
    }

    async fn events(&self, run: &str) -> Result<Vec<RunEvent>, StoreError> {
        let query = sqlx::query("SELECT * FROM run_events WHERE run_id = ?1 ORDER BY number").bind(run);
        query.fetch_all(&self.readers).await?.iter().map(records::event).collect()
    }

    async fn commit(&self, run: &str, attempting: &[Range<u64>], receipts: &[Receipt]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        progress::commit(&mut transaction, run, attempting, receipts).await?;
        transaction.commit().await
    }

    async fn cut_off(&self, run: &str) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        progress::cut_off(&mut transaction, run).await?;
        transaction.commit().await
    }

    async fn progress(&self, run: &str) -> Result<Progress, StoreError> {
        // One transaction: state, bitmaps and old receipts are of the same moment.
        let mut transaction = self.readers.begin().await?;
        progress::load(&mut transaction, run).await
    }

    async fn forget_runs(&self, job: &str, past: &Past<'_>) -> Result<(), StoreError> {
        let except = json!(past.except).to_string();
        let mut transaction = self.begin().await?;
        // Their rows go with them.
        sqlx::query(FORGET_RUNS).bind(job).bind(&except).bind(micros(past.before)).execute(&mut *transaction).await?;
        for query in [FORGET_PROGRESS, FORGET_RECEIPTS, NOTE_FORGOTTEN] {
            sqlx::query(query).bind(job).bind(&except).bind(past.rows_of).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    async fn failures(&self, run: &str, limit: u32) -> Result<Vec<FailedReceipt>, StoreError> {
        let query = "SELECT * FROM receipts WHERE run_id = ?1 AND outcome <> 'acknowledged' ORDER BY seq LIMIT ?2";
        let rows = sqlx::query(query).bind(run).bind(limit).fetch_all(&self.readers).await?;
        rows.iter().map(records::failure).collect()
    }
}

async fn put(transaction: &mut SqliteConnection, run: &RunRecord, at: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query(PUT_RUN)
        .bind(&run.id)
        .bind(&run.job)
        .bind(run.state.as_str())
        .bind(micros(run.started_at))
        .bind(run.finished_at.map(micros))
        .bind(json!(run.counts).to_string())
        .bind(&run.reason)
        .bind(run.report.as_ref().map(Value::to_string))
        .bind(run.kind.as_str())
        .execute(&mut *transaction)
        .await?;
    sqlx::query(PUT_EVENT)
        .bind(&run.id)
        .bind(micros(at))
        .bind(run.state.as_str())
        .bind(&run.reason)
        .execute(&mut *transaction)
        .await?;
    Ok(())
}
