//! Alerts. Each write is one statement, which is its own transaction.

use super::{SqliteStore, micros};
use crate::store::{AlertRecord, AlertStore, StoreError, records};
use async_trait::async_trait;

const PUT: &str = "
    INSERT INTO alerts (job, kind, about, place, since, ended_at, told) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (job, kind) DO UPDATE SET
        about = excluded.about, place = excluded.place, since = excluded.since, ended_at = excluded.ended_at, told = excluded.told";

#[async_trait]
impl AlertStore for SqliteStore {
    async fn alerts(&self) -> Result<Vec<AlertRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM alerts ORDER BY job, kind").fetch_all(&self.readers).await?;
        rows.iter().map(records::alert).collect()
    }

    async fn put_alert(&self, alert: &AlertRecord) -> Result<(), StoreError> {
        let put = sqlx::query(PUT).bind(&alert.job).bind(&alert.kind).bind(&alert.about);
        let put = put.bind(&alert.place).bind(micros(alert.since));
        put.bind(alert.ended_at.map(micros)).bind(alert.told.join(" ")).execute(&self.writer).await?;
        Ok(())
    }

    async fn forget_alert(&self, job: &str, kind: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM alerts WHERE job = ?1 AND kind = ?2")
            .bind(job)
            .bind(kind)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}
