//! `[admin]`

use super::address;
use super::receiver::{RawTls, TlsSettings};
use crate::job::document::Document;
use crate::job::problem::Fault;
use crate::job::spec::Templated;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::SocketAddr;

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where it listens; port 0 is any free one.
    pub address: SocketAddr,
    /// What callers of the admin API have to know, as a reference; `None`: nothing, so it answers this machine alone.
    pub token: Option<Templated>,
    /// Proxies that have TLS: whose connections in the clear are taken, and whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// `[admin.tls]`; `None`: plain HTTP.
    pub tls: Option<TlsSettings>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAdmin {
    address: String,
    token: String,
    trusted_proxies: Vec<String>,
    tls: RawTls,
}

impl RawAdmin {
    /// `None`: something was reported.
    pub(super) fn check(&self, doc: &mut Document<'_>) -> Option<AdminSettings> {
        let address = doc.accept("admin.address", address::socket(&self.address));
        let token = doc.accept("admin.token", token(&self.token));
        let proxies = address::networks(doc, "admin.trusted_proxies", &self.trusted_proxies);
        let tls = doc.accept("admin.tls", self.tls.check());
        Some(AdminSettings { address: address?, token: token?, trusted_proxies: proxies?, tls: tls? })
    }
}

fn token(written: &str) -> Result<Option<Templated>, Fault> {
    if written.is_empty() {
        return Ok(None);
    }
    let token = Templated::parse(written)?;
    match token.is_reference_only() {
        true => Ok(Some(token)),
        false => Err(Fault::new("a token must not stand in the settings")
            .hint("write `${NAME}` (environment) or `${file:PATH}`; for one, `openssl rand -hex 32`")),
    }
}
