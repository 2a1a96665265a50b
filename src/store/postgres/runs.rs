//! Runs and their steps. A write of a run begins by writing or locking its row, so that writes of one run come one after the
//! other, whichever process makes them.

use super::columns::Moment;
use super::{PostgresStore, progress, retried, shown};
use crate::receipt::{Progress, Receipt};
use crate::store::{FailedReceipt, Past, RunEvent, RunRecord, RunStore, StoreError, records};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::ops::Range;

const PUT_RUN: &str = "
    INSERT INTO runs (id, job, state, started_at, finished_at, counts, reason, report, kind)
    VALUES ($1, $2, $3, $4, $5, $6::text::json, $7, $8::text::json, $9)
    ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, job = excluded.job, state = excluded.state, started_at = excluded.started_at,
        finished_at = excluded.finished_at, counts = excluded.counts, reason = excluded.reason, report = excluded.report";

/// Runs of a job that are at their end and not excepted.
macro_rules! past {
    () => {
        "job = $1 AND state IN ('finished', 'superseded', 'discarded', 'failed') AND id <> ALL($2)"
    };
}

/// Those of them that are not among the newest.
macro_rules! older {
    () => {
        concat!(
            past!(),
            " AND id NOT IN (SELECT id FROM runs WHERE job = $1 ORDER BY started_at DESC, id DESC LIMIT $3)"
        )
    };
}

// Of two steps into the same state the second is none.
const PUT_EVENT: &str = "
    INSERT INTO run_events (run_id, number, at, state, reason)
    SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4 FROM run_events WHERE run_id = $1
    HAVING $3 IS DISTINCT FROM (SELECT state FROM run_events WHERE run_id = $1 ORDER BY number DESC LIMIT 1)";

const OPEN_RUNS: &str = "
    SELECT * FROM runs WHERE job = $1 AND kind = 'run' AND state IN ('extracting', 'diffed', 'held', 'published', 'delivering')
    ORDER BY started_at, id";

const OPEN_BACKFILL: &str = "
    SELECT * FROM runs WHERE job = $1 AND kind = 'backfill' AND state IN ('extracting', 'diffed', 'held', 'published', 'delivering')
        AND id <> $2
    ORDER BY started_at DESC, id DESC LIMIT 1";

/// Before a backfill is looked for and put: whoever comes later waits for that. Its statement must be of its own, so that the next one sees what
/// was put.
const BACKFILL_GATE: &str = "SELECT pg_advisory_xact_lock(hashtext('nightmark backfill'), hashtext($1))";

const FORGET_RUNS: &str = concat!("DELETE FROM runs WHERE started_at < $3 AND ", past!());

const FORGET_PROGRESS: &str =
    concat!("DELETE FROM progress WHERE run_id IN (SELECT id FROM runs WHERE ", older!(), ")");

const FORGET_RECEIPTS: &str =
    concat!("DELETE FROM receipts WHERE run_id IN (SELECT id FROM runs WHERE ", older!(), ")");

const NOTE_FORGOTTEN: &str = concat!("UPDATE runs SET rows_forgotten = true WHERE NOT rows_forgotten AND ", older!());

#[async_trait]
impl RunStore for PostgresStore {
    async fn put_run(&self, run: &RunRecord, at: DateTime<Utc>) -> Result<(), StoreError> {
        retried!(self, {
            let mut transaction = self.begin_fenced().await?;
            put(&mut transaction, run, at).await?;
            Ok(transaction.commit().await?)
        })
    }

    async fn end_delivery(&self, run: &RunRecord, at: DateTime<Utc>) -> Result<(), StoreError> {
        retried!(self, {
            let mut transaction = self.begin_fenced().await?;
            put(&mut transaction, run, at).await?;
            progress::release(&mut transaction, &run.id).await?;
            Ok(transaction.commit().await?)
        })
    }

    async fn begin_backfill(&self, backfill: &RunRecord, at: DateTime<Utc>) -> Result<Option<RunRecord>, StoreError> {
        retried!(self, {
            let mut transaction = self.begin_fenced().await?;
            sqlx::query(BACKFILL_GATE).bind(&backfill.job).execute(&mut *transaction).await?;
            let open = sqlx::query(OPEN_BACKFILL).bind(&backfill.job).bind(&backfill.id);
            if let Some(open) = open.fetch_optional(&mut *transaction).await? {
                return records::run(&open).map(Some);
            }
            put(&mut transaction, backfill, at).await?;
            transaction.commit().await?;
            Ok(None)
        })
    }

