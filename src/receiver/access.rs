//! Who may come in: the key that a request names, and what it is for.

use super::ReceiverState;
use super::answer::{Refusal, unavailable};
use super::keys::{Rejected, authenticate};
use crate::mapping::{Mapping, PayloadTemplate};
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
    /// When it came.
    pub at: DateTime<Utc>,
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
    Ok(Admitted { mapping: mapping(&key)?, revision: key.revision, key_id: key.id, at })
}

fn mapping(key: &KeyRecord) -> Result<Mapping, Refusal> {
    let text = key.template.as_deref().unwrap_or_default();
    PayloadTemplate::from_json_text(text).map(Mapping::new).map_err(|error| {
        tracing::warn!(key = key.id, %error, "the stored payload template of a key cannot be read");
        Refusal::Unavailable
    })
}
