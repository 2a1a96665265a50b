//! `[receiver]`

use super::address;
use crate::job::document::Document;
use crate::job::problem::Fault;
use crate::job::units;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// `[receiver]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverSettings {
    /// Where it listens; port 0 is any free one.
    pub address: SocketAddr,
    /// Whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Connections at a time.
    pub connections: usize,
    /// Connections at a time from one address that is no trusted proxy.
    pub connections_per_address: usize,
    /// How long a connection is kept between two requests.
    pub idle: Duration,
    /// Requests a second with one key; `None`: as many as come.
    pub rate: Option<NonZeroU32>,
    /// Requests with a bad key in a minute from one address; `None`: as many as come.
    pub bad_keys_per_minute: Option<NonZeroU32>,
    /// Requests that wait for the store at most.
    pub queue: usize,
    /// Bytes of bodies in memory at most.
    pub body_memory: usize,
    /// `[receiver.tls]`; `None`: plain HTTP.
    pub tls: Option<TlsSettings>,
}

/// `[receiver.tls]`: files as written, relative to the home folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM, with what leads to the root.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReceiver {
    address: String,
    trusted_proxies: Vec<String>,
    #[schemars(range(min = 1, max = 100_000))]
    connections: usize,
    #[schemars(range(min = 1, max = 100_000))]
    connections_per_address: usize,
    idle: String,
    #[schemars(range(min = 0, max = 1_000_000))]
    rate: u32,
    #[schemars(range(min = 0, max = 1_000_000))]
    bad_keys_per_minute: u32,
    #[schemars(range(min = 1, max = 1_000_000))]
    queue: usize,
    #[schemars(range(min = 8, max = 1_000_000))]
    body_memory_mb: usize,
    tls: RawTls,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    certificate: String,
    key: String,
}

impl RawReceiver {
    /// `None`: something was reported.
    pub(super) fn check(&self, doc: &mut Document<'_>) -> Option<ReceiverSettings> {
        let address = doc.accept("receiver.address", address::socket(&self.address));
        let proxies = address::networks(doc, "receiver.trusted_proxies", &self.trusted_proxies);
        let idle = doc.accept("receiver.idle", units::duration(&self.idle));
        let tls = doc.accept("receiver.tls", self.tls.check());
        Some(ReceiverSettings {
            address: address?,
            trusted_proxies: proxies?,
            connections: self.connections,
            connections_per_address: self.connections_per_address,
            idle: idle?,
            rate: NonZeroU32::new(self.rate),
            bad_keys_per_minute: NonZeroU32::new(self.bad_keys_per_minute),
            queue: self.queue,
            body_memory: self.body_memory_mb.saturating_mul(1024 * 1024),
            tls: tls?,
        })
    }
}

impl RawTls {
    pub(super) fn check(&self) -> Result<Option<TlsSettings>, Fault> {
        let missing = match (self.certificate.as_str(), self.key.as_str()) {
            ("", "") => return Ok(None),
            ("", _) => "certificate",
            (_, "") => "key",
            (certificate, key) => {
                return Ok(Some(TlsSettings { certificate: certificate.into(), key: key.into() }));
            }
        };
        Err(Fault::new(format!("`{missing}` is missing"))
            .hint("TLS needs both `certificate` and `key`; without both: plain HTTP"))
    }
}
