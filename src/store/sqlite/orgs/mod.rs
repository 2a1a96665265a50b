//! Received orgs: what a batch concerns is read, [`plan`] decides, and what it says is written, in one transaction of three calls
//! of SQLite (begin and read, write, commit), a fourth if orgs that exist may have had an update before, and more for large batches.

mod read;
mod write;

use super::{SqliteStore, micros};
use crate::store::orgs::{ORGS_AT_A_TIME, OrgChange, plan};
use crate::store::{OrgRecord, OrgStore, OrgUpsert, StoreError, UpsertOutcome, records};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

const HISTORY: &str = "
    SELECT * FROM org_history
    WHERE target_org_id = (SELECT target_org_id FROM orgs WHERE product_org_id = ?1) AND number > ?2
    ORDER BY number LIMIT ?3";

// The index by time leads to the oldest; the rows are then found by their key.
const FORGET: &str = "
    DELETE FROM org_answers WHERE (target_org_id, hash) IN
        (SELECT target_org_id, hash FROM org_answers WHERE at < ?1 ORDER BY at LIMIT ?2)";

#[async_trait]
impl OrgStore for SqliteStore {
    async fn upsert_orgs(&self, batch: &[OrgUpsert]) -> Result<Vec<UpsertOutcome>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let (mut transaction, known, mut last) = read::begin(self, batch).await?;
        // No other connection can give a number away: this one has the write lock.
        let next = || {
            last += 1;
            last
        };
        let plan = plan(batch, known, next);
        if plan.uses.is_empty() {
            transaction.undo().await?;
            return Ok(plan.outcomes);
        }
        write::plan(&mut transaction, &plan).await?;
        failpoint!("orgs.written");
        transaction.commit().await?;
        failpoint!("orgs.committed");
        Ok(plan.outcomes)
    }

    async fn org(&self, product_org_id: &str) -> Result<Option<OrgRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM orgs WHERE product_org_id = ?1")
            .bind(product_org_id)
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(records::org).transpose()
    }

    async fn orgs(&self, after: Option<&str>, limit: u32) -> Result<Vec<OrgRecord>, StoreError> {
        // Every id is longer than the empty text, so "behind nothing" is "behind the empty text".
        let rows = sqlx::query("SELECT * FROM orgs WHERE product_org_id > ?1 ORDER BY product_org_id LIMIT ?2")
            .bind(after.unwrap_or(""))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(records::org).collect()
    }

    async fn history(
        &self,
        product_org_id: &str,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<OrgChange>, StoreError> {
        let rows = sqlx::query(HISTORY)
            .bind(product_org_id)
            .bind(after.unwrap_or(0))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(records::change).collect()
    }

    async fn forget_answers(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        let done = sqlx::query(FORGET).bind(micros(before)).bind(limit).execute(&self.writer).await?;
        Ok(done.rows_affected())
    }

    async fn forget_history(&self, before: DateTime<Utc>, from: i64) -> Result<Option<i64>, StoreError> {
        let mut transaction = self.begin().await?;
        let next = "SELECT target_org_id FROM orgs WHERE target_org_id >= ?1 ORDER BY target_org_id LIMIT 1 OFFSET ?2";
        let next: Option<i64> =
            sqlx::query_scalar(next).bind(from).bind(ORGS_AT_A_TIME).fetch_optional(&mut *transaction).await?;
        let forget = "DELETE FROM org_history WHERE target_org_id >= ?1 AND target_org_id < ?2 AND at < ?3";
        let forget = sqlx::query(forget).bind(from).bind(next.unwrap_or(i64::MAX)).bind(micros(before));
        forget.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(next)
    }

    async fn probe(&self) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        // The database's first page is written, though the number stays as it is; the store does not use it.
        sqlx::query("PRAGMA user_version = 0").execute(&mut *transaction).await?;
        transaction.commit().await
    }
}
