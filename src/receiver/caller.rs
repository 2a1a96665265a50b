//! Who calls, as the server has noted it.

use super::answer::Refusal;
use crate::server::ClientAddress;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::net::IpAddr;

/// An argument of every handler.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    /// For limits.
    pub address: IpAddr,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Refusal> {
        match parts.extensions.get::<ClientAddress>() {
            Some(ClientAddress(address)) => Ok(Caller { address: *address }),
            // The router is served by something else than our server: nothing could be limited.
            None => Err(Refusal::Unavailable),
        }
    }
}
