//! The address of a server, as far as all kinds of servers have the same.

use crate::job::spec::DatabaseSource;
use crate::source::{Environment, SourceError};
use secrecy::ExposeSecret;
use std::net::IpAddr;
use url::Url;

/// How the addresses of a kind of server are written.
pub(super) struct Written {
    pub(super) schemes: &'static [&'static str],
    /// The kind of server.
    pub(super) name: &'static str,
    /// What may stand behind the `?`.
    pub(super) parameters: &'static [&'static str],
    /// An example.
    pub(super) form: &'static str,
}

impl Written {
    /// Looks up the references of the address. Nothing is connected yet.
    ///
    /// # Errors
    /// A reference that leads nowhere, an address that is none. The address does not stand in the error.
    pub(super) fn resolve(&self, spec: &DatabaseSource, environment: &Environment) -> Result<Url, SourceError> {
        let address = environment.secrets.resolve("source.url", &spec.url);
        let address = address.map_err(|e| SourceError::new(e.to_string()))?;
        let url = Url::parse(address.expose_secret()).map_err(|_| self.wrong("is not an address"))?;
        if !self.schemes.contains(&url.scheme()) {
            return Err(self.wrong(&format!("is not the address of a {} database", self.name)));
        }
        if let Some((name, _)) = url.query_pairs().find(|(name, _)| !self.parameters.contains(&name.as_ref())) {
            // A name, not a value.
            let known = self.parameters.join(", ");
            return Err(self.wrong(&format!("has the parameter `{name}`, which is none of {known}")));
        }
        if url.path().trim_matches('/').is_empty() {
            return Err(self.wrong("names no database"));
        }
        Ok(url)
    }

    pub(super) fn wrong(&self, why: &str) -> SourceError {
        SourceError::new(format!("source.url {why}"))
            .hint(format!("it is written {}, with a percent-encoded password", self.form))
    }
}

/// Whether nothing leaves this machine by this host: loopback.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
