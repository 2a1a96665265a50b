//! What became of what came with each key, counted in memory and written once a second: a count is no reason for a durable
//! write of its own. What is stored is counted with the update itself; after a kill, at most a second of the others is lost.

use crate::store::{KeyStore, KeyUses};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often counts are written.
const EVERY: Duration = Duration::from_secs(1);

/// Uses that have not been written yet, by key. Only of keys that there are, so there are no more than of these.
pub(in crate::receiver) struct Uses {
    store: Arc<dyn KeyStore>,
    pending: Mutex<HashMap<String, KeyUses>>,
}

impl Uses {
    /// Counts, and writes as a task of the current tokio runtime until the last reference to it is dropped.
    pub(in crate::receiver) fn start(store: Arc<dyn KeyStore>) -> Arc<Uses> {
        let uses = Arc::new(Uses { store, pending: Mutex::default() });
        let weak = Arc::downgrade(&uses);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(uses) = weak.upgrade() else { return };
                uses.flush().await;
            }
        });
        uses
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<String, KeyUses>> {
        // Counts stay counts, whatever a thread that panicked was about to add.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes uses of a key in.
    pub(in crate::receiver) fn note(&self, key_id: &str, ignored: usize, rejected: usize, at: DateTime<Utc>) {
        if ignored + rejected > 0 {
            let (ignored, rejected) = (ignored as u64, rejected as u64);
            self.add(KeyUses { key_id: key_id.to_owned(), ignored, rejected, last_used_at: at });
        }
    }

    fn add(&self, uses: KeyUses) {
        let mut pending = self.pending();
        match pending.get_mut(&uses.key_id) {
            Some(known) => {
                known.ignored += uses.ignored;
                known.rejected += uses.rejected;
                known.last_used_at = known.last_used_at.max(uses.last_used_at);
            }
            None => drop(pending.insert(uses.key_id.clone(), uses)),
        }
    }

    /// Writes what has been counted. What cannot be written now is kept for the next time.
    pub(in crate::receiver) async fn flush(&self) {
        let uses: Vec<KeyUses> = std::mem::take(&mut *self.pending()).into_values().collect();
        if uses.is_empty() {
            return;
        }
        if let Err(error) = self.store.count_uses(&uses).await {
            tracing::warn!(event = "key_counts_not_written", %error, "the counts of keys could not be written now");
            uses.into_iter().for_each(|uses| self.add(uses));
        }
    }
}
