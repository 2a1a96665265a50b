//! Who may come in: the key that a request names, what it is for, and whether the body is signed as the key asks.
//!
//! Two steps, because the key is checked before anything of the body is read: a [`Caller`] has a valid key of the right type,
//! and only [`Admitted`], which a caller becomes with its body, may store anything.

use super::answer::{Refusal, unavailable};
use super::body::{self, Limits};
use super::keys::{Cache, Credentials, Known, Shape, Unsigned, Uses, compare_with_nothing, shape};
use crate::job::Secrets;
use crate::mapping::Mapping;
use crate::store::{EndpointType, KeyStore};
use axum::body::Body;
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// The way to the keys. One for all requests.
pub(super) struct Access {
    store: Arc<dyn KeyStore>,
    secrets: Arc<Secrets>,
    cache: Cache,
    uses: Arc<Uses>,
}

impl Access {
    /// Starts the task that writes what is counted.
    pub(super) fn start(store: Arc<dyn KeyStore>, secrets: Secrets) -> Access {
        let uses = Uses::start(Arc::clone(&store));
        Access { store, secrets: Arc::new(secrets), cache: Cache::default(), uses }
    }

    /// Looks the key up.
    ///
    /// # Errors
    /// 401 for everything that is wrong with key or secret, 403 for a key of the other endpoint type, 503.
    pub(super) async fn caller(
        &self,
        text: &str,
        secret: Option<&[u8]>,
        at: DateTime<Utc>,
    ) -> Result<Caller<'_>, Refusal> {
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
        let Some(key) = known else {
            compare_with_nothing(&shown);
            return Err(Refusal::Unauthorized);
        };
        self.judge(key, shown, at)
    }

    fn judge(&self, key: Arc<Known>, shown: Credentials, at: DateTime<Utc>) -> Result<Caller<'_>, Refusal> {
        if !key.admits(&shown, at) {
            return Err(Refusal::Unauthorized);
        }
        if key.record.endpoint != EndpointType::ProductOrgs {
            return Err(Refusal::WrongEndpoint);
        }
        // Why there is none was said when it was read.
        let mapping = key.mapping.clone().ok_or(Refusal::Unavailable)?;
        Ok(Caller { access: self, admitted: Admitted { key, mapping, shown, at } })
    }

    async fn known(&self, shown: &Credentials) -> Result<Option<Arc<Known>>, Refusal> {
        if let Some(known) = self.cache.get(shown.key()) {
            return Ok(Some(known));
        }
        let found = self.read(shown).await;
        match &found {
            Ok(Some(known)) => self.cache.put(*shown.key(), Arc::clone(known)),
            Ok(None) | Err(_) => self.cache.forget(shown.key()),
        }
        found
    }

    async fn read(&self, shown: &Credentials) -> Result<Option<Arc<Known>>, Refusal> {
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
    /// As [`caller`](Self::caller).
    pub(super) async fn again(&self, admitted: &Admitted) -> Result<Admitted, Refusal> {
        self.cache.forget(admitted.shown.key());
        let key = self.known(&admitted.shown).await?.ok_or(Refusal::Unauthorized)?;
        let caller = self.judge(key, admitted.shown.clone(), admitted.at)?;
        // The body is gone, and another signature would have to be checked against it. The sender comes again.
        match caller.admitted.key.record.signature == admitted.key.record.signature {
            true => Ok(caller.admitted),
            false => Err(Refusal::Unavailable),
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

/// A request whose key is valid and of the right type.
pub(super) struct Caller<'a> {
    access: &'a Access,
    admitted: Admitted,
}

impl Caller<'_> {
    /// Reads the body and checks its signature.
    ///
    /// # Errors
    /// As [`body::read`] and [`signed`](Self::signed).
    pub(super) async fn read(
        self,
        headers: &HeaderMap,
        body: Body,
        limits: Limits,
    ) -> Result<(Admitted, Vec<u8>), Refusal> {
        let body = self.counted(body::read(headers, body, limits).await)?;
        Ok((self.signed(headers, &body)?, body))
    }

    /// The same for a body that was read already.
    ///
    /// # Errors
    /// 401 for a signature that is missing or does not fit, the same as for everything else about the key; 503 if the
    /// secret to check it by is not there.
    pub(super) fn signed(self, headers: &HeaderMap, body: &[u8]) -> Result<Admitted, Refusal> {
        let key = self.admitted.key_id();
        match self.admitted.key.check_signature(headers, body, self.admitted.at) {
            Ok(()) => Ok(self.admitted),
            Err(Unsigned::Bad(why)) => {
                tracing::warn!(key, why, "a request with a valid key was refused: its signature is missing or wrong");
                Err(Refusal::Unauthorized)
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
    /// When it came.
    pub at: DateTime<Utc>,
}

impl Admitted {
    pub(super) fn key_id(&self) -> &str {
        &self.key.record.id
    }
}
