//! Keys are made and rotated: the only times that a text is there.

use super::check_reference;
use super::text::{KEY_MARK, SECRET_MARK, hash, text, visible};
use crate::clock::Clock;
use crate::mapping::PayloadTemplate;
use crate::store::{EndpointType, KeyCounts, KeyRecord, KeyStore, PreviousText, SignatureCheck, StoreError};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use secrecy::SecretString;

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
    /// The signature that requests need.
    pub signature: Option<SignatureCheck>,
    /// Requests a second at most; `None`: the receiver's setting.
    pub rate: Option<u32>,
}

impl NewKey {
    /// A key with nothing but its name and purpose.
    pub fn new(name: &str, purpose: Purpose) -> NewKey {
        NewKey { name: name.to_owned(), purpose, with_secret: false, expires_at: None, signature: None, rate: None }
    }
}

/// What a key is for.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// Product Org Updates, with the template that payloads are read by.
    ProductOrgs(PayloadTemplate),
    /// Signal Staging.
    SignalStaging,
}

/// A key whose text was just made: the only time that it is there.
#[derive(Debug)]
pub struct CreatedKey {
    /// As stored.
    pub record: KeyRecord,
    /// `sk_…`
    pub key: SecretString,
    /// To be sent as `X-Api-Secret`, if the key has one.
    pub secret: Option<SecretString>,
}

/// A key that cannot be made or rotated as asked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// What was asked for makes no sense; says what to do instead.
    #[error("{0}")]
    Unfit(String),
    /// No key has this id.
    #[error("there is no key {0}; `nightmark keys list` shows them")]
    Unknown(String),
    /// The key as it is does not allow it; says what to do instead.
    #[error("{0}")]
    Conflict(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a key and stores its hash.
///
/// # Errors
/// [`KeyError::Unfit`] for a signing secret that is no reference, [`KeyError::Store`].
pub async fn create(store: &dyn KeyStore, clock: &dyn Clock, new: NewKey) -> Result<CreatedKey, KeyError> {
    new.check()?;
    let (key, secret) = draw(new.with_secret, clock);
    let (endpoint, template) = match new.purpose {
        Purpose::ProductOrgs(template) => (EndpointType::ProductOrgs, Some(template.to_json_text())),
        Purpose::SignalStaging => (EndpointType::SignalStaging, None),
    };
    let record = KeyRecord {
        id: format!("key_{}", clock.run_id()),
        name: new.name,
        endpoint,
        prefix: visible(&key),
        key_hash: hash(&key),
        secret_hash: secret.as_deref().map(hash),
        template,
        created_at: now(clock),
        expires_at: new.expires_at.map(|end| end.trunc_subsecs(6)),
        revoked_at: None,
        last_used_at: None,
        revision: 1,
        previous: None,
        signature: new.signature,
        rate: new.rate,
        counts: KeyCounts::default(),
    };
    store.put_key(&record).await?;
    Ok(CreatedKey { record, key: key.into(), secret: secret.map(SecretString::from) })
}

impl NewKey {
    /// Whether it can be made.
    ///
    /// # Errors
    /// [`KeyError::Unfit`], with all that is wrong.
    pub fn check(&self) -> Result<(), KeyError> {
        let mut problems = Vec::new();
        if self.name.trim().is_empty() || self.name.chars().any(char::is_control) || self.name.len() > MAX_NAME {
            problems.push(format!(
                "a key needs a name of 1–{MAX_NAME} bytes without control characters, to tell it from others"
            ));
        }
        if self.rate == Some(0) {
            problems.push("a rate is at least 1 request a second".to_owned());
        }
        problems.extend(self.signature.as_ref().and_then(|signature| check_reference(&signature.secret).err()));
        match problems.is_empty() {
            true => Ok(()),
            false => Err(KeyError::Unfit(problems.join("; "))),
        }
    }
}

/// Bytes of a name at most.
const MAX_NAME: usize = 255;

/// How a key is rotated.
#[derive(Debug, Clone, Copy)]
pub struct Rotation {
    /// How long the text that it has now stays valid beside the new one.
    pub overlap: TimeDelta,
    /// If the overlap of the rotation before has not ended: end it. Only one text is valid beside the current one.
    pub end_previous: bool,
}

/// The longest overlap: beyond this a key is not rotated but kept twice.
pub const MAX_OVERLAP: TimeDelta = TimeDelta::days(90);

/// Gives a key another text, and another secret if it has one. What was valid stays so until the overlap ends.
///
/// # Errors
/// [`KeyError`]; `Conflict` for a key that is revoked or expired, whose last overlap runs, or that somebody changes.
pub async fn rotate(store: &dyn KeyStore, clock: &dyn Clock, id: &str, how: Rotation) -> Result<CreatedKey, KeyError> {
    if how.overlap < TimeDelta::zero() || how.overlap > MAX_OVERLAP {
        return Err(KeyError::Unfit(format!("an overlap has 0 to {} days", MAX_OVERLAP.num_days())));
    }
    let now = now(clock);
    let old = store.key(id).await?.ok_or_else(|| KeyError::Unknown(id.to_owned()))?;
    may_be_rotated(&old, how, now).map_err(KeyError::Conflict)?;
    let (key, secret) = draw(old.secret_hash.is_some(), clock);
    let previous = PreviousText {
        prefix: old.prefix.clone(),
        key_hash: old.key_hash,
        secret_hash: old.secret_hash,
        until: now + how.overlap,
    };
    let changed = KeyRecord {
        prefix: visible(&key),
        key_hash: hash(&key),
        secret_hash: secret.as_deref().map(hash),
        previous: Some(previous),
        ..old
    };
    if !store.change_key(&changed).await? {
        return Err(KeyError::Conflict(format!("the key {id} was changed by somebody else just now; try again")));
    }
    let record = KeyRecord { revision: changed.revision + 1, ..changed };
    Ok(CreatedKey { record, key: key.into(), secret: secret.map(SecretString::from) })
}

fn may_be_rotated(key: &KeyRecord, how: Rotation, now: DateTime<Utc>) -> Result<(), String> {
    let id = &key.id;
    if key.revoked_at.is_some() {
        return Err(format!("the key {id} is revoked, which is for good; make another one"));
    }
    if key.expires_at.is_some_and(|end| end <= now) {
        return Err(format!("the key {id} has expired, and a rotation does not change that; make another one"));
    }
    match &key.previous {
        Some(previous) if now < previous.until && !how.end_previous => Err(format!(
            "the key {id} was rotated before, and {}… is valid beside it until {}; senders that still use that would be \
             locked out by another rotation: wait, or rotate with --end-previous",
            previous.prefix,
            previous.until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        )),
        _ => Ok(()),
    }
}

fn draw(with_secret: bool, clock: &dyn Clock) -> (String, Option<String>) {
    (text(KEY_MARK, bits(clock)), with_secret.then(|| text(SECRET_MARK, bits(clock))))
}

/// As the store keeps times, so that a key is shown now as it is later.
fn now(clock: &dyn Clock) -> DateTime<Utc> {
    clock.now().trunc_subsecs(6)
}

/// 256 random bits.
pub fn bits(clock: &dyn Clock) -> [u8; 32] {
    let mut bits = [0; 32];
    bits[..16].copy_from_slice(&clock.random().to_le_bytes());
    bits[16..].copy_from_slice(&clock.random().to_le_bytes());
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn a_key_has_two_draws_of_128_bits() {
        let (one, two) = (bits(&SystemClock), bits(&SystemClock));
        assert_ne!(one, two);
        assert_ne!(one[..16], one[16..]);
    }
}
