//! What a request is called and whose it is.

use axum::http::{HeaderMap, HeaderName};
use std::net::IpAddr;

/// The header that carries a request's id.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of an id that a client gives at most.
const LONGEST_ID: usize = 128;

/// What a request is called in logs, in its answer and in an org's history: as its client or a proxy calls it, otherwise a ULID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// Whom a request comes from: the other end of its connection, or the client that a trusted proxy names. IPv4 addresses that
/// are written as IPv6 count as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// The connection that a request comes by, whoever a proxy says that it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its other end. IPv4 addresses that are written as IPv6 count as IPv4.
    pub peer: IpAddr,
    /// Whether it is encrypted.
    pub is_tls: bool,
}

/// The id that a request comes with; `None` for one that is missing or cannot be shown.
pub(super) fn incoming_id(headers: &HeaderMap) -> Option<RequestId> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let usable = (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    usable.then(|| RequestId(id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_can_be_shown_is_kept() {
        let id = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, axum::http::HeaderValue::from_bytes(value).expect("a value"));
            incoming_id(&headers).map(|RequestId(id)| id)
        };
        let longest = "x".repeat(128);
        for given in ["a", "01J9ZQ", "{\"a\":\"b\"}", &longest] {
            assert_eq!(id(given.as_bytes()).as_deref(), Some(given));
        }
        for given in [&b""[..], b"a b", b"a\tb", "é".as_bytes(), "x".repeat(129).as_bytes(), b"\xff"] {
            assert_eq!(id(given), None, "{given:?}");
        }
        assert_eq!(incoming_id(&HeaderMap::new()), None);
    }
}
