//! Received orgs: what a batch concerns is read and locked, [`plan`] decides, and what it says is written, in one transaction of
//! four round trips (begin, [`read`], [`write`], commit), whatever the batch's size.
//!
//! Keys are locked first and against changes only (twice: why, `keys` says), then the orgs that exist, in the order of their ids. Two processes that both
//! take an org for new, or an update for its first sending, meet at a unique index: the second begins anew and finds it.

mod read;
mod write;

use super::columns::Moment;
use super::{PostgresStore, before_nul, retried};
use crate::store::orgs::{ORGS_AT_A_TIME, OrgChange, plan};
use crate::store::{OrgRecord, OrgStore, OrgUpsert, StoreError, UpsertOutcome, records};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

const HISTORY: &str = "
    SELECT * FROM org_history
    WHERE target_org_id = (SELECT target_org_id FROM orgs WHERE product_org_id = $1) AND number > $2
    ORDER BY number LIMIT $3";

// What another process is about to forget is left to it.
const FORGET: &str = "
    DELETE FROM org_answers WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM org_answers WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))";

#[async_trait]
impl OrgStore for PostgresStore {
    async fn upsert_orgs(&self, batch: &[OrgUpsert]) -> Result<Vec<UpsertOutcome>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        retried!(self, {
            let mut transaction = self.writing.begin().await?;
            let (known, mut numbers) = read::known(&mut transaction, batch).await?;
            // There is one for each org that is not known, which is all that are asked for.
            let plan = plan(batch, known, || numbers.next().unwrap_or_default());
            if plan.uses.is_empty() {
                transaction.rollback().await?;
                return Ok(plan.outcomes);
            }
            write::plan(&mut transaction, &plan).await?;
            transaction.commit().await?;
            Ok(plan.outcomes)
        })
    }

    async fn org(&self, product_org_id: &str) -> Result<Option<OrgRecord>, StoreError> {
        let Ok(id) = before_nul(product_org_id) else { return Ok(None) };
        let row = self.row(sqlx::query("SELECT * FROM orgs WHERE product_org_id = $1").bind(id)).await?;
        row.as_ref().map(records::org).transpose()
    }

    async fn orgs(&self, after: Option<&str>, limit: u32) -> Result<Vec<OrgRecord>, StoreError> {
        // Every id is longer than the empty text, so "behind nothing" is "behind the empty text".
        let query = sqlx::query("SELECT * FROM orgs WHERE product_org_id > $1 ORDER BY product_org_id LIMIT $2")
            .bind(before_nul(after.unwrap_or("")).unwrap_or_else(|before| before))
            .bind(i64::from(limit));
        self.rows(query).await?.iter().map(records::org).collect()
    }

    async fn history(
        &self,
        product_org_id: &str,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<OrgChange>, StoreError> {
        let Ok(id) = before_nul(product_org_id) else { return Ok(Vec::new()) };
        let query = sqlx::query(HISTORY).bind(id).bind(after.unwrap_or(0)).bind(i64::from(limit));
        self.rows(query).await?.iter().map(records::change).collect()
    }

    async fn forget_answers(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        retried!(self, {
            let query = sqlx::query(FORGET).bind(Moment(before)).bind(i64::from(limit));
            Ok(query.execute(&self.pool).await?.rows_affected())
        })
    }

    async fn forget_history(&self, before: DateTime<Utc>, from: i64) -> Result<Option<i64>, StoreError> {
        retried!(self, {
            let next =
                "SELECT target_org_id FROM orgs WHERE target_org_id >= $1 ORDER BY target_org_id LIMIT 1 OFFSET $2";
            let next: Option<i64> =
                sqlx::query_scalar(next).bind(from).bind(ORGS_AT_A_TIME).fetch_optional(&self.pool).await?;
            let forget = "DELETE FROM org_history WHERE target_org_id >= $1 AND target_org_id < $2 AND at < $3";
            let forget = sqlx::query(forget).bind(from).bind(next.unwrap_or(i64::MAX)).bind(Moment(before));
            forget.execute(&self.pool).await?;
            Ok(next)
        })
    }

    async fn probe(&self) -> Result<(), StoreError> {
        retried!(self, {
            let mut transaction = self.writing.begin().await?;
            // Refused by a standby and by a database that was made read-only, though it finds nothing.
            sqlx::query("DELETE FROM org_answers WHERE false").execute(&mut *transaction).await?;
            // Takes room in the log, and waits at the commit until it is on the disk.
            sqlx::query("SELECT pg_logical_emit_message(true, 'nightmark', '')").execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(())
        })
    }
}
