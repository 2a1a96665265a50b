//! Of `src/receiver/sdk`, where a call says its key.

#[path = "../../../src/receiver/sdk/credentials.rs"]
mod credentials;

use super::answer::Refusal;
use axum::http::{HeaderMap, HeaderValue, header};

/// User and password.
type Basic = (String, Vec<u8>);

/// What a value of `Authorization` says; `None`: no header can have it.
pub fn basic(value: &[u8]) -> Option<Result<Option<Basic>, Refusal>> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(value).ok()?);
    Some(credentials::basic(&headers).map(|basic| basic.map(|basic| (basic.user, basic.password))))
}

/// The key that a body has.
pub fn write_key(body: &[u8]) -> Option<String> {
    credentials::write_key(body)
}
