//! The address of a server, as far as all kinds of servers have the same.

use crate::job::spec::{DatabaseSource, Tls};
use crate::source::{Environment, SourceError};
use secrecy::ExposeSecret;
use std::net::IpAddr;
use std::path::Path;
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

/// Parameters that addresses have elsewhere, and which are none here.
const COMMON: [&str; 16] = [
    "application_name",
    "channel_binding",
    "charset",
    "connect_timeout",
    "connection_limit",
    "gssencmode",
    "keepalives",
    "options",
    "pgbouncer",
    "schema",
    "serverTimezone",
    "sslcert",
    "sslkey",
    "target_session_attrs",
    "timezone",
    "useSSL",
];

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
            let known = self.parameters.join(", ");
            // Anything else may be a part of a password that is not percent-encoded.
            let is_known = spec.url.written.contains(&*name) || COMMON.contains(&name.as_ref());
            let named = if is_known { format!("the parameter `{name}`") } else { "a parameter".to_owned() };
            return Err(self.wrong(&format!("has {named} that is none of {known}")));
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

/// How a connection is encrypted: as the job says; else as the resolved address does (`None`: leave that); else so that the server is who it says,
/// where anything leaves this machine, or where there is an authority to say so.
///
/// # Errors
/// An authority whose word the address leaves out of account.
pub(super) fn tls(spec: &DatabaseSource, of_address: Option<&str>, is_local: bool) -> Result<Option<Tls>, SourceError> {
    let verifies = |mode: &str| mode.to_ascii_lowercase().replace('_', "-").starts_with("verify");
    match (spec.tls, of_address) {
        (Some(tls), _) => Ok(Some(tls)),
        (None, Some(mode)) if spec.tls_ca.is_some() && !verifies(mode) => {
            let error = SourceError::new(
                "the address in source.url says that the server's certificate is not looked at, and source.tls_ca is set",
            );
            Err(error
                .hint("set `tls = \"verify-full\"` in [source], which counts before the address, or remove `tls_ca`"))
        }
        (None, Some(_)) => Ok(None),
        (None, None) if is_local && spec.tls_ca.is_none() => Ok(Some(Tls::Prefer)),
        (None, None) => Ok(Some(Tls::VerifyFull)),
    }
}

/// What `tls = "verify-ca"` is worth, where the job or the resolved address says so. sqlx (0.9) adds the certificates of `tls_ca` to the system's and
/// has no way to leave those out, unlike psql, which then trusts `sslrootcert` alone.
pub(super) fn advice(spec: &DatabaseSource, of_address: Option<&str>) -> Option<String> {
    let is_verify_ca = |mode: &str| mode.to_ascii_lowercase().replace('_', "-") == "verify-ca";
    let (said, set) = match (spec.tls, of_address) {
        (Some(Tls::VerifyCa), _) => ("source.tls is \"verify-ca\"", "`tls = \"verify-full\"`"),
        (None, Some(mode)) if is_verify_ca(mode) => {
            ("the address in source.url says verify-ca", "`tls = \"verify-full\"`, which counts before the address")
        }
        _ => return None,
    };
    let besides = if spec.tls_ca.is_some() { ", besides those of tls_ca" } else { "" };
    Some(format!(
        "{said}, which looks at no name, and the authorities that this system trusts are trusted here{besides}: whoever has a certificate of any of them \
         for any name can stand in for the server; set {set}"
    ))
}

/// The file of the authority, if there is one. The drivers take one without certificates, and say of one that is not there that the server is not.
///
/// # Errors
/// It cannot be read, or has no certificate in it.
pub(super) fn authority(spec: &DatabaseSource) -> Result<Option<&Path>, SourceError> {
    let Some(path) = &spec.tls_ca else { return Ok(None) };
    let content = std::fs::read(path).map_err(|error| {
        SourceError::new(format!("source.tls_ca: {} cannot be read: {error}", path.display()))
            .hint("relative paths start at the home folder (--home)")
    })?;
    match String::from_utf8_lossy(&content).contains("-----BEGIN CERTIFICATE-----") {
        true => Ok(Some(path)),
        false => Err(SourceError::new(format!("source.tls_ca: {} has no certificate (PEM) in it", path.display()))
            .hint("`openssl x509 -inform der -in FILE -out FILE.pem` makes PEM of the binary form")),
    }
}

/// Whether nothing leaves this machine by this host: loopback.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
