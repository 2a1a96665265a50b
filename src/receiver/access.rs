//! Who may come in: the key that a request names, and what it is for.

use super::ReceiverState;
use super::answer::{Refusal, unavailable};
use super::caller::Caller;
use super::keys::{Rejected, authenticate};
use crate::mapping::{Mapping, PayloadTemplate};
use crate::server::note_key;
use crate::store::{EndpointType, KeyRecord};
use chrono::{DateTime, Utc};

/// A request whose key is valid and of the right type.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The id of its key.
    pub key_id: String,
    /// Its revision: nothing is written with a key that has another by then.
    pub revision: i64,
    /// What payloads are read by.
    pub mapping: Mapping,
    /// What the request is called.
    pub request_id: String,
    /// When it came.
    pub at: DateTime<Utc>,
}

/// Looks the key up.
///
/// # Errors
/// 401 for everything that is wrong with key or secret, 403 for a key of the other endpoint type, 503; 429 for too many requests with a
/// key, or with bad keys from an address.
pub(super) async fn admit(
    state: &ReceiverState,
    caller: Caller,
    api_key: &str,
    secret: Option<&[u8]>,
    at: DateTime<Utc>,
) -> Result<Admitted, Refusal> {
    let key = authenticate(state.keys.as_ref(), api_key, secret, at).await.map_err(|rejected| match rejected {
        Rejected::Unauthorized => state.rates.bad_key(caller.address),
        Rejected::Store(error) => unavailable(&error),
    })?;
    note_key(&key.id);
    state.rates.key(&key.id, key.rate)?;
    if key.endpoint != EndpointType::ProductOrgs {
        return Err(Refusal::WrongEndpoint);
    }
    Ok(Admitted { mapping: mapping(&key)?, revision: key.revision, key_id: key.id, request_id: caller.request_id, at })
}

fn mapping(key: &KeyRecord) -> Result<Mapping, Refusal> {
    let text = key.template.as_deref().unwrap_or_default();
    PayloadTemplate::from_json_text(text).map(Mapping::new).map_err(|error| {
        tracing::warn!(key = key.id, %error, "the stored payload template of a key cannot be read");
        Refusal::Unavailable
    })
}
