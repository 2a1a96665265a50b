//! Who may come in: the key that a request names, whether it is valid now, and how often it has come.

use super::Options;
use super::admitted::{Admitted, WithKey};
use super::answer::{Refusal, unavailable};
use super::body::{self, Held, Limits};
use super::caller::Caller;
use super::keys::{Cache, Cached, Credentials, Known, Shape, Uses, compare_with_nothing, shape};
use super::limits::RateLimits;
use super::memory::Memory;
use crate::job::Secrets;
use crate::server::note_key;
use crate::store::KeyStore;
use axum::body::Body;
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// This part of the memory for bodies is for those whose sender is only known by what stands in them.
const STRANGERS: usize = 8;
/// Keys of which nothing is known that are looked up at a time. Anybody can make keys up whose checksum fits; they must not take all of the
/// store's connections.
const LOOK_UPS: usize = 4;
/// How long another waits for its turn.
const TURN: Duration = Duration::from_secs(2);

/// The way in. One for all requests.
pub(super) struct Access {
    store: Arc<dyn KeyStore>,
    secrets: Arc<Secrets>,
    cache: Cache,
    /// [`LOOK_UPS`]
    look_ups: Semaphore,
    uses: Arc<Uses>,
    rates: RateLimits,
    memory: Memory,
    /// For bodies that are read before their sender is known, so that strangers cannot take the others' room.
    strangers: Memory,
}

impl Access {
    /// Starts the task that writes what is counted.
    pub(super) fn start(store: Arc<dyn KeyStore>, secrets: Secrets, options: &Options) -> Access {
        Access {
            uses: Uses::start(Arc::clone(&store)),
            store,
            secrets: Arc::new(secrets),
            cache: Cache::default(),
            look_ups: Semaphore::new(LOOK_UPS),
            rates: RateLimits::new(options.rate, options.bad_keys_per_minute),
            memory: Memory::new(options.body_memory),
            strangers: Memory::new(options.body_memory / STRANGERS),
        }
    }

