//! Fires of jobs. Each write is one statement, which is its own transaction.

use super::{SqliteStore, micros};
use crate::store::columns::{signed, time};
use crate::store::{FireCause, FireRecord, FireState, FireStore, StoreError, records};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

const SINCE: &str = "
    INSERT INTO schedules (job, schedule, since) VALUES (?1, ?2, ?3)
    ON CONFLICT (job) DO UPDATE SET
        since = CASE WHEN schedule = excluded.schedule THEN since ELSE excluded.since END, schedule = excluded.schedule
    RETURNING since";

const CLAIM: &str = "
    INSERT INTO fires (job, due, state, holder, claimed_at, ended_at, collapsed, reason, seen, cause, origin)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (job, due) DO NOTHING";

const END: &str = "
    UPDATE fires SET state = ?3, holder = ?4, claimed_at = ?5, ended_at = ?6, collapsed = ?7, reason = ?8, seen = ?9
    WHERE job = ?1 AND due = ?2 AND state IN ('running', 'waiting')";

const OPEN: &str = "SELECT * FROM fires WHERE state IN ('running', 'waiting') ORDER BY job, due";

const FORGET: &str = "
    DELETE FROM fires WHERE due < ?1 AND state NOT IN ('running', 'waiting') AND (job, due) NOT IN (
        SELECT job, max(due) FROM fires GROUP BY job
        UNION ALL SELECT job, max(due) FROM fires WHERE cause = 'schedule' GROUP BY job)";

const NEWEST: &str = "
    SELECT * FROM fires WHERE job = ?1 AND (?2 IS NULL OR cause = ?2) AND (?3 IS NULL OR state = ?3)
    ORDER BY due DESC LIMIT 1";

impl SqliteStore {
    async fn write_fire(&self, statement: &'static str, fire: &FireRecord) -> Result<bool, StoreError> {
        let mut query = sqlx::query(statement)
            .bind(&fire.job)
            .bind(micros(fire.due))
            .bind(fire.state.as_str())
            .bind(&fire.holder)
            .bind(micros(fire.claimed_at))
            .bind(fire.ended_at.map(micros))
            .bind(signed(fire.collapsed))
            .bind(&fire.reason)
            .bind(&fire.seen);
        if statement == CLAIM {
            query = query.bind(fire.cause.as_str()).bind(&fire.origin);
        }
        let written = query.execute(&self.writer).await?;
        Ok(written.rows_affected() > 0)
    }
}

#[async_trait]
impl FireStore for SqliteStore {
    async fn scheduled_since(&self, job: &str, schedule: &str, at: DateTime<Utc>) -> Result<DateTime<Utc>, StoreError> {
        let since = sqlx::query_scalar(SINCE).bind(job).bind(schedule).bind(micros(at));
        time(since.fetch_one(&self.writer).await?)
    }

    async fn claim_fire(&self, fire: &FireRecord) -> Result<bool, StoreError> {
        self.write_fire(CLAIM, fire).await
    }

    async fn end_fire(&self, fire: &FireRecord) -> Result<bool, StoreError> {
        self.write_fire(END, fire).await
    }

    async fn fires(&self, job: Option<&str>, limit: u32) -> Result<Vec<FireRecord>, StoreError> {
        let query = "SELECT * FROM fires WHERE ?1 IS NULL OR job = ?1 ORDER BY due DESC, job LIMIT ?2";
        let rows = sqlx::query(query).bind(job).bind(limit).fetch_all(&self.readers).await?;
        rows.iter().map(records::fire).collect()
    }

    async fn newest_fire(
        &self,
        job: &str,
        cause: Option<FireCause>,
        state: Option<FireState>,
    ) -> Result<Option<FireRecord>, StoreError> {
        let (cause, state) = (cause.map(FireCause::as_str), state.map(FireState::as_str));
        let row = sqlx::query(NEWEST).bind(job).bind(cause).bind(state).fetch_optional(&self.readers).await?;
        row.as_ref().map(records::fire).transpose()
    }

    async fn open_fires(&self) -> Result<Vec<FireRecord>, StoreError> {
        let rows = sqlx::query(OPEN).fetch_all(&self.readers).await?;
        rows.iter().map(records::fire).collect()
    }

    async fn forget_fires(&self, before: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query(FORGET).bind(micros(before)).execute(&self.writer).await?;
        Ok(())
    }
}
