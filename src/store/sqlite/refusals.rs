//! Refused versions, and destinations out of service.

use super::{SqliteStore, micros, optional_time_at, time_at};
use crate::store::{DestinationRecord, DestinationState, Refusal, RefusalChange, RefusalStore, StoreError};
use async_trait::async_trait;
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

const PUT_DESTINATION: &str = "
    INSERT INTO destinations (job, address, state, reason, remedy, since, run_id, paused_until)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (job) DO UPDATE SET address = excluded.address, state = excluded.state, reason = excluded.reason,
        remedy = excluded.remedy, since = excluded.since, run_id = excluded.run_id,
        paused_until = excluded.paused_until";

#[async_trait]
impl RefusalStore for SqliteStore {
    async fn refusals(&self, job: Option<&str>) -> Result<Vec<Refusal>, StoreError> {
        let query = "SELECT * FROM refusals WHERE ?1 IS NULL OR job = ?1 ORDER BY job, key, webhook_id";
        sqlx::query(query).bind(job).fetch_all(&self.readers).await?.iter().map(refusal).collect()
    }

    async fn change_refusals(&self, job: &str, ids: &[String], change: RefusalChange) -> Result<u64, StoreError> {
        let change = match change {
            RefusalChange::Retry => {
                "UPDATE refusals SET count = 0, dropped = 0
                 WHERE job = ?1 AND webhook_id IN (SELECT value FROM json_each(?2))"
            }
            RefusalChange::Drop => {
                "UPDATE refusals SET dropped = 1 WHERE job = ?1 AND webhook_id IN (SELECT value FROM json_each(?2))"
            }
            RefusalChange::Forget => {
                "DELETE FROM refusals WHERE job = ?1 AND webhook_id IN (SELECT value FROM json_each(?2))"
            }
        };
        let done = sqlx::query(change).bind(job).bind(json!(ids).to_string()).execute(&self.writer).await?;
        Ok(done.rows_affected())
    }

    async fn destination(&self, job: &str) -> Result<Option<DestinationRecord>, StoreError> {
        let row =
            sqlx::query("SELECT * FROM destinations WHERE job = ?1").bind(job).fetch_optional(&self.readers).await?;
        row.as_ref().map(destination).transpose()
    }

    async fn destinations(&self) -> Result<Vec<DestinationRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM destinations ORDER BY job");
        query.fetch_all(&self.readers).await?.iter().map(destination).collect()
    }

    async fn put_destination(&self, record: &DestinationRecord) -> Result<(), StoreError> {
        sqlx::query(PUT_DESTINATION)
            .bind(&record.job)
            .bind(&record.address)
            .bind(state_text(record.state))
            .bind(&record.reason)
            .bind(&record.remedy)
            .bind(micros(record.since))
            .bind(&record.run)
            .bind(record.paused_until.map(micros))
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn clear_destination(&self, job: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM destinations WHERE job = ?1").bind(job).execute(&self.writer).await?;
        Ok(done.rows_affected() > 0)
    }
}

fn refusal(row: &SqliteRow) -> Result<Refusal, StoreError> {
    Ok(Refusal {
        job: row.try_get("job")?,
        webhook_id: row.try_get("webhook_id")?,
        key: row.try_get("key")?,
        count: row.try_get("count")?,
        status: row.try_get("status")?,
        detail: row.try_get("detail")?,
        first_at: time_at(row, "first_at")?,
        last_at: time_at(row, "last_at")?,
        run: row.try_get("run_id")?,
        dropped: row.try_get("dropped")?,
    })
}

fn destination(row: &SqliteRow) -> Result<DestinationRecord, StoreError> {
    Ok(DestinationRecord {
        job: row.try_get("job")?,
        address: row.try_get("address")?,
        state: parse_state(row.try_get("state")?)?,
        reason: row.try_get("reason")?,
        remedy: row.try_get("remedy")?,
        since: time_at(row, "since")?,
        paused_until: optional_time_at(row, "paused_until")?,
        run: row.try_get("run_id")?,
    })
}

fn state_text(state: DestinationState) -> &'static str {
    match state {
        DestinationState::Paused => "paused",
        DestinationState::Disabled => "disabled",
    }
}

fn parse_state(text: &str) -> Result<DestinationState, StoreError> {
    [DestinationState::Paused, DestinationState::Disabled]
        .into_iter()
        .find(|state| state_text(*state) == text)
        .ok_or_else(|| StoreError::Corrupt(format!("the state of a destination `{text}`")))
}
