//! API keys: made, and recognised.

use crate::clock::Clock;
use crate::mapping::PayloadTemplate;
use crate::store::{EndpointType, Hash, KeyCounts, KeyRecord, KeyStore, StoreError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How every key begins.
const KEY_MARK: &str = "sk_";
/// How every secret begins, so that the two are not taken for each other.
const SECRET_MARK: &str = "ss_";
/// Characters of a key that stay visible: its mark and 36 of its 256 bits.
const PREFIX: usize = KEY_MARK.len() + 6;

/// What a key is to be.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// For people; need not be unique.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Whether requests need a secret as well.
    pub with_secret: bool,
    /// From when on it is no longer valid.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What a key is for.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// Product Org Updates, with the template that payloads are read by.
    ProductOrgs(PayloadTemplate),
    /// Signal Staging.
    SignalStaging,
}

/// A key that was just made: the only time that its text is there.
#[derive(Debug)]
pub struct CreatedKey {
    /// As stored.
    pub record: KeyRecord,
    /// `sk_…`
    pub key: SecretString,
    /// To be sent as `X-Api-Secret`, if the key has one.
    pub secret: Option<SecretString>,
}

/// Makes a key and stores its hash.
///
/// # Errors
/// A store that fails.
pub async fn create(store: &dyn KeyStore, clock: &dyn Clock, new: NewKey) -> Result<CreatedKey, StoreError> {
    let key = draw(KEY_MARK, clock);
    let secret = new.with_secret.then(|| draw(SECRET_MARK, clock));
    let (endpoint, template) = match new.purpose {
        Purpose::ProductOrgs(template) => (EndpointType::ProductOrgs, Some(template.to_json_text())),
        Purpose::SignalStaging => (EndpointType::SignalStaging, None),
    };
    let record = KeyRecord {
        id: format!("key_{}", clock.run_id()),
        name: new.name,
        endpoint,
        prefix: key.chars().take(PREFIX).collect(),
        key_hash: hash(&key),
        secret_hash: secret.as_deref().map(hash),
        template,
        created_at: clock.now(),
        expires_at: new.expires_at,
        revoked_at: None,
        last_used_at: None,
        revision: 1,
        previous: None,
        signature: None,
        rate: None,
        counts: KeyCounts::default(),
    };
    store.put_key(&record).await?;
    Ok(CreatedKey { record, key: key.into(), secret: secret.map(SecretString::from) })
}

/// Why a request is not let in.
#[derive(Debug)]
pub(super) enum Rejected {
    /// Unknown, revoked or expired key, missing or wrong secret: one case, so that no answer can tell them apart.
    Unauthorized,
    /// It could not be looked up.
    Store(StoreError),
}

/// The key that a request comes with, if it is valid now and the secret fits.
pub(super) async fn authenticate(
    store: &dyn KeyStore,
    key: &str,
    secret: Option<&[u8]>,
    now: DateTime<Utc>,
) -> Result<KeyRecord, Rejected> {
    let found = store.key_by_hash(&hash(key)).await.map_err(Rejected::Store)?;
    found.filter(|record| is_valid(record, now) && secret_fits(record, secret)).ok_or(Rejected::Unauthorized)
}

fn is_valid(record: &KeyRecord, now: DateTime<Utc>) -> bool {
    record.revoked_at.is_none() && record.expires_at.is_none_or(|end| now < end)
}

fn secret_fits(record: &KeyRecord, given: Option<&[u8]>) -> bool {
    match (&record.secret_hash, given) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(expected), Some(given)) => hash(given).ct_eq(expected).into(),
    }
}

fn hash(text: impl AsRef<[u8]>) -> Hash {
    Sha256::digest(text).into()
}

/// 256 random bits.
fn draw(mark: &str, clock: &dyn Clock) -> String {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&clock.random().to_le_bytes());
    bytes[16..].copy_from_slice(&clock.random().to_le_bytes());
    format!("{mark}{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn a_key_has_256_bits_behind_its_mark() {
        let (one, two) = (draw(KEY_MARK, &SystemClock), draw(KEY_MARK, &SystemClock));
        assert_ne!(one, two);
        let bits = URL_SAFE_NO_PAD.decode(one.strip_prefix("sk_").expect("the mark")).expect("base64url");
        assert_eq!(bits.len(), 32);
        assert_ne!(bits[..16], bits[16..]);
    }
}
