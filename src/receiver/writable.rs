//! Whether the store can be written, for whoever asks if the receiver is ready.
//!
//! What the writer's last write came to says it; and where there was none for a while, a write of no meaning: a receiver without traffic, or one
//! that gets none because it is not ready, would otherwise never know.

use crate::store::{OrgChange, OrgRecord, OrgStore, OrgUpsert, StoreError, UpsertOutcome};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// How long a write counts, and how long one may take.
pub(super) const PROBE: Duration = Duration::from_secs(10);

/// A store whose writes are watched.
pub(super) struct Watched {
    store: Arc<dyn OrgStore>,
    writable: watch::Sender<bool>,
    /// Something was written since the last probe.
    written: AtomicBool,
}

impl Watched {
    /// The store, and whether it can be written, which is probed `every` so often as a task that ends with the store. Until it
    /// has been tried, it can.
    pub(super) fn over(store: Arc<dyn OrgStore>, every: Duration) -> (Arc<Watched>, watch::Receiver<bool>) {
        let (writable, seen) = watch::channel(true);
        let watched = Arc::new(Watched { store, writable, written: AtomicBool::new(false) });
        tokio::spawn(probe(Arc::downgrade(&watched), every));
        (watched, seen)
    }

    fn note(&self, failed: Option<&dyn std::fmt::Display>) {
        self.written.fetch_or(failed.is_none(), Ordering::Relaxed);
        let changed = self
            .writable
            .send_if_modified(|writable| std::mem::replace(writable, failed.is_none()) != failed.is_none());
        match failed {
            Some(error) if changed => {
                tracing::error!(event = "store_not_writable", %error, "not ready: the state store cannot be written")
            }
            None if changed => tracing::warn!(event = "store_writable", "ready: the state store can be written again"),
            _ => {}
        }
    }
}

async fn probe(watched: Weak<Watched>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(watched) = watched.upgrade() else { return };
        if watched.written.swap(false, Ordering::Relaxed) {
            continue;
        }
        match tokio::time::timeout(every, watched.store.probe()).await {
            Ok(Ok(())) => watched.note(None),
            Ok(Err(error)) => watched.note(Some(&error)),
            Err(late) => watched.note(Some(&late)),
        }
        // That was not the writer's.
        watched.written.store(false, Ordering::Relaxed);
    }
}

#[async_trait]
impl OrgStore for Watched {
    async fn upsert_orgs(&self, batch: &[OrgUpsert]) -> Result<Vec<UpsertOutcome>, StoreError> {
        let done = self.store.upsert_orgs(batch).await;
        match &done {
            Ok(outcomes) if outcomes.iter().any(|outcome| matches!(outcome, UpsertOutcome::Done(_))) => self.note(None),
            // Nothing was tried, or it is the fault of these updates.
            Ok(_) | Err(StoreError::Corrupt(_) | StoreError::Refused(_)) => {}
            Err(error) => self.note(Some(error)),
        }
        done
    }

    async fn org(&self, product_org_id: &str) -> Result<Option<OrgRecord>, StoreError> {
        self.store.org(product_org_id).await
    }

    async fn orgs(&self, after: Option<&str>, limit: u32) -> Result<Vec<OrgRecord>, StoreError> {
        self.store.orgs(after, limit).await
    }

    async fn history(&self, id: &str, after: Option<i64>, limit: u32) -> Result<Vec<OrgChange>, StoreError> {
        self.store.history(id, after, limit).await
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{KeyUse, OrgPatch, Upserted};

    /// Writes as long as it is told that it can; counts its probes.
    #[derive(Default)]
    struct Disk {
        full: AtomicBool,
        probes: std::sync::atomic::AtomicUsize,
    }

    impl Disk {
        fn write(&self) -> Result<(), StoreError> {
            match self.full.load(Ordering::Relaxed) {
                true => Err(StoreError::Busy("the disk is full".into())),
                false => Ok(()),
            }
        }
    }

    #[async_trait]
    impl OrgStore for Disk {
        async fn upsert_orgs(&self, batch: &[OrgUpsert]) -> Result<Vec<UpsertOutcome>, StoreError> {
            let done = Upserted { target_org_id: 1, is_new: true, stale: false, repeated: false };
            self.write().map(|()| vec![UpsertOutcome::Done(done); batch.len()])
        }

        async fn org(&self, _: &str) -> Result<Option<OrgRecord>, StoreError> {
            Ok(None)
        }

        async fn orgs(&self, _: Option<&str>, _: u32) -> Result<Vec<OrgRecord>, StoreError> {
            Ok(Vec::new())
        }

        async fn history(&self, _: &str, _: Option<i64>, _: u32) -> Result<Vec<OrgChange>, StoreError> {
            Ok(Vec::new())
        }

        async fn forget_answers(&self, _: DateTime<Utc>, _: u32) -> Result<u64, StoreError> {
            Ok(0)
        }

        async fn forget_history(&self, _: DateTime<Utc>, _: i64) -> Result<Option<i64>, StoreError> {
            Ok(None)
        }

        async fn probe(&self) -> Result<(), StoreError> {
            self.probes.fetch_add(1, Ordering::Relaxed);
            self.write()
        }
    }

    fn upsert() -> OrgUpsert {
        OrgUpsert {
            patch: OrgPatch { product_org_id: "a".into(), ..OrgPatch::default() },
            key: KeyUse { id: "k".into(), revision: 1 },
            request_id: "r".into(),
            at: DateTime::UNIX_EPOCH,
            event_at: None,
            idempotency_id: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_write_says_it_and_a_probe_where_there_is_none() {
        let disk = Arc::new(Disk::default());
        let (store, mut writable) = Watched::over(Arc::clone(&disk) as Arc<dyn OrgStore>, PROBE);
        assert!(*writable.borrow());
        assert!(store.upsert_orgs(&[upsert()]).await.is_ok() && *writable.borrow());
        disk.full.store(true, Ordering::Relaxed);
        assert!(store.upsert_orgs(&[upsert()]).await.is_err() && !*writable.borrow(), "at once");
        disk.full.store(false, Ordering::Relaxed);
        assert!(store.upsert_orgs(&[upsert()]).await.is_ok() && *writable.borrow(), "at once");
        // Without traffic: time passes as soon as nothing else is to be done.
        disk.full.store(true, Ordering::Relaxed);
        writable.wait_for(|writable| !writable).await.expect("a probe");
        disk.full.store(false, Ordering::Relaxed);
        writable.wait_for(|writable| *writable).await.expect("a probe");
        assert_eq!(disk.probes.load(Ordering::Relaxed), 2, "none while there was traffic");
        drop(store);
        assert!(writable.changed().await.is_err(), "the probing ends with the store");
    }
}
