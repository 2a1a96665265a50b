//! Who may come in: the key that a request names, and what it is for.

use super::ReceiverState;
use super::answer::{Refusal, unavailable};
use super::keys::{Rejected, authenticate};
use crate::mapping::{Mapping, PayloadTemplate};
use crate::store::{EndpointType, KeyRecord};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use std::fmt;

/// A request whose key is valid and of the right type.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The id of its key.
    pub key_id: String,
    /// Its revision: nothing is written with a key that has another by then.
    pub revision: i64,
    /// What payloads are read by.
    pub mapping: Mapping,
    /// When it came.
    pub at: DateTime<Utc>,
    credentials: Credentials,
}

/// What a request is let in by. Not shown.
struct Credentials {
    api_key: SecretString,
    secret: Option<SecretSlice<u8>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl Admitted {
    /// Looks the key up once more, as the request came with it, and returns its revision.
    ///
    /// # Errors
    /// As [`admit`].
    pub(super) async fn again(&self, state: &ReceiverState) -> Result<i64, Refusal> {
        let Credentials { api_key, secret } = &self.credentials;
        let secret = secret.as_ref().map(|secret| secret.expose_secret());
        let again = admit(state, api_key.expose_secret(), secret, state.clock.now()).await?;
        // The text may have become another key's, which this request was not let in by.
        match again.key_id == self.key_id {
            true => Ok(again.revision),
            false => Err(Refusal::Unauthorized),
        }
    }
}

/// Looks the key up.
///
/// # Errors
/// 401 for everything that is wrong with key or secret, 403 for a key of the other endpoint type, 503.
pub(super) async fn admit(
    state: &ReceiverState,
    api_key: &str,
    secret: Option<&[u8]>,
    at: DateTime<Utc>,
) -> Result<Admitted, Refusal> {
    let key = authenticate(state.keys.as_ref(), api_key, secret, at).await.map_err(|rejected| match rejected {
        Rejected::Unauthorized => Refusal::Unauthorized,
        Rejected::Store(error) => unavailable(&error),
    })?;
    if key.endpoint != EndpointType::ProductOrgs {
        return Err(Refusal::WrongEndpoint);
    }
    let credentials = Credentials { api_key: api_key.into(), secret: secret.map(|secret| secret.to_vec().into()) };
    Ok(Admitted { mapping: mapping(&key)?, revision: key.revision, key_id: key.id, at, credentials })
}

fn mapping(key: &KeyRecord) -> Result<Mapping, Refusal> {
    let text = key.template.as_deref().unwrap_or_default();
    PayloadTemplate::from_json_text(text).map(Mapping::new).map_err(|error| {
        tracing::warn!(key = key.id, %error, "the stored payload template of a key cannot be read");
        Refusal::Unavailable
    })
}