    async fn runs(&self, job: Option<&str>, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        let query = match job {
            Some(job) => sqlx::query(
                "SELECT * FROM runs WHERE kind = 'run' AND job = $2 ORDER BY started_at DESC, id DESC LIMIT $1",
            )
            .bind(i64::from(limit))
            .bind(job),
            None => sqlx::query("SELECT * FROM runs WHERE kind = 'run' ORDER BY started_at DESC, id DESC LIMIT $1")
                .bind(i64::from(limit)),
        };
        self.rows(query).await?.iter().map(records::run).collect()
    }

    async fn open_runs(&self, job: &str) -> Result<Vec<RunRecord>, StoreError> {
        self.rows(sqlx::query(OPEN_RUNS).bind(job)).await?.iter().map(records::run).collect()
    }

    async fn backfills(&self, job: Option<&str>, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        let query = "SELECT * FROM runs WHERE kind = 'backfill' AND ($1::text IS NULL OR job = $1) ORDER BY started_at DESC, id DESC LIMIT $2";
        self.rows(sqlx::query(query).bind(job).bind(i64::from(limit))).await?.iter().map(records::run).collect()
    }

    async fn open_backfill(&self, job: &str) -> Result<Option<RunRecord>, StoreError> {
        let row = self.row(sqlx::query(OPEN_BACKFILL).bind(job).bind("")).await?;
        row.as_ref().map(records::run).transpose()
    }

    async fn run(&self, id: &str) -> Result<Option<RunRecord>, StoreError> {
        let row = self.row(sqlx::query("SELECT * FROM runs WHERE id = $1").bind(id)).await?;
        row.as_ref().map(records::run).transpose()
    }

    async fn events(&self, run: &str) -> Result<Vec<RunEvent>, StoreError> {
        let query = sqlx::query("SELECT * FROM run_events WHERE run_id = $1 ORDER BY number").bind(run);
        self.rows(query).await?.iter().map(records::event).collect()
    }

    async fn commit(&self, run: &str, attempting: &[Range<u64>], receipts: &[Receipt]) -> Result<(), StoreError> {
        retried!(self, {
            let mut transaction = self.begin_fenced().await?;
            progress::commit(&mut transaction, run, attempting, receipts).await?;
            Ok(transaction.commit().await?)
        })
    }

    async fn cut_off(&self, run: &str) -> Result<(), StoreError> {
        retried!(self, {
            let mut transaction = self.begin_fenced().await?;
            progress::cut_off(&mut transaction, run).await?;
            Ok(transaction.commit().await?)
        })
    }

    async fn progress(&self, run: &str) -> Result<Progress, StoreError> {
        self.within(async {
            // One snapshot: the run's record and its bitmaps are of the same moment.
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
            let mut transaction = self.pool.begin_with(begin).await?;
            progress::load(&mut transaction, run).await
        })
        .await
    }

    async fn forget_runs(&self, job: &str, past: &Past<'_>) -> Result<(), StoreError> {
        retried!(self, {
            let mut transaction = self.begin_fenced().await?;
            // Their rows go with them.
            let query = sqlx::query(FORGET_RUNS).bind(job).bind(past.except).bind(Moment(past.before));
            query.execute(&mut *transaction).await?;
            for query in [FORGET_PROGRESS, FORGET_RECEIPTS, NOTE_FORGOTTEN] {
                let query = sqlx::query(query).bind(job).bind(past.except).bind(i64::from(past.rows_of));
                query.execute(&mut *transaction).await?;
            }
            Ok(transaction.commit().await?)
        })
    }

    async fn failures(&self, run: &str, limit: u32) -> Result<Vec<FailedReceipt>, StoreError> {
        let query = "SELECT * FROM receipts WHERE run_id = $1 AND outcome <> 'acknowledged' ORDER BY seq LIMIT $2";
        let rows = self.rows(sqlx::query(query).bind(run).bind(i64::from(limit))).await?;
        rows.iter().map(records::failure).collect()
    }
}

async fn put(connection: &mut PgConnection, run: &RunRecord, at: DateTime<Utc>) -> Result<(), StoreError> {
    let reason = run.reason.as_deref().map(shown);
    sqlx::query(PUT_RUN)
        .bind(&run.id)
        .bind(&run.job)
        .bind(run.state.as_str())
        .bind(Moment(run.started_at))
        .bind(run.finished_at.map(Moment))
        .bind(json!(run.counts).to_string())
        .bind(&reason)
        .bind(run.report.as_ref().map(Value::to_string))
        .bind(run.kind.as_str())
        .execute(&mut *connection)
        .await?;
    sqlx::query(PUT_EVENT)
        .bind(&run.id)
        .bind(Moment(at))
        .bind(run.state.as_str())
        .bind(&reason)
        .execute(connection)
        .await?;
    Ok(())
}
