//! The key of an SDK's call, and its body.

use crate::mapping::json;
use crate::receiver::access::{Admitted, admit};
use crate::receiver::answer::Refusal;
use crate::receiver::body::{self, Held, Limits};
use crate::receiver::caller::Caller;
use crate::receiver::{MAX_BODY, ReceiverState};
use axum::body::Body;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Bytes of a body at most whose sender is only known by what stands in it. As much as Segment lets a batch have.
pub const MAX_UNKNOWN_SENDER: usize = 512 * 1024;

/// User and password of HTTP Basic auth.
#[derive(Debug, PartialEq, Eq)]
struct Basic {
    user: String,
    password: Vec<u8>,
}

/// Checks the key and reads the body, in this order where the key stands in a header.
///
/// # Errors
/// 401 and 403 for the key, whatever the body; 408, 413, 415 and 400 for a body that cannot be read; 503.
pub(super) async fn receive(
    state: &ReceiverState,
    caller: Caller,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<(Admitted, Held), Refusal> {
    let at = state.clock.now();
    let secret = headers.get("x-api-secret").map(|value| value.as_bytes());
    let bad_key = || state.rates.bad_key(caller.address);
    match basic(headers).map_err(|_| bad_key())? {
        Some(basic) => {
            let password = Some(basic.password.as_slice()).filter(|password| !password.is_empty());
            let admitted = admit(state, caller, &basic.user, secret.or(password), at).await?;
            Ok((admitted, body::read(headers, body, Limits::all(limit), &state.memory).await?))
        }
        None => {
            let body = body::read(headers, body, Limits::all(limit.min(MAX_UNKNOWN_SENDER)), &state.memory).await?;
            let key = write_key(&body).ok_or_else(bad_key)?;
            Ok((admit(state, caller, &key, secret, at).await?, body))
        }
    }
}

/// The same for a call that is one event.
///
/// # Errors
/// 400 for a body that is no object besides.
pub(super) async fn receive_event(
    state: &ReceiverState,
    caller: Caller,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Admitted, Map<String, Value>), Refusal> {
    let (admitted, body) = receive(state, caller, headers, body, MAX_BODY).await?;
    match json::parse(&body).map_err(Refusal::Bad)? {
        Value::Object(event) => Ok((admitted, event)),
        _ => Err(Refusal::Bad("the body must be a JSON object".to_owned())),
    }
}

/// `None`: the header is not there. Anything in it that is no Basic auth is a bad key.
fn basic(headers: &HeaderMap) -> Result<Option<Basic>, Refusal> {
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
fn write_key(body: &[u8]) -> Option<String> {
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
