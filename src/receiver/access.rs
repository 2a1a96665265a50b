//! Who may come in: the key that a request names, whether it is valid now, and how often it has come.

use super::Options;
use super::admitted::{Admitted, WithKey};
use super::answer::{Refusal, unavailable};
use super::body::{self, Held, Limits};
use super::caller::Caller;
use super::keys::{Cache, Credentials, Known, Shape, Uses, compare_with_nothing, shape};
use super::limits::RateLimits;
use super::memory::Memory;
use crate::job::Secrets;
use crate::server::note_key;
use crate::store::KeyStore;
use axum::body::Body;
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// This part of the memory for bodies is for those whose sender is only known by what stands in them.
const STRANGERS: usize = 8;

/// The way in. One for all requests.
pub(super) struct Access {
    store: Arc<dyn KeyStore>,
    secrets: Arc<Secrets>,
    cache: Cache,
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
            rates: RateLimits::new(options.rate, options.bad_keys_per_minute),
            memory: Memory::new(options.body_memory),
            strangers: Memory::new(options.body_memory / STRANGERS),
        }
    }

    /// Looks the key up.
    ///
    /// # Errors
    /// 401 for everything that is wrong with key or secret, 403 for a key of the other endpoint type, 503; 429 for too many requests
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
                tracing::info!("a request was refused: its API key is mistyped, or made up; the checksum does not fit");
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

    async fn known(&self, shown: &Credentials) -> Result<Option<Arc<Known>>, Refusal> {
        if let Some(known) = self.cache.get(shown.key()) {
            return Ok(Some(known));
        }
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
        self.cache.forget(admitted.shown().key());
        let key = self.known(admitted.shown()).await?;
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
