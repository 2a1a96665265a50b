//! A key with all that requests need of it, and whether credentials are its own.

use super::signature::Verifier;
use super::text::hash;
use crate::job::Secrets;
use crate::job::spec::Templated;
use crate::mapping::{Mapping, PayloadTemplate};
use crate::store::{Hash, KeyRecord, SignatureCheck};
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// What a request shows: hashes, so that no text is kept longer than it takes to read it.
#[derive(Debug, Clone)]
pub(in crate::receiver) struct Credentials {
    key: Hash,
    secret: Option<Hash>,
}

impl Credentials {
    pub(in crate::receiver) fn new(key: &str, secret: Option<&[u8]>) -> Credentials {
        Credentials { key: hash(key), secret: secret.map(hash) }
    }

    /// What a key is looked up by.
    pub(in crate::receiver) fn key(&self) -> &Hash {
        &self.key
    }
}

/// A key as it was when it was read.
#[derive(Debug)]
pub(in crate::receiver) struct Known {
    pub record: KeyRecord,
    /// `None` for a key without a template, or with one that cannot be read.
    pub mapping: Option<Arc<Mapping>>,
    signature: Signature,
}

enum Signature {
    NotAsked,
    By(Verifier),
    /// Asked for, but the secret is not there.
    Unresolved,
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Signature::NotAsked => "NotAsked",
            Signature::By(_) => "By(…)",
            Signature::Unresolved => "Unresolved",
        })
    }
}

/// Why a signature is not taken for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::receiver) enum Unsigned {
    /// It does not fit; why, for the operator.
    Bad(&'static str),
    /// There is nothing to check it by: our own trouble.
    Unresolved,
}

impl Known {
    /// Lays out template and signing secret. What cannot be had is said in the log; the key is refused where it is needed.
    /// Reads files.
    pub(in crate::receiver) fn new(record: KeyRecord, secrets: &Secrets) -> Known {
        let mapping = record.template.as_deref().and_then(|text| match PayloadTemplate::from_json_text(text) {
            Ok(template) => Some(Arc::new(Mapping::new(template))),
            Err(error) => {
                tracing::warn!(event = "key_template_unreadable", key = record.id, %error, "the stored payload template of a key cannot be read");
                None
            }
        });
        let signature = match &record.signature {
            None => Signature::NotAsked,
            Some(check) => verifier(check, secrets).map(Signature::By).unwrap_or_else(|error| {
                tracing::error!(
                    event = "signing_secret_missing",
                    key = record.id,
                    error,
                    "a key's signing secret cannot be had; its requests are answered 503"
                );
                Signature::Unresolved
            }),
        };
        Known { record, mapping, signature }
    }

    /// Whether the credentials are this key's, and it is valid. The comparisons take as long whatever they find.
    pub(in crate::receiver) fn admits(&self, shown: &Credentials, at: DateTime<Utc>) -> bool {
        let record = &self.record;
        let is_current: bool = record.key_hash.ct_eq(&shown.key).into();
        let (secret, in_time) = match &record.previous {
            Some(previous) if !is_current => {
                (&previous.secret_hash, bool::from(previous.key_hash.ct_eq(&shown.key)) && at < previous.until)
            }
            _ => (&record.secret_hash, is_current),
        };
        let in_time = in_time && record.revoked_at.is_none() && record.expires_at.is_none_or(|end| at < end);
        secret_fits(secret.as_ref(), shown) & in_time
    }

    /// Whether the body is signed, if the key asks for that.
    pub(in crate::receiver) fn check_signature(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        at: DateTime<Utc>,
    ) -> Result<(), Unsigned> {
        match &self.signature {
            Signature::NotAsked => Ok(()),
            Signature::By(verifier) => verifier.check(headers, body, at).map_err(Unsigned::Bad),
            Signature::Unresolved => Err(Unsigned::Unresolved),
        }
    }
}

/// What is done where there is no such key, so that it takes as long as where there is one.
pub(in crate::receiver) fn compare_with_nothing(shown: &Credentials) {
    std::hint::black_box(secret_fits(Some(&[0; 32]), shown) & bool::from([0; 32].ct_eq(&shown.key)));
}

fn secret_fits(expected: Option<&Hash>, shown: &Credentials) -> bool {
    match (expected, &shown.secret) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(expected), Some(given)) => given.ct_eq(expected).into(),
    }
}

fn verifier(check: &SignatureCheck, secrets: &Secrets) -> Result<Verifier, String> {
    check_reference(&check.secret)?;
    let reference = Templated::parse(&check.secret).map_err(|_| NO_REFERENCE.to_owned())?;
    let secret = secrets.resolve("the signing secret", &reference).map_err(|error| error.to_string())?;
    Verifier::new(check.scheme, &secret)
        .map_err(|problem| format!("the value of {} cannot be used: {problem}", check.secret))
}

const NO_REFERENCE: &str = "a signing secret is given as a reference, ${NAME} or ${file:PATH}, never as its text: put it into an \
                            environment variable of `nightmark serve`, or into a file that only its user can read, and name \
                            that, such as '${SIGNING_SECRET}' (in quotes, so that the shell leaves it alone)";

/// Whether a signing secret is given as a reference.
///
/// # Errors
/// What to give instead, without what was given: it may be the secret.
pub fn check_reference(secret: &str) -> Result<(), String> {
    match Templated::parse(secret) {
        Ok(reference) if reference.is_reference_only() && !secret.is_empty() => Ok(()),
        _ => Err(NO_REFERENCE.to_owned()),
    }
}
