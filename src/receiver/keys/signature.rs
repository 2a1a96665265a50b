//! Whether a request is signed with the secret that its sender shares with us. Pure.
//!
//! What is signed are the bytes of the body after its Content-Encoding was undone: senders sign the text that they made, and
//! what packs it on the way is none of theirs.

use crate::receiver::body;
use crate::store::SignatureScheme;
use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;
use sha1::Sha1;
use sha2::Sha256;

/// Seconds that a signature's time may differ from ours, either way: what standardwebhooks.com's libraries allow.
const TOLERANCE: i64 = 5 * 60;
const MARK: &str = "whsec_";
/// Bytes that a secret of Standard Webhooks may have, by its specification.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A scheme with its secret.
pub(super) enum Verifier {
    Segment(Hmac<Sha1>),
    StandardWebhooks(Hmac<Sha256>),
}

impl Verifier {
    /// # Errors
    /// What is wrong with the secret, without the secret.
    pub(super) fn new(scheme: SignatureScheme, secret: &SecretString) -> Result<Verifier, String> {
        let no_key = |_| "it is no key".to_owned();
        match scheme {
            SignatureScheme::SegmentSha1 => {
                Hmac::new_from_slice(secret.expose_secret().as_bytes()).map(Verifier::Segment).map_err(no_key)
            }
            SignatureScheme::StandardWebhooks => {
                let encoded = secret.expose_secret().trim().strip_prefix(MARK);
                let encoded = encoded.ok_or_else(|| format!("it does not begin with `{MARK}`"))?;
                let bytes = STANDARD.decode(encoded).map_err(|_| format!("what follows `{MARK}` is not base64"))?;
                if !LENGTHS.contains(&bytes.len()) {
                    return Err(format!(
                        "it has {} bytes, and must have {} to {}",
                        bytes.len(),
                        LENGTHS.start(),
                        LENGTHS.end()
                    ));
                }
                Hmac::new_from_slice(&bytes).map(Verifier::StandardWebhooks).map_err(no_key)
            }
        }
    }

    /// Whether the request has a signature of its body.
    ///
    /// # Errors
    /// Why not, for the operator.
    pub(super) fn check(&self, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Result<(), &'static str> {
        match self {
            Verifier::Segment(mac) => segment(mac.clone(), headers, body),
            Verifier::StandardWebhooks(mac) => standard(mac, headers, body, now),
        }
    }
}

fn segment(mut mac: Hmac<Sha1>, headers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
    let given = headers.get("x-signature").ok_or("there is no X-Signature")?;
    let given = unhex(given.as_bytes()).ok_or("X-Signature is not 40 hexadecimal digits")?;
    mac.update(signed(body).ok_or("the array has no first element that could be signed")?);
    mac.verify_slice(&given).map_err(|_| "X-Signature does not fit the body and the signing secret")
}

/// Of an array, Segment signs the first element alone. Its text stands in the array as it was signed.
fn signed(body: &[u8]) -> Option<&[u8]> {
    if body::first(body) != Some(b'[') {
        return Some(body);
    }
    let (_, behind) = body.split_at_checked(body.iter().position(|byte| *byte == b'[')? + 1)?;
    let first = serde_json::Deserializer::from_slice(behind).into_iter::<&RawValue>().next()?.ok()?;
    Some(first.get().as_bytes())
}

fn unhex(digits: &[u8]) -> Option<[u8; 20]> {
    let digits: [u8; 40] = digits.try_into().ok()?;
    let mut bytes = [0; 20];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? * 16 + low?).ok()?;
    }
    Some(bytes)
}

