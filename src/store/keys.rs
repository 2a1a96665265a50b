//! API keys as the store sees them: hashes, never the keys.

use super::StoreError;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::fmt;

/// SHA-256 of a key or a secret. Both are 256 random bits, so a fast hash is enough.
pub type Hash = [u8; 32];

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointType {
    /// Product Org Updates: the webhook that upserts orgs.
    ProductOrgs,
    /// Signal Staging: known so that a key of the wrong type can be told from an unknown one.
    SignalStaging,
}

impl EndpointType {
    /// `product-orgs` or `signal-staging`.
    pub fn as_str(self) -> &'static str {
        match self {
            EndpointType::ProductOrgs => "product-orgs",
            EndpointType::SignalStaging => "signal-staging",
        }
    }

    /// The reverse of [`as_str`](Self::as_str).
    pub fn parse(text: &str) -> Option<Self> {
        [EndpointType::ProductOrgs, EndpointType::SignalStaging].into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for EndpointType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One API key. Serialised without its hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRecord {
    /// What `keys revoke` takes.
    pub id: String,
    /// Given by the user; need not be unique.
    pub name: String,
    /// What the key may be used for.
    #[serde(rename = "type")]
    pub endpoint: EndpointType,
    /// The first characters of the key, to recognise it by.
    pub prefix: String,
    /// Of the whole key, `sk_` included.
    #[serde(skip)]
    pub key_hash: Hash,
    /// Of the secret, if the key has one.
    #[serde(skip)]
    pub secret_hash: Option<Hash>,
    /// The payload template as JSON text, for [`EndpointType::ProductOrgs`]. The store does not look into it.
    #[serde(skip)]
    pub template: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it is no longer valid.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// The last update of an org that it was used for.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// The API keys of the receiver.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Adds a key, or replaces the record of the same id.
    async fn put_key(&self, key: &KeyRecord) -> Result<(), StoreError>;
    /// All keys, the oldest first.
    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError>;
    /// The key with this hash, whatever its state.
    async fn key_by_hash(&self, hash: &Hash) -> Result<Option<KeyRecord>, StoreError>;
    /// Revokes a key and returns it as it then is; a key that was revoked before keeps its time. `None`: no such key.
    async fn revoke_key(&self, id: &str, at: DateTime<Utc>) -> Result<Option<KeyRecord>, StoreError>;
}
