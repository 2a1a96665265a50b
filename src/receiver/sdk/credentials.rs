//! Where an SDK's call says its key: in `Authorization`, or in the body. Pure.

use crate::receiver::answer::Refusal;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// User and password of HTTP Basic auth.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Basic {
    pub(super) user: String,
    pub(super) password: Vec<u8>,
}

/// `None`: the header is not there. Anything in it that is no Basic auth is a bad key.
pub(super) fn basic(headers: &HeaderMap) -> Result<Option<Basic>, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let value = value.to_str().map_err(|_| Refusal::Unauthorized)?;
    let (scheme, encoded) = value.split_once(' ').ok_or(Refusal::Unauthorized)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Refusal::Unauthorized);
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| Refusal::Unauthorized)?;
    let mut parts = decoded.splitn(2, |byte| *byte == b':');
    let user = String::from_utf8(parts.next().unwrap_or_default().to_vec()).map_err(|_| Refusal::Unauthorized)?;
    Ok(Some(Basic { user, password: parts.next().unwrap_or_default().to_vec() }))
}

/// As Segment's HTTP API takes it: beside `batch`, or in a single event.
pub(super) fn write_key(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Keyed {
        write_key: Option<String>,
    }
    serde_json::from_slice::<Keyed>(body).ok()?.write_key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: Result<Option<(&str, &str)>, Refusal>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().expect("a header"));
        let expected = expected.map(|basic| {
            basic.map(|(user, password)| Basic { user: user.to_owned(), password: password.as_bytes().to_vec() })
        });
        assert_eq!(basic(&headers), expected, "{value}");
    }

    #[test]
    fn basic_auth_is_read() {
        assert_eq!(basic(&HeaderMap::new()), Ok(None));
        let of = |text: &str| format!("Basic {}", STANDARD.encode(text));
        check(&of("sk_a:"), Ok(Some(("sk_a", ""))));
        check(&of("sk_a"), Ok(Some(("sk_a", ""))));
        check(&of("sk_a:ss_b:c"), Ok(Some(("sk_a", "ss_b:c"))));
        check(&of("sk_a:").replace("Basic", "bASIC "), Ok(Some(("sk_a", ""))));
        for bad in ["Basic", "Basic !", "Bearer sk_a", "sk_a", "Basic /w=="] {
            check(bad, Err(Refusal::Unauthorized));
        }
    }

    #[test]
    fn the_key_stands_beside_the_batch_or_in_the_event() {
        assert_eq!(write_key(br#"{"batch": [{"writeKey": "no"}], "writeKey": "sk_a"}"#).as_deref(), Some("sk_a"));
        for body in ["", "[]", "{}", r#"{"writeKey": 5}"#, r#"{"writeKey": "a", "writeKey": "b"}"#] {
            assert_eq!(write_key(body.as_bytes()), None, "{body}");
        }
    }
}
