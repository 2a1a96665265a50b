//! Runs and receipts.

use super::{SqliteStore, micros, optional_time_at, time_at};
use crate::receipt::{Outcome, Progress, Receipt};
use crate::store::{RunRecord, RunState, RunStore, StoreError};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

const PUT_RUN: &str = "
    INSERT INTO runs (id, job, state, started_at, finished_at, counts, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (id) DO UPDATE SET job = excluded.job, state = excluded.state, started_at = excluded.started_at,
        finished_at = excluded.finished_at, counts = excluded.counts, reason = excluded.reason";

const MARK: &str = "UPDATE runs SET attempted_before = max(attempted_before, ?2) WHERE id = ?1";

// "WHERE true" keeps SQLite from reading ON CONFLICT as a join condition.
const APPEND_RECEIPTS: &str = "
    INSERT INTO receipts (run_id, seq, outcome, status, attempts, detail, at)
    SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
    FROM json_each(?2) WHERE true
    ON CONFLICT (run_id, seq) DO UPDATE SET outcome = excluded.outcome, status = excluded.status,
        attempts = excluded.attempts, detail = excluded.detail, at = excluded.at";

#[async_trait]
impl RunStore for SqliteStore {
    async fn put_run(&self, run: &RunRecord) -> Result<(), StoreError> {
        sqlx::query(PUT_RUN)
            .bind(&run.id)
            .bind(&run.job)
            .bind(state_text(run.state))
            .bind(micros(run.started_at))
            .bind(run.finished_at.map(micros))
            .bind(json!(run.counts).to_string())
            .bind(&run.reason)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn runs(&self, job: Option<&str>, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        let query = match job {
            Some(job) => sqlx::query("SELECT * FROM runs WHERE job = ?2 ORDER BY started_at DESC, id DESC LIMIT ?1")
                .bind(limit)
                .bind(job),
            None => sqlx::query("SELECT * FROM runs ORDER BY started_at DESC, id DESC LIMIT ?1").bind(limit),
        };
        query.fetch_all(&self.readers).await?.iter().map(record).collect()
    }

    async fn run(&self, id: &str) -> Result<Option<RunRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM runs WHERE id = ?1").bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(record).transpose()
    }

    async fn mark_attempting(&self, run: &str, before: u64) -> Result<(), StoreError> {
        let done = sqlx::query(MARK).bind(run).bind(integer(before)).execute(&self.writer).await?;
        match done.rows_affected() {
            0 => Err(StoreError::UnknownRun(run.to_owned())),
            _ => Ok(()),
        }
    }

    async fn append_receipts(&self, run: &str, receipts: &[Receipt]) -> Result<(), StoreError> {
        if receipts.is_empty() {
            return Ok(());
        }
        let rows: Value = receipts.iter().map(receipt_row).collect();
        let done = sqlx::query(APPEND_RECEIPTS).bind(run).bind(rows.to_string()).execute(&self.writer).await;
        match done {
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
                Err(StoreError::UnknownRun(run.to_owned()))
            }
            other => other.map(drop).map_err(StoreError::from),
        }
    }

    async fn progress(&self, run: &str) -> Result<Progress, StoreError> {
        // The state is read before the receipts: if the run ends in between, "not ended" with all its receipts is the
        // careful answer, whereas "ended" without its last receipts would be a wrong one.
        let found: Option<(String, i64)> = sqlx::query_as("SELECT state, attempted_before FROM runs WHERE id = ?1")
            .bind(run)
            .fetch_optional(&self.readers)
            .await?;
        let Some((state, mark)) = found else {
            return Ok(Progress { ended: false, attempted_before: u64::MAX, ..Progress::default() });
        };
        // A failed run may have broken off with requests in flight, so it has not ended in order.
        let ended = matches!(parse_state(&state)?, RunState::Finished | RunState::Held);
        let mut progress = Progress { ended, attempted_before: seq(mark)?, ..Progress::default() };
        let mut rows =
            sqlx::query_as::<_, (i64, String)>("SELECT seq, outcome FROM receipts WHERE run_id = ?1 ORDER BY seq")
                .bind(run)
                .fetch(&self.readers);
        while let Some((number, outcome)) = rows.try_next().await? {
            progress.receipts.insert(seq(number)?, parse_outcome(&outcome)?);
        }
        Ok(progress)
    }
}

fn receipt_row(receipt: &Receipt) -> Value {
    json!([
        integer(receipt.seq),
        outcome_text(receipt.outcome),
        receipt.status,
        receipt.attempts,
        receipt.detail,
        micros(receipt.at)
    ])
}

fn record(row: &SqliteRow) -> Result<RunRecord, StoreError> {
    let id: String = row.try_get("id")?;
    let counts = serde_json::from_str(row.try_get("counts")?)
        .map_err(|error| StoreError::Corrupt(format!("the counts of run {id}: {error}")))?;
    Ok(RunRecord {
        job: row.try_get("job")?,
        state: parse_state(row.try_get("state")?)?,
        started_at: time_at(row, "started_at")?,
        finished_at: optional_time_at(row, "finished_at")?,
        counts,
        reason: row.try_get("reason")?,
        id,
    })
}

/// SQLite's integers end at 2⁶³−1, which no change set comes near; "all of them" stays "all of them".
fn integer(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn seq(stored: i64) -> Result<u64, StoreError> {
    u64::try_from(stored).map_err(|_| StoreError::Corrupt(format!("the row number {stored}")))
}

fn state_text(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Finished => "finished",
        RunState::Held => "held",
        RunState::Failed => "failed",
    }
}

fn parse_state(text: &str) -> Result<RunState, StoreError> {
    [RunState::Running, RunState::Finished, RunState::Held, RunState::Failed]
        .into_iter()
        .find(|state| state_text(*state) == text)
        .ok_or_else(|| StoreError::Corrupt(format!("the run state `{text}`")))
}

fn outcome_text(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Acknowledged => "acknowledged",
        Outcome::Refused => "refused",
        Outcome::Unknown => "unknown",
    }
}

fn parse_outcome(text: &str) -> Result<Outcome, StoreError> {
    [Outcome::Acknowledged, Outcome::Refused, Outcome::Unknown]
        .into_iter()
        .find(|outcome| outcome_text(*outcome) == text)
        .ok_or_else(|| StoreError::Corrupt(format!("the outcome `{text}`")))
}
