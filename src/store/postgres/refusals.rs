//! Refused versions, and destinations out of service.

use super::columns::Moment;
use super::{PostgresStore, retried, shown};
use crate::store::{DestinationRecord, Refusal, RefusalChange, RefusalStore, StoreError, records};
use async_trait::async_trait;

const PUT_DESTINATION: &str = "
    INSERT INTO destinations (job, address, state, reason, remedy, since, run_id, paused_until)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (job) DO UPDATE SET address = excluded.address, state = excluded.state, reason = excluded.reason,
        remedy = excluded.remedy, since = excluded.since, run_id = excluded.run_id,
        paused_until = excluded.paused_until";

const RETRY: &str = "UPDATE refusals SET count = 0, dropped = false WHERE job = $1 AND webhook_id = ANY($2)";
const DROP: &str = "UPDATE refusals SET dropped = true WHERE job = $1 AND webhook_id = ANY($2)";
const FORGET: &str = "DELETE FROM refusals WHERE job = $1 AND webhook_id = ANY($2)";

#[async_trait]
impl RefusalStore for PostgresStore {
    async fn refusals(&self, job: Option<&str>) -> Result<Vec<Refusal>, StoreError> {
        let query = "SELECT * FROM refusals WHERE $1 IS NULL OR job = $1 ORDER BY job, key, webhook_id";
        self.rows(sqlx::query(query).bind(job)).await?.iter().map(records::refusal).collect()
    }

    async fn change_refusals(&self, job: &str, ids: &[String], change: RefusalChange) -> Result<u64, StoreError> {
        let change = match change {
            RefusalChange::Retry => RETRY,
            RefusalChange::Drop => DROP,
            RefusalChange::Forget => FORGET,
        };
        retried!(self, {
            let mut transaction = self.begin_fenced().await?;
            let changed = sqlx::query(change).bind(job).bind(ids).execute(&mut *transaction).await?.rows_affected();
            transaction.commit().await?;
            Ok(changed)
        })
    }

    async fn destination(&self, job: &str) -> Result<Option<DestinationRecord>, StoreError> {
        let row = self.row(sqlx::query("SELECT * FROM destinations WHERE job = $1").bind(job)).await?;
        row.as_ref().map(records::destination).transpose()
    }

    async fn destinations(&self) -> Result<Vec<DestinationRecord>, StoreError> {
        let rows = self.rows(sqlx::query("SELECT * FROM destinations ORDER BY job")).await?;
        rows.iter().map(records::destination).collect()
    }

    async fn put_destination(&self, record: &DestinationRecord) -> Result<(), StoreError> {
        retried!(self, {
            let mut transaction = self.begin_fenced().await?;
            sqlx::query(PUT_DESTINATION)
                .bind(&record.job)
                .bind(shown(&record.address))
                .bind(records::destination_state_text(record.state))
                .bind(shown(&record.reason))
                .bind(shown(&record.remedy))
                .bind(Moment(record.since))
                .bind(&record.run)
                .bind(record.paused_until.map(Moment))
                .execute(&mut *transaction)
                .await?;
            Ok(transaction.commit().await?)
        })
    }

    async fn clear_destination(&self, job: &str) -> Result<bool, StoreError> {
        let clear = "DELETE FROM destinations WHERE job = $1";
        retried!(self, {
            let mut transaction = self.begin_fenced().await?;
            let cleared = sqlx::query(clear).bind(job).execute(&mut *transaction).await?.rows_affected();
            transaction.commit().await?;
            Ok(cleared > 0)
        })
    }
}
