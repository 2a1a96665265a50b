//! The HTTP server under the receiver and the operator's address.
//!
//! In: a listener and a router. Out: requests, each with its [`RequestId`] and its client's [`ClientAddress`] among its extensions, and their
//! answers, each with the id as `x-request-id`.
//! Always holds: a request's id is visible ASCII of at most 128 characters.
//! Deliberately absent: what a request means; keys, rates and bodies (`receiver`).

mod request;

pub use request::{ClientAddress, RequestId};
pub(crate) use request::{REQUEST_ID, incoming_id};
