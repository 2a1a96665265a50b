//! Keys that were looked up a moment ago, so that a sender's requests do not each read the store.
//!
//! Always holds: a key is known for a second, and for as long as a look-up takes then; nothing is written with what is no
//! longer so (the store compares the revision). Only keys that there are have a place, and no more than [`CAPACITY`] of
//! them: unknown ones are looked up each time.

use super::known::Known;
use crate::store::Hash;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a key is known.
const FRESH: Duration = Duration::from_secs(1);
/// Keys that are known at most.
const CAPACITY: usize = 10_000;

#[derive(Debug)]
struct Entry {
    known: Arc<Known>,
    since: Instant,
}

/// What is known of a key.
#[derive(Debug)]
pub(in crate::receiver) enum Cached {
    /// What it was a moment ago.
    Fresh(Arc<Known>),
    /// There was such a key. Whoever is told so looks it up.
    Stale,
    /// Nothing: it may be made up.
    Unknown,
}

/// Keys by the hash of their text.
#[derive(Debug, Default)]
pub(in crate::receiver) struct Cache(Mutex<HashMap<Hash, Entry>>);

impl Cache {
    fn entries(&self) -> MutexGuard<'_, HashMap<Hash, Entry>> {
        // Each change is one call: a thread that panicked has left nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of many requests that come with a key whose second is over, one is told so; the others go on with what was known until it has
    /// come back.
    pub(in crate::receiver) fn get(&self, key: &Hash) -> Cached {
        let now = Instant::now();
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(key) else { return Cached::Unknown };
        if now.duration_since(entry.since) < FRESH {
            return Cached::Fresh(Arc::clone(&entry.known));
        }
        entry.since = now;
        Cached::Stale
    }

    pub(in crate::receiver) fn put(&self, key: Hash, known: Arc<Known>) {
        let now = Instant::now();
        let mut entries = self.entries();
        if entries.len() >= CAPACITY && !entries.contains_key(&key) {
            entries.retain(|_, entry| now.duration_since(entry.since) < FRESH);
            if entries.len() >= CAPACITY {
                return;
            }
        }
        entries.insert(key, Entry { known, since: now });
    }

    /// It has changed, or there is no such key any more.
    pub(in crate::receiver) fn forget(&self, key: &Hash) {
        self.entries().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;
    use crate::config::Home;
    use crate::job::Secrets;

    fn known() -> Arc<Known> {
        let secrets = Secrets::new(&Home::new(std::path::Path::new("/")).expect("a path"));
        Arc::new(Known::new(record(), &secrets))
    }

    fn is_fresh(cache: &Cache, key: [u8; 32]) -> bool {
        matches!(cache.get(&key), Cached::Fresh(_))
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_known_for_a_second() {
        let (cache, known) = (Cache::default(), known());
        assert!(matches!(cache.get(&[1; 32]), Cached::Unknown));
        cache.put([1; 32], Arc::clone(&known));
        tokio::time::advance(FRESH - Duration::from_millis(1)).await;
        assert!(is_fresh(&cache, [1; 32]) && matches!(cache.get(&[2; 32]), Cached::Unknown));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(matches!(cache.get(&[1; 32]), Cached::Stale), "one looks it up");
        assert!(is_fresh(&cache, [1; 32]), "the others do not wait for it");
        cache.forget(&[1; 32]);
        assert!(matches!(cache.get(&[1; 32]), Cached::Unknown));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_known_than_may_be() {
        let (cache, known) = (Cache::default(), known());
        let key = |number: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_le_bytes());
            key
        };
        (0..CAPACITY + 5).for_each(|number| cache.put(key(number), Arc::clone(&known)));
        assert_eq!(cache.entries().len(), CAPACITY);
        assert!(!is_fresh(&cache, key(CAPACITY)) && is_fresh(&cache, key(0)));
        tokio::time::advance(FRESH).await;
        cache.put(key(CAPACITY), known);
        assert_eq!(cache.entries().len(), 1, "those whose second is over make room");
    }
}
