//! Fires of jobs.

use super::columns::Moment;
use super::{PostgresStore, retried, shown};
use crate::store::columns::{Columns as _, signed};
use crate::store::{FireCause, FireRecord, FireState, FireStore, StoreError, records};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

const SINCE: &str = "
    INSERT INTO schedules (job, schedule, since) VALUES ($1, $2, $3)
    ON CONFLICT (job) DO UPDATE SET
        since = CASE WHEN schedules.schedule = excluded.schedule THEN schedules.since ELSE excluded.since END,
        schedule = excluded.schedule
    RETURNING since";

const CLAIM: &str = "
    INSERT INTO fires (job, due, state, holder, claimed_at, ended_at, collapsed, reason, seen, cause, origin)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (job, due) DO NOTHING";

const END: &str = "
    UPDATE fires SET state = $3, holder = $4, claimed_at = $5, ended_at = $6, collapsed = $7, reason = $8, seen = $9
    WHERE job = $1 AND due = $2 AND state IN ('running', 'waiting')";

const OPEN: &str = "SELECT * FROM fires WHERE state IN ('running', 'waiting') ORDER BY job, due";

const FORGET: &str = "
    DELETE FROM fires WHERE due < $1 AND state NOT IN ('running', 'waiting') AND (job, due) NOT IN (
        SELECT job, max(due) FROM fires GROUP BY job
        UNION ALL SELECT job, max(due) FROM fires WHERE cause = 'schedule' GROUP BY job)";

const NEWEST: &str = "
    SELECT * FROM fires WHERE job = $1 AND ($2::text IS NULL OR cause = $2) AND ($3::text IS NULL OR state = $3)
    ORDER BY due DESC LIMIT 1";

impl PostgresStore {
    async fn write_fire(&self, statement: &'static str, fire: &FireRecord) -> Result<bool, StoreError> {
        retried!(self, {
            let mut query = sqlx::query(statement)
                .bind(&fire.job)
                .bind(Moment(fire.due))
                .bind(fire.state.as_str())
                .bind(&fire.holder)
                .bind(Moment(fire.claimed_at))
                .bind(fire.ended_at.map(Moment))
                .bind(signed(fire.collapsed))
                .bind(fire.reason.as_deref().map(shown))
                .bind(fire.seen.as_deref());
            if statement == CLAIM {
                query = query.bind(fire.cause.as_str()).bind(fire.origin.as_deref().map(shown));
            }
            let mut transaction = self.begin_fenced().await?;
            let written = query.execute(&mut *transaction).await?.rows_affected();
            transaction.commit().await?;
            Ok(written > 0)
        })
    }
}

#[async_trait]
impl FireStore for PostgresStore {
    async fn scheduled_since(&self, job: &str, schedule: &str, at: DateTime<Utc>) -> Result<DateTime<Utc>, StoreError> {
        retried!(self, {
            let mut transaction = self.begin_fenced().await?;
            let since = sqlx::query(SINCE).bind(job).bind(schedule).bind(Moment(at));
            let since = since.fetch_one(&mut *transaction).await?.time("since")?;
            transaction.commit().await?;
            Ok(since)
        })
    }

    async fn claim_fire(&self, fire: &FireRecord) -> Result<bool, StoreError> {
        self.write_fire(CLAIM, fire).await
    }

    async fn end_fire(&self, fire: &FireRecord) -> Result<bool, StoreError> {
        self.write_fire(END, fire).await
    }

    async fn fires(&self, job: Option<&str>, limit: u32) -> Result<Vec<FireRecord>, StoreError> {
        let query = "SELECT * FROM fires WHERE $1 IS NULL OR job = $1 ORDER BY due DESC, job LIMIT $2";
        let rows = self.rows(sqlx::query(query).bind(job).bind(i64::from(limit))).await?;
        rows.iter().map(records::fire).collect()
    }

    async fn newest_fire(
        &self,
        job: &str,
        cause: Option<FireCause>,
        state: Option<FireState>,
    ) -> Result<Option<FireRecord>, StoreError> {
        let (cause, state) = (cause.map(FireCause::as_str), state.map(FireState::as_str));
        let row = self.row(sqlx::query(NEWEST).bind(job).bind(cause).bind(state)).await?;
        row.as_ref().map(records::fire).transpose()
    }

    async fn open_fires(&self) -> Result<Vec<FireRecord>, StoreError> {
        self.rows(sqlx::query(OPEN)).await?.iter().map(records::fire).collect()
    }

    async fn forget_fires(&self, before: DateTime<Utc>) -> Result<(), StoreError> {
        retried!(self, {
            let mut transaction = self.begin_fenced().await?;
            sqlx::query(FORGET).bind(Moment(before)).execute(&mut *transaction).await?;
            Ok(transaction.commit().await?)
        })
    }
}
