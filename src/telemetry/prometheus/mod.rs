//! Metrics in Prometheus' text format. docs/METRICS.md is their contract.
//!
//! [`instruments`] is every metric with its name, type and words; [`told`] counts what happens; [`standing`] reads from the state store
//! what it knows, at each scrape; [`store`] times the store.

mod instruments;
mod standing;
mod store;
mod told;

pub use store::Timed;

use crate::clock::Clock;
use crate::metrics::{Exposition, LiveLimits, Watched};
use crate::store::StateStore;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use instruments::Instruments;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;
use standing::Memory;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Every metric of a process.
pub struct Figures {
    registry: Registry,
    instruments: Instruments,
    clock: Arc<dyn Clock>,
    watched: RwLock<Vec<Watched>>,
    /// Of the last delivery of each job since the start.
    limits: Mutex<HashMap<String, LiveLimits>>,
    /// When the fires were to begin whose runs do not have their locks yet, by job.
    begins: Mutex<HashMap<String, DateTime<Utc>>>,
    /// Where the jobs stand; not before there is a store.
    store: RwLock<Option<Arc<dyn StateStore>>>,
    /// One scrape at a time: each empties what is read from the store and fills it again.
    memory: tokio::sync::Mutex<Memory>,
}

impl Figures {
    /// Nothing has happened yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let mut registry = Registry::default();
        let instruments = Instruments::register(&mut registry);
        instruments.start(clock.now());
        Figures {
            registry,
            instruments,
            clock,
            watched: RwLock::default(),
            limits: Mutex::default(),
            begins: Mutex::default(),
            store: RwLock::default(),
            memory: tokio::sync::Mutex::default(),
        }
    }

    /// Where the jobs stand is read from this store.
    pub fn reads(&self, store: Arc<dyn StateStore>) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = Some(store);
    }
}

#[async_trait]
impl Exposition for Figures {
    async fn text(&self) -> (&'static str, String) {
        let mut memory = self.memory.lock().await;
        self.read_standing(&mut memory).await;
        let mut text = String::new();
        // Only a writer can fail, and a string does not.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        (prometheus_text::CONTENT_TYPE, text)
    }
}

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Figures").finish_non_exhaustive()
    }
}

/// Seconds since 1970, to the millisecond.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this era fit")]
fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests;
