//! What a server holds to.

use ipnet::IpNet;
use std::time::Duration;

/// Header lines of a request at most (WIRE.md, "Receiver limits").
pub(super) const HEADER_LINES: usize = 64;
/// Bytes of a request's head at most, its first line included.
pub(super) const HEADER_BYTES: usize = 16 * 1024;
/// Bytes of a connection that are read ahead at most.
pub(super) const READ_AHEAD: usize = 64 * 1024;

/// Numbers and times of a server. The default is WIRE.md's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Connections at a time, those included that are in their TLS handshake.
    pub connections: usize,
    /// Connections at a time from one address, or from one /64 network of IPv6. Trusted proxies are exempt.
    pub connections_per_address: usize,
    /// Whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long a request's head may take from its first byte on, the first byte of a connection, and a TLS handshake.
    pub head: Duration,
    /// How long a request may take to arrive from its first byte on, without the time in which we do not read on; also how long a client may leave an answer unread.
    pub request: Duration,
    /// How long a request may take from its first byte on until there is an answer.
    pub answer: Duration,
    /// How long a connection is kept between two requests.
    pub idle: Duration,
    /// Once told to stop: how long kept connections may still ask, and are told to go elsewhere.
    pub notice: Duration,
    /// Once told to stop: how long requests that were begun may take, the notice included.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connections: 1024,
            connections_per_address: 64,
            trusted_proxies: Vec::new(),
            head: Duration::from_secs(5),
            request: Duration::from_secs(10),
            answer: Duration::from_secs(20),
            idle: Duration::from_secs(75),
            notice: Duration::from_secs(1),
            grace: Duration::from_secs(20),
        }
    }
}