fn standard(mac: &Hmac<Sha256>, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Result<(), &'static str> {
    let header = |name| headers.get(name).map(|value| value.as_bytes());
    let id = header("webhook-id").filter(|id| !id.is_empty()).ok_or("there is no webhook-id")?;
    let timestamp = header("webhook-timestamp").ok_or("there is no webhook-timestamp")?;
    let signatures = header("webhook-signature").ok_or("there is no webhook-signature")?;
    let at: Option<i64> = std::str::from_utf8(timestamp).ok().and_then(|text| text.parse().ok());
    let off = now.timestamp().checked_sub(at.ok_or("webhook-timestamp is no number of seconds")?);
    if off.is_none_or(|off| off.abs() > TOLERANCE) {
        return Err("webhook-timestamp is more than 5 minutes from this server's time");
    }
    let mut message = mac.clone();
    [id, b".", timestamp, b".", body].into_iter().for_each(|piece| message.update(piece));
    let fits = |signature: &[u8]| {
        let decoded = signature.strip_prefix(b"v1,").and_then(|encoded| STANDARD.decode(encoded).ok());
        decoded.is_some_and(|decoded| message.clone().verify_slice(&decoded).is_ok())
    };
    match signatures.split(|byte| *byte == b' ').any(fits) {
        true => Ok(()),
        false => Err("no v1 signature in webhook-signature fits id, time, body and the signing secret"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_614_265_330;

    fn verifier(scheme: SignatureScheme, secret: &str) -> Result<Verifier, String> {
        Verifier::new(scheme, &SecretString::from(secret))
    }

    #[track_caller]
    fn check(verifier: &Verifier, lines: &[(&'static str, &str)], body: &str, expected: Result<(), &str>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.insert(*name, value.parse().expect("a value"));
        }
        let now = DateTime::from_timestamp(NOW, 999_999_999).expect("a time");
        match (verifier.check(&headers, body.as_bytes(), now), expected) {
            (Ok(()), Ok(())) => {}
            (Err(why), Err(part)) if why.contains(part) => {}
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    fn lines<'a>(id: &'a str, at: &'a str, signature: &'a str) -> [(&'static str, &'a str); 3] {
        [("webhook-id", id), ("webhook-timestamp", at), ("webhook-signature", signature)]
    }

    #[test]
    fn the_example_of_the_specification() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let verifier = verifier(SignatureScheme::StandardWebhooks, secret).expect("a secret");
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#);
        let good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        check(&verifier, &lines(id, "1614265330", good), body, Ok(()));
        let several = format!("v1,AAAA v1a,{} {good} v2,x", &good[3..]);
        check(&verifier, &lines(id, "1614265330", &several), body, Ok(()));
        let no_fit = Err("no v1 signature");
        check(&verifier, &lines("msg_other", "1614265330", good), body, no_fit);
        check(&verifier, &lines(id, "1614265331", good), body, no_fit);
        check(&verifier, &lines(id, "1614265330", good), &body.replace(' ', ""), no_fit);
        for bad in ["", "v1", "v1,", &good[3..], &good.replace("v1", "v2"), &good.replace("v1,", "v1, "), "v1,!"] {
            check(&verifier, &lines(id, "1614265330", bad), body, no_fit);
        }
        check(&verifier, &lines("", "1614265330", good), body, Err("no webhook-id"));
        check(&verifier, &lines(id, "now", good), body, Err("no number"));
        check(&verifier, &lines(id, "-9223372036854775808", good), body, Err("5 minutes"));
        for missing in 0..3 {
            let mut left = lines(id, "1614265330", good).to_vec();
            let (name, _) = left.remove(missing);
            check(&verifier, &left, body, Err(name));
        }
    }

    #[test]
    fn a_signature_is_good_for_five_minutes() {
        let secret = format!("{MARK}{}", STANDARD.encode([7; 24]));
        let verifier = verifier(SignatureScheme::StandardWebhooks, &secret).expect("a secret");
        let signer = standardwebhooks::Webhook::new(&secret).expect("a secret");
        for (off, expected) in
            [(-301, Err("5 minutes")), (-300, Ok(())), (0, Ok(())), (300, Ok(())), (301, Err("5 minutes"))]
        {
            let signature = signer.sign("msg", NOW + off, b"{}").expect("signed");
            let at = (NOW + off).to_string();
            let lines = [("webhook-id", "msg"), ("webhook-timestamp", &at), ("webhook-signature", &signature)];
            check(&verifier, &lines, "{}", expected);
        }
    }

    #[test]
    fn segments_signatures() {
        let verifier = verifier(SignatureScheme::SegmentSha1, "key").expect("any text");
        // RFC 2202 and others give this for HMAC-SHA1("key", "The quick brown fox jumps over the lazy dog").
        let (body, good) = ("The quick brown fox jumps over the lazy dog", "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9");
        check(&verifier, &[("x-signature", good)], body, Ok(()));
        check(&verifier, &[("x-signature", &good.to_uppercase())], body, Ok(()));
        check(&verifier, &[("x-signature", good)], &format!("{body} "), Err("does not fit"));
        check(&verifier, &[("x-signature", &good.replace('d', "e"))], body, Err("does not fit"));
        check(&verifier, &[], body, Err("no X-Signature"));
        for bad in ["", &good[1..], &format!("{good}0"), &good.replace('d', "g"), &format!("sha1={good}")] {
            check(&verifier, &[("x-signature", bad)], body, Err("40 hexadecimal"));
        }
    }

    #[test]
    fn of_an_array_the_first_element_is_signed() {
        for (body, expected) in [
            (r#"[{"a":[1]},{"b":2}]"#, Some(r#"{"a":[1]}"#)),
            (" \n[ {\"a\": 1} ]", Some("{\"a\": 1}")),
            (r#"["x", 1]"#, Some("\"x\"")),
            (r#"{"a":[1]}"#, Some(r#"{"a":[1]}"#)),
            (" {}", Some(" {}")),
            ("", Some("")),
            ("[]", None),
            ("[", None),
            ("[{]", None),
        ] {
            assert_eq!(signed(body.as_bytes()), expected.map(str::as_bytes), "{body}");
        }
    }

    #[test]
    fn secrets_of_another_form_are_refused_without_being_shown() {
        for (secret, problem) in [
            ("planted", "does not begin with `whsec_`"),
            ("whsec_planted!", "is not base64"),
            ("whsec_cGxhbnRlZA==", "it has 7 bytes, and must have 24 to 64"),
        ] {
            let error = verifier(SignatureScheme::StandardWebhooks, secret).err().expect("refused");
            assert!(error.contains(problem) && !error.contains("planted") && !error.contains("cGxh"), "{error}");
        }
    }
}
