//! The HTTP server under the receiver and the operator's address.
//!
//! In: a listener, a router, and [`Options`]. Out: requests, each with its [`RequestId`] its client's [`ClientAddress`] and its [`Link`] among its
//! extensions, and their answers, each with the id as `x-request-id`; one line of the access log for each (`log`).
//! The way of a connection: `accept` → `slots` → `tls` → `connection` → hyper, over a `socket` that bounds it → `service` → the router.
//! Besides: what the files of TLS say of themselves (`certificate`), and one request to a server of this machine (`visit`).
//! Always holds: no more connections are open than may be; a head, a request, an answer that nobody reads and an idle connection are each held for
//! their time and no longer, whatever the client does; a request that was begun gets its answer also while the server ends
//! (`stop`), and also if its handler panics; a path, in which keys stand, is never logged.
//! Deliberately absent: what a request means; keys, rates and the size of bodies (`receiver`); HTTP/2, which no sender of ours needs; the
//! `Forwarded` header and the PROXY protocol.

mod accept;
mod body;
mod certificate;
mod client;
mod connection;
mod log;
mod options;
mod progress;
mod request;
mod service;
mod slots;
mod socket;
mod stop;
mod tls;
mod visit;

pub use accept::Server;
pub use body::Late;
pub use certificate::Certificate;
pub(crate) use client::block;
pub(crate) use log::{ErrorClass, note_key, note_route};
pub use options::Options;
pub use request::{ClientAddress, Link, RequestId};
pub use tls::{Looked, Tls, TlsError, TlsFiles};
pub use visit::{Answer, visit};
