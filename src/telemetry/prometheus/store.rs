//! Times the receiver's writes. Those of runs and schedules are timed where they are made.

use crate::metrics::Metrics;
use crate::store::{OrgChange, OrgRecord, OrgStore, OrgUpsert, StoreError, UpsertOutcome};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Instant;

/// A store of orgs, each batch that it writes timed.
pub struct Timed {
    store: Arc<dyn OrgStore>,
    metrics: Arc<dyn Metrics>,
}

impl Timed {
    /// Over a store.
    pub fn new(store: Arc<dyn OrgStore>, metrics: Arc<dyn Metrics>) -> Self {
        Timed { store, metrics }
    }
}

#[async_trait]
impl OrgStore for Timed {
    async fn upsert_orgs(&self, batch: &[OrgUpsert]) -> Result<Vec<UpsertOutcome>, StoreError> {
        let began = Instant::now();
        let done = self.store.upsert_orgs(batch).await;
        self.metrics.stored("upsert_orgs", began.elapsed(), done.is_ok());
        done
    }

    async fn org(&self, product_org_id: &str) -> Result<Option<OrgRecord>, StoreError> {
        self.store.org(product_org_id).await
    }

    async fn orgs(&self, after: Option<&str>, limit: u32) -> Result<Vec<OrgRecord>, StoreError> {
        self.store.orgs(after, limit).await
    }

    async fn history(
        &self,
        product_org_id: &str,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<OrgChange>, StoreError> {
        self.store.history(product_org_id, after, limit).await
    }

    async fn forget_answers(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.store.forget_answers(before, limit).await
    }

    async fn forget_history(&self, before: DateTime<Utc>, from: i64) -> Result<Option<i64>, StoreError> {
        self.store.forget_history(before, from).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.store.probe().await
    }
}
