//! API keys as the store sees them: hashes, never the keys.

use super::StoreError;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::fmt;
use utoipa::ToSchema;

/// SHA-256 of a key or a secret. Both are 256 random bits, so a fast hash is enough.
pub type Hash = [u8; 32];

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
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

/// The text that a key had before it was rotated, valid until a time. Serialised without its hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PreviousText {
    /// Its first characters.
    pub prefix: String,
    /// Of the whole key, `sk_` included.
    #[serde(skip)]
    pub key_hash: Hash,
    /// Of the secret that goes with it.
    #[serde(skip)]
    pub secret_hash: Option<Hash>,
    /// From when on it is no longer valid.
    pub until: DateTime<Utc>,
}

/// How bodies are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum SignatureScheme {
    /// `X-Signature`: the HMAC-SHA1 of the body in hex, as Segment's Webhooks (Actions) makes it.
    #[serde(rename = "segment")]
    SegmentSha1,
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature` (<https://www.standardwebhooks.com>).
    #[serde(rename = "standard-webhooks")]
    StandardWebhooks,
}

impl SignatureScheme {
    /// `segment` or `standard-webhooks`.
    pub fn as_str(self) -> &'static str {
        match self {
            SignatureScheme::SegmentSha1 => "segment",
            SignatureScheme::StandardWebhooks => "standard-webhooks",
        }
    }

    /// The reverse of [`as_str`](Self::as_str).
    pub fn parse(text: &str) -> Option<Self> {
        [SignatureScheme::SegmentSha1, SignatureScheme::StandardWebhooks].into_iter().find(|s| s.as_str() == text)
    }
}

/// The signature that a key's requests must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SignatureCheck {
    /// How it is made.
    pub scheme: SignatureScheme,
    /// Where the signing secret is: `${ENV}` or `${file:PATH}`. Never the secret itself: a hash would not do to check a
    /// signature, and the store shall hold nothing that lets somebody in.
    pub secret: String,
}

/// What became of what was sent with a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyCounts {
    /// Updates that were stored, repeats not counted.
    pub stored: u64,
    /// Events that say nothing about an org.
    pub ignored: u64,
    /// Updates and bodies that were refused.
    pub rejected: u64,
}

/// Uses of a key that have not been counted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUses {
    /// Whose; a key that is not there is passed over.
    pub key_id: String,
    /// To be added to [`KeyCounts::ignored`].
    pub ignored: u64,
    /// To be added to [`KeyCounts::rejected`].
    pub rejected: u64,
    /// The latest of them; an earlier one than the stored does not set it back.
    pub last_used_at: DateTime<Utc>,
}

/// One API key. Serialised without its hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
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
    /// When it was last used with success or to no avail: whatever came with a valid key counts.
    pub last_used_at: Option<DateTime<Utc>>,
    /// From 1; counts up with every change, but not with uses.
    #[serde(skip)]
    pub revision: i64,
    /// The text before the last rotation.
    #[serde(rename = "rotation")]
    pub previous: Option<PreviousText>,
    /// The signature that requests must have.
    pub signature: Option<SignatureCheck>,
    /// Requests a second at most, at least 1; `None`: the receiver's setting.
    pub rate: Option<u32>,
    /// What became of what was sent with it.
    pub counts: KeyCounts,
}

/// The API keys of the receiver.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Adds a key, or replaces the record of the same id, all of it as given.
    async fn put_key(&self, key: &KeyRecord) -> Result<(), StoreError>;
    /// All keys, the oldest first.
    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError>;
    /// One key by its id.
    async fn key(&self, id: &str) -> Result<Option<KeyRecord>, StoreError>;
    /// The key that has this hash, or had it before its last rotation, whatever its state and however long ago.
    async fn key_by_hash(&self, hash: &Hash) -> Result<Option<KeyRecord>, StoreError>;
    /// Replaces a record if its revision still is `key.revision`; the stored one is one higher. When it was made or last
    /// used and its counts stay as they are. `false`: somebody has changed or removed it meanwhile, and nothing was done.
    async fn change_key(&self, key: &KeyRecord) -> Result<bool, StoreError>;
    /// Revokes a key and returns it as it then is; a key that was revoked before keeps its time and revision. `None`: no
    /// such key.
    async fn revoke_key(&self, id: &str, at: DateTime<Utc>) -> Result<Option<KeyRecord>, StoreError>;
    /// Adds uses to the counts, all or none. Their revisions stay.
    async fn count_uses(&self, uses: &[KeyUses]) -> Result<(), StoreError>;
}