    /// Looks the key up.
    ///
    /// # Errors
    /// 401 for everything that is wrong with key or secret, 403 for a key of the other endpoint type, 503 where the store fails or more keys
    /// are looked up than may be; 429 for too many requests
    /// with a key, or with bad keys from an address.
    pub(super) async fn admit(
        &self,
        caller: Caller,
        text: &str,
        secret: Option<&[u8]>,
        at: DateTime<Utc>,
    ) -> Result<WithKey<'_>, Refusal> {
        let shown = Credentials::new(text, secret);
        let known = match shape(text) {
            Shape::Key => self.known(&shown).await?,
            // Whoever sends this can compute the checksum, so that it is answered sooner tells nobody anything.
            Shape::Mistyped => {
                tracing::info!(
                    event = "key_mistyped",
                    "a request was refused: its API key is mistyped, or made up; the checksum does not fit"
                );
                None
            }
            Shape::Other => None,
        };
        if known.is_none() {
            compare_with_nothing(&shown);
        }
        let Some(key) = known.filter(|key| key.admits(&shown, at)) else {
            return Err(self.bad_key(&caller));
        };
        note_key(&key.record.id);
        self.rates.key(&key.record.id, key.record.rate)?;
        Ok(WithKey::new(self, Admitted::new(key, shown, caller, at)?))
    }

    /// What a request without a good key is answered.
    pub(super) fn bad_key(&self, caller: &Caller) -> Refusal {
        self.rates.bad_key(caller.address)
    }

    /// Reads a body whose sender is not known yet.
    ///
    /// # Errors
    /// As [`body::read`].
    pub(super) async fn read_strangers_body(
        &self,
        headers: &HeaderMap,
        body: Body,
        limits: Limits,
    ) -> Result<Held, Refusal> {
        body::read(headers, body, limits, &self.strangers).await
    }

    /// Reads a body whose sender has a good key.
    ///
    /// # Errors
    /// As [`body::read`].
    pub(super) async fn read_body(&self, headers: &HeaderMap, body: Body, limits: Limits) -> Result<Held, Refusal> {
        body::read(headers, body, limits, &self.memory).await
    }

    /// The key, from memory or from the store. A text that nobody knows waits for its turn; a key that was good a second ago does not,
    /// so that strangers hold up no sender but one that is new.
    async fn known(&self, shown: &Credentials) -> Result<Option<Arc<Known>>, Refusal> {
        match self.cache.get(shown.key()) {
            Cached::Fresh(known) => Ok(Some(known)),
            Cached::Stale => self.look_up_and_note(shown).await,
            Cached::Unknown => {
                // The semaphore is never closed.
                let Ok(Ok(_turn)) = timeout(TURN, self.look_ups.acquire()).await else {
                    tracing::warn!(
                        event = "key_lookups_full",
                        "a request was answered 503: too many keys that are not known wait to be looked up"
                    );
                    return Err(Refusal::Overloaded);
                };
                // Many requests of a new sender come together; the first has looked its key up for all.
                match self.cache.get(shown.key()) {
                    Cached::Fresh(known) => Ok(Some(known)),
                    Cached::Stale | Cached::Unknown => self.look_up_and_note(shown).await,
                }
            }
        }
    }

    async fn look_up_and_note(&self, shown: &Credentials) -> Result<Option<Arc<Known>>, Refusal> {
        let found = self.look_up(shown).await;
        match &found {
            Ok(Some(known)) => self.cache.put(*shown.key(), Arc::clone(known)),
            Ok(None) | Err(_) => self.cache.forget(shown.key()),
        }
        found
    }

    async fn look_up(&self, shown: &Credentials) -> Result<Option<Arc<Known>>, Refusal> {
        let record = self.store.key_by_hash(shown.key()).await.map_err(|error| unavailable(&error))?;
        let Some(record) = record else { return Ok(None) };
        if record.signature.is_none() {
            return Ok(Some(Arc::new(Known::new(record, &self.secrets))));
        }
        // The secret may stand in a file.
        let secrets = Arc::clone(&self.secrets);
        let known = tokio::task::spawn_blocking(move || Known::new(record, &secrets)).await;
        known.map(|known| Some(Arc::new(known))).map_err(|error| unavailable(&error))
    }

    /// The key has changed since it was read: is what was admitted still?
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    pub(super) async fn again(&self, admitted: &Admitted) -> Result<Admitted, Refusal> {
        let key = match self.cache.get(admitted.shown().key()) {
            // Another request of the same sender was sooner.
            Cached::Fresh(known) if known.record.revision > admitted.key().revision => Some(known),
            // No stranger's: it waits for no turn.
            _ => self.look_up_and_note(admitted.shown()).await?,
        };
        match key.filter(|key| admitted.is_let_in_by(key)) {
            Some(key) => admitted.with(key),
            None => Err(self.bad_key(&admitted.caller)),
        }
    }

    /// Counts what became of a sender's events, besides those that are stored.
    pub(super) fn count(&self, admitted: &Admitted, ignored: usize, rejected: usize) {
        self.uses.note(admitted.key_id(), ignored, rejected, admitted.at);
    }

    /// Counts a refusal that is the sender's doing.
    pub(super) fn counted<T>(&self, admitted: &Admitted, result: Result<T, Refusal>) -> Result<T, Refusal> {
        if result.as_ref().is_err_and(Refusal::is_about_the_body) {
            self.count(admitted, 0, 1);
        }
        result
    }

    /// Writes what has been counted so far.
    pub(super) async fn flush(&self) {
        self.uses.flush().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Home;
    use crate::receiver::called::Called;
    use crate::store::{EndpointType, Hash, KeyCounts, KeyRecord, KeyUses, StoreError};
    use async_trait::async_trait;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use futures_util::future::join_all;
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Mutex;

    /// Has one key, and takes its time with all others: one answer for each permit.
    struct Slow {
        key: KeyRecord,
        permits: Semaphore,
        asked: Mutex<Vec<Hash>>,
    }

    #[async_trait]
    impl KeyStore for Slow {
        async fn key_by_hash(&self, hash: &Hash) -> Result<Option<KeyRecord>, StoreError> {
            self.asked.lock().expect("not poisoned").push(*hash);
            if *hash == self.key.key_hash {
                tokio::task::yield_now().await;
                return Ok(Some(self.key.clone()));
            }
            self.permits.acquire().await.expect("open").forget();
            Ok(None)
        }

        async fn put_key(&self, _: &KeyRecord) -> Result<(), StoreError> {
            Ok(())
        }

        async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
            Ok(Vec::new())
        }

        async fn key(&self, _: &str) -> Result<Option<KeyRecord>, StoreError> {
            Ok(None)
        }

        async fn change_key(&self, _: &KeyRecord) -> Result<bool, StoreError> {
            Ok(false)
        }

        async fn revoke_key(&self, _: &str, _: DateTime<Utc>) -> Result<Option<KeyRecord>, StoreError> {
            Ok(None)
        }

        async fn count_uses(&self, _: &[KeyUses]) -> Result<(), StoreError> {
            Ok(())
        }
    }

    /// A text that may be a key for all that can be seen.
    fn made_up(number: u8) -> String {
        format!("sk_{}", URL_SAFE_NO_PAD.encode([number; 32]))
    }

    fn access(good: &str) -> (Access, Arc<Slow>) {
        let key = KeyRecord {
            id: "key_1".to_owned(),
            name: "n".to_owned(),
            endpoint: EndpointType::ProductOrgs,
            prefix: "sk_".to_owned(),
            key_hash: *Credentials::new(good, None).key(),
            secret_hash: None,
            template: Some("{\"product_org_id\":\"id\"}".to_owned()),
            created_at: DateTime::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            revision: 1,
            previous: None,
            signature: None,
            rate: None,
            counts: KeyCounts::default(),
        };
        let store = Arc::new(Slow { key, permits: Semaphore::new(0), asked: Mutex::default() });
        let secrets = Secrets::new(&Home::new(std::path::Path::new("/")).expect("a path"));
        let options = Options::default().without_rates();
        (Access::start(Arc::clone(&store) as Arc<dyn KeyStore>, secrets, &options), store)
    }

    async fn admit(access: &Access, text: &str) -> Result<(), Refusal> {
        let called = Called::by(&HeaderMap::new());
        let caller = Caller { request_id: "r".to_owned(), address: IpAddr::from(Ipv4Addr::LOCALHOST), called };
        access.admit(caller, text, None, DateTime::UNIX_EPOCH).await.map(drop)
    }

    #[tokio::test(start_paused = true)]
    async fn made_up_keys_take_few_look_ups_and_hold_no_known_sender_up() {
        let good = made_up(0);
        let (access, store) = access(&good);
        assert_eq!(admit(&access, &good).await, Ok(()));
        let texts: Vec<String> = (1..=20).map(made_up).collect();
        let strangers = join_all(texts.iter().map(|text| admit(&access, text)));
        let meanwhile = async {
            // While they wait for their turn, its second is over, twice.
            for _ in 0..2 {
                tokio::time::sleep(TURN * 3 / 4).await;
                assert_eq!(admit(&access, &good).await, Ok(()), "known, and looked up again");
            }
            tokio::time::sleep(TURN).await;
            assert_eq!(store.asked.lock().expect("not poisoned").len(), 3 + LOOK_UPS);
            store.permits.add_permits(LOOK_UPS);
        };
        let (results, ()) = tokio::join!(strangers, meanwhile);
        let count = |refusal: &Refusal| results.iter().filter(|result| result.as_ref().err() == Some(refusal)).count();
        assert_eq!(
            (count(&Refusal::Unauthorized), count(&Refusal::Overloaded)),
            (LOOK_UPS, 20 - LOOK_UPS),
            "{results:?}"
        );
        store.permits.add_permits(1);
        assert_eq!(admit(&access, &texts[0]).await, Err(Refusal::Unauthorized), "the turns are given back");
    }

    #[tokio::test]
    async fn a_sender_that_is_new_is_looked_up_once() {
        let good = made_up(0);
        let (access, store) = access(&good);
        let results = join_all((0..20).map(|_| admit(&access, &good))).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert!(store.asked.lock().expect("not poisoned").len() <= LOOK_UPS);
    }

    #[tokio::test]
    async fn what_cannot_be_a_key_is_not_looked_up() {
        let (access, store) = access(&made_up(0));
        let mistyped = format!("sk_{}", "a".repeat(49));
        assert_eq!(crate::receiver::keys::shape(&mistyped), Shape::Mistyped);
        for text in ["", "sk_", "sk_unknown", &mistyped] {
            assert_eq!(admit(&access, text).await, Err(Refusal::Unauthorized), "{text}");
        }
        assert!(store.asked.lock().expect("not poisoned").is_empty());
    }
}
