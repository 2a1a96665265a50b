//! A request whose key is good, and what it becomes with a body that is signed as the key asks.
//!
//! Two steps, because the key is checked before anything of the body is read: a request [`WithKey`] has a valid key of the right
//! type, and only one that is [`Admitted`] may store anything.

use super::access::Access;
use super::answer::Refusal;
use super::body::{Held, Limits};
use super::caller::Caller;
use super::keys::{Credentials, Known, Unsigned};
use crate::mapping::Mapping;
use crate::store::{EndpointType, KeyUse};
use axum::body::Body;
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// A request whose key is valid and of the right type.
pub(super) struct WithKey<'a> {
    access: &'a Access,
    admitted: Admitted,
}

impl<'a> WithKey<'a> {
    pub(super) fn new(access: &'a Access, admitted: Admitted) -> WithKey<'a> {
        WithKey { access, admitted }
    }

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
    /// For a signature that is missing or does not fit, the same as for everything else about the key; 503 if the secret
    /// to check it by is not there; 400 for a header by which no request may be called.
    pub(super) fn signed(self, headers: &HeaderMap, body: &[u8]) -> Result<Admitted, Refusal> {
        let key = self.admitted.key_id();
        match self.admitted.key.check_signature(headers, body, self.admitted.at) {
            Ok(()) => {
                self.counted(self.admitted.caller.called.check())?;
                Ok(self.admitted)
            }
            Err(Unsigned::Bad(why)) => {
                tracing::warn!(
                    event = "signature_refused",
                    key,
                    why,
                    "a request with a valid key was refused: its signature is missing or wrong"
                );
                Err(self.access.bad_key(&self.admitted.caller))
            }
            Err(Unsigned::Unresolved) => {
                tracing::error!(
                    event = "signing_secret_missing",
                    key,
                    "an update was answered 503: the key's signing secret cannot be had"
                );
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
    /// # Errors
    /// 403 for a key of the other endpoint type, 503 for a template that cannot be read.
    pub(super) fn new(
        key: Arc<Known>,
        shown: Credentials,
        caller: Caller,
        at: DateTime<Utc>,
    ) -> Result<Admitted, Refusal> {
        if key.record.endpoint != EndpointType::ProductOrgs {
            return Err(Refusal::WrongEndpoint);
        }
        // Why there is none was said when it was read.
        let mapping = key.mapping.clone().ok_or(Refusal::Unavailable)?;
        Ok(Admitted { key, mapping, shown, caller, at })
    }

    /// What it showed of its key and secret.
    pub(super) fn shown(&self) -> &Credentials {
        &self.shown
    }

    /// Whether it would be let in by this key, and it is its own: a text may have become another key's.
    pub(super) fn is_let_in_by(&self, key: &Known) -> bool {
        key.record.id == self.key.record.id && key.admits(&self.shown, self.at)
    }

    /// The same request by its key as it is now.
    ///
    /// # Errors
    /// As [`new`](Self::new); 503 if the key asks for another signature by now: the body is gone, so the sender comes again.
    pub(super) fn with(&self, key: Arc<Known>) -> Result<Admitted, Refusal> {
        match key.record.signature == self.key.record.signature {
            true => Admitted::new(key, self.shown.clone(), self.caller.clone(), self.at),
            false => Err(Refusal::Unavailable),
        }
    }

    /// The id of its key.
    pub(super) fn key_id(&self) -> &str {
        &self.key.record.id
    }

    /// Its key as it was when it was let in: nothing is written with one that has changed.
    pub(super) fn key(&self) -> KeyUse {
        KeyUse { id: self.key.record.id.clone(), revision: self.key.record.revision }
    }
}
