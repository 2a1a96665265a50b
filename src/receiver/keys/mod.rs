//! API keys: made, rotated, recognised.
//!
//! In: what a key is to be (`make`); what a request shows (`known`, by what `cache` has or the store). Out: the key's text,
//! once; a key that admits the request, or not.
//! Always holds: the store has hashes, and of signing secrets only where they are; nothing that lets somebody in can be read
//! back. Comparisons of hashes and signatures take as long whatever they find. A key is valid until it is revoked or
//! expires; after a rotation, the text before it until the overlap ends.
//! Deliberately absent: HTTP answers (`receiver::access`), arguments and tables (`cli`), who may manage keys (`web`).

mod cache;
mod known;
mod make;
mod shown;
mod signature;
mod text;
mod uses;

pub(super) use cache::{Cache, Cached};
pub use known::check_reference;
pub(super) use known::{Credentials, Known, Unsigned, compare_with_nothing};
pub use make::{CreatedKey, KeyError, MAX_OVERLAP, NewKey, Purpose, Rotation, bits, create, rotate};
pub use shown::{KeyState, ShownKey};
pub use text::{PATTERN, Shape, hash, shape, text};
pub(super) use uses::Uses;

#[cfg(test)]
mod tests {
    use super::text::hash;
    use super::*;
    use crate::config::Home;
    use crate::job::Secrets;
    use crate::store::{EndpointType, KeyCounts, KeyRecord, PreviousText, SignatureCheck, SignatureScheme};
    use axum::http::HeaderMap;
    use chrono::{DateTime, Utc};
    use std::env::VarError;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + second, 0).expect("a time")
    }

    /// A key whose text is `new`, with the secret `new secret`; before its rotation, `old` and `old secret`, until second 10.
    pub(super) fn record() -> KeyRecord {
        KeyRecord {
            id: "key_1".to_owned(),
            name: "n".to_owned(),
            endpoint: EndpointType::ProductOrgs,
            prefix: "sk_new".to_owned(),
            key_hash: hash("new"),
            secret_hash: Some(hash("new secret")),
            template: Some("{\"product_org_id\":\"id\"}".to_owned()),
            created_at: at(0),
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            revision: 1,
            previous: Some(PreviousText {
                prefix: "sk_old".to_owned(),
                key_hash: hash("old"),
                secret_hash: Some(hash("old secret")),
                until: at(10),
            }),
            signature: None,
            rate: None,
            counts: KeyCounts::default(),
        }
    }

    fn secrets() -> Secrets {
        Secrets::with_env(&Home::new(std::path::Path::new("/")).expect("a path"), |name| match name {
            "SHARED" => Ok("shared".to_owned()),
            _ => Err(VarError::NotPresent),
        })
    }

    #[track_caller]
    fn check(record: KeyRecord, second: i64, cases: &[(&str, Option<&str>, bool)]) {
        let known = Known::new(record, &secrets());
        for (key, secret, expected) in cases {
            let shown = Credentials::new(key, secret.map(str::as_bytes));
            assert_eq!(known.admits(&shown, at(second)), *expected, "{key} {secret:?} at {second}");
        }
    }

    #[test]
    fn each_text_goes_with_its_own_secret_until_its_end() {
        let cases = |old| {
            [
                ("new", Some("new secret"), true),
                ("new", Some("old secret"), false),
                ("new", Some(""), false),
                ("new", None, false),
                ("old", Some("old secret"), old),
                ("old", Some("new secret"), false),
                ("old", None, false),
                ("other", Some("new secret"), false),
            ]
        };
        check(record(), 9, &cases(true));
        check(record(), 10, &cases(false));
        let nobody = cases(false).map(|(key, secret, _)| (key, secret, false));
        check(KeyRecord { revoked_at: Some(at(5)), ..record() }, 9, &nobody);
        check(KeyRecord { expires_at: Some(at(9)), ..record() }, 9, &nobody);
        check(KeyRecord { expires_at: Some(at(9)), ..record() }, 8, &cases(true));
        let open = KeyRecord { secret_hash: None, previous: None, ..record() };
        check(open, 9, &[("new", None, true), ("new", Some("any"), true), ("old", None, false)]);
    }

    #[test]
    fn a_signing_secret_that_cannot_be_had_lets_nobody_in() {
        let with = |scheme, secret: &str| {
            let signature = Some(SignatureCheck { scheme, secret: secret.to_owned() });
            let known = Known::new(KeyRecord { signature, ..record() }, &secrets());
            known.check_signature(&HeaderMap::new(), b"{}", at(0))
        };
        let asked = with(SignatureScheme::SegmentSha1, "${SHARED}");
        assert!(matches!(asked, Err(Unsigned::Bad(why)) if why.contains("X-Signature")), "{asked:?}");
        for (scheme, secret) in [
            (SignatureScheme::SegmentSha1, "${GONE}"),
            (SignatureScheme::SegmentSha1, "${file:no such file}"),
            (SignatureScheme::SegmentSha1, "a text in the store"),
            (SignatureScheme::StandardWebhooks, "${SHARED}"),
        ] {
            assert_eq!(with(scheme, secret), Err(Unsigned::Unresolved), "{secret}");
        }
        assert_eq!(Known::new(record(), &secrets()).check_signature(&HeaderMap::new(), b"", at(0)), Ok(()));
    }

    #[test]
    fn only_references_are_taken_for_signing_secrets() {
        for reference in ["${A}", "${file:/run/secrets/a}", "${A}${B}"] {
            assert_eq!(check_reference(reference), Ok(()), "{reference}");
        }
        for text in ["", "planted", "$A", "x${A}", "${A} ", "${}", "${planted", "${file:}"] {
            let problem = check_reference(text).expect_err(text);
            assert!(problem.contains("'${SIGNING_SECRET}'") && !problem.contains("planted"), "{problem}");
        }
    }
}
