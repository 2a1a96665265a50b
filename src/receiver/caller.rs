//! Who calls and what the call is named, as the server has noted it.

use super::answer::Refusal;
use super::called::Called;
use crate::server::{ClientAddress, RequestId};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::net::IpAddr;

/// An argument of every handler.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// For the log and the history of orgs.
    pub request_id: String,
    /// For limits.
    pub address: IpAddr,
    /// By its sender.
    pub called: Called,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Refusal> {
        let id = parts.extensions.get::<RequestId>();
        let address = parts.extensions.get::<ClientAddress>();
        match (id, address) {
            (Some(RequestId(id)), Some(ClientAddress(address))) => {
                Ok(Caller { request_id: id.clone(), address: *address, called: Called::by(&parts.headers) })
            }
            // The router is served by something else than our server: nothing could be limited.
            _ => Err(Refusal::Unavailable),
        }
    }
}
