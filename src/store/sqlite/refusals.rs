//! Refused versions, and destinations out of service.

use super::{SqliteStore, micros};
use crate::store::{DestinationRecord, Refusal, RefusalChange, RefusalStore, StoreError, records};
use async_trait::async_trait;
use serde_json::json;

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
        sqlx::query(query).bind(job).fetch_all(&self.readers).await?.iter().map(records::refusal).collect()
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
        row.as_ref().map(records::destination).transpose()
    }

    async fn destinations(&self) -> Result<Vec<DestinationRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM destinations ORDER BY job");
        query.fetch_all(&self.readers).await?.iter().map(records::destination).collect()
    }

    async fn put_destination(&self, record: &DestinationRecord) -> Result<(), StoreError> {
        sqlx::query(PUT_DESTINATION)
            .bind(&record.job)
            .bind(&record.address)
            .bind(records::destination_state_text(record.state))
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
