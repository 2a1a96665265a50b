//! Who may come in: the key that a request names, what it is for, and whether the body is signed as the key asks.
//!
//! Two steps, because the key is checked before anything of the body is read: a request [`WithKey`] has a valid key of the right
//! type, and only one that is [`Admitted`], which it becomes with its body, may store anything.

use super::Options;
use super::answer::{Refusal, unavailable};
use super::body::{self, Held, Limits};
use super::caller::Caller;
use super::keys::{Cache, Credentials, Known, Shape, Unsigned, Uses, compare_with_nothing, shape};
use super::limits::RateLimits;
use super::memory::Memory;
use crate::job::Secrets;
use crate::mapping::Mapping;
use crate::server::note_key;
use crate::store::{EndpointType, KeyStore, KeyUse};
use axum::body::Body;
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// The way in. One for all requests.
pub(super) struct Access {
    store: Arc<dyn KeyStore>,
    secrets: Arc<Secrets>,
    cache: Cache,
    uses: Arc<Uses>,
    rates: RateLimits,
    memory: Memory,
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
        Ok(WithKey { access: self, admitted: Admitted::new(key, shown, caller, at)? })
    }

    /// What a request without a good key is answered.
    pub(super) fn bad_key(&self, caller: &Caller) -> Refusal {
        self.rates.bad_key(caller.address)
    }

    /// Reads a body whose sender is not known yet.
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
        self.cache.forget(admitted.shown.key());
        let key = self.known(&admitted.shown).await?.ok_or(Refusal::Unauthorized)?;
        if !key.admits(&admitted.shown, admitted.at) {
            return Err(Refusal::Unauthorized);
        }
        // The body is gone, and another signature would have to be checked against it. The sender comes again.
        if key.record.signature != admitted.key.record.signature {
            return Err(Refusal::Unavailable);
        }
        Admitted::new(key, admitted.shown.clone(), admitted.caller.clone(), admitted.at)
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

/// A request whose key is valid and of the right type.
pub(super) struct WithKey<'a> {
    access: &'a Access,
    admitted: Admitted,
}

impl WithKey<'_> {
    /// Reads the body and checks its signature.
    ///
    /// # Errors
    /// As [`body::read`] and [`signed`](Self::signed).
    pub(super) async fn read(
        self,
        headers: &HeaderMap,
        body: Body,
        limits: Limits,
    ) -> Result<(Admitted, Held), Refusal> {
        let body = self.counted(self.access.read_body(headers, body, limits).await)?;
        Ok((self.signed(headers, &body)?, body))
    }

    /// The same for a body that was read already.
    ///
    /// # Errors
    /// 400 for a header by which no request may be called. For a signature that is missing or does not fit, the same as for everything else about the key; 503 if the secret
    /// to check it by is not there.
    pub(super) fn signed(self, headers: &HeaderMap, body: &[u8]) -> Result<Admitted, Refusal> {
        let key = self.admitted.key_id();
        match self.admitted.key.check_signature(headers, body, self.admitted.at) {
            Ok(()) => {
                self.counted(self.admitted.caller.called.check())?;
                Ok(self.admitted)
            }
            Err(Unsigned::Bad(why)) => {
                tracing::warn!(key, why, "a request with a valid key was refused: its signature is missing or wrong");
                Err(self.access.bad_key(&self.admitted.caller))
            }
            Err(Unsigned::Unresolved) => {
                tracing::error!(key, "an update was answered 503: the key's signing secret cannot be had");
                Err(Refusal::Unavailable)
            }
        }
    }

    /// Counts a refusal that is the sender's doing.
    pub(super) fn counted<T>(&self, result: Result<T, Refusal>) -> Result<T, Refusal> {
        self.access.counted(&self.admitted, result)
    }
}

/// A request that may store what its body says.
#[derive(Debug, Clone)]
pub(super) struct Admitted {
    key: Arc<Known>,
    /// What payloads are read by.
    pub mapping: Arc<Mapping>,
    shown: Credentials,
    /// Who sends it, and what it is called.
    pub caller: Caller,
    /// When it came.
    pub at: DateTime<Utc>,
}

impl Admitted {
    fn new(key: Arc<Known>, shown: Credentials, caller: Caller, at: DateTime<Utc>) -> Result<Admitted, Refusal> {
        if key.record.endpoint != EndpointType::ProductOrgs {
            return Err(Refusal::WrongEndpoint);
        }
        // Why there is none was said when it was read.
        let mapping = key.mapping.clone().ok_or(Refusal::Unavailable)?;
        Ok(Admitted { key, mapping, shown, caller, at })
    }

    /// The id of its key.
    pub(super) fn key_id(&self) -> &str {
        &self.key.record.id
    }

    /// Its key as it was let in by: nothing is written with one that has changed by then.
    pub(super) fn key(&self) -> KeyUse {
        KeyUse { id: self.key.record.id.clone(), revision: self.key.record.revision }
    }
}
