//! Alerts.

use super::columns::Moment;
use super::{PostgresStore, retried, shown};
use crate::store::{AlertRecord, AlertStore, StoreError, records};
use async_trait::async_trait;

const PUT: &str = "
    INSERT INTO alerts (job, kind, about, place, since, ended_at, told) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (job, kind) DO UPDATE SET
        about = excluded.about, place = excluded.place, since = excluded.since, ended_at = excluded.ended_at, told = excluded.told";

#[async_trait]
impl AlertStore for PostgresStore {
    async fn alerts(&self) -> Result<Vec<AlertRecord>, StoreError> {
        retried!(self, {
            let rows = sqlx::query("SELECT * FROM alerts ORDER BY job, kind").fetch_all(&self.pool).await?;
            rows.iter().map(records::alert).collect()
        })
    }

    async fn put_alert(&self, alert: &AlertRecord) -> Result<(), StoreError> {
        retried!(self, {
            let put = sqlx::query(PUT).bind(&alert.job).bind(&alert.kind).bind(shown(&alert.about));
            let put = put
                .bind(shown(&alert.place))
                .bind(Moment(alert.since))
                .bind(alert.ended_at.map(Moment))
                .bind(alert.told.join(" "));
            let mut transaction = self.begin_fenced().await?;
            put.execute(&mut *transaction).await?;
            Ok(transaction.commit().await?)
        })
    }

    async fn forget_alert(&self, job: &str, kind: &str) -> Result<(), StoreError> {
        retried!(self, {
            let forget = sqlx::query("DELETE FROM alerts WHERE job = $1 AND kind = $2").bind(job).bind(kind);
            let mut transaction = self.begin_fenced().await?;
            forget.execute(&mut *transaction).await?;
            Ok(transaction.commit().await?)
        })
    }
}
