//! From the address to the server.

use crate::job::spec::{DatabaseSource, Tls};
use crate::source::{Environment, SourceError};
use secrecy::ExposeSecret;
use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use std::net::IpAddr;
use url::Url;

/// What may stand behind the `?`. Addresses that hosts hand out have `ssl-mode`.
const PARAMETERS: [&str; 5] = ["ssl-mode", "sslmode", "ssl-ca", "sslca", "socket"];

/// A server. Never printed: its options have the password.
pub(super) struct Server {
    pub(super) options: MySqlConnectOptions,
    /// The address as the job has it.
    pub(super) shown: String,
}

/// Looks up the references of the address. Nothing is connected yet.
///
/// # Errors
/// A reference that leads nowhere, an address that is none. The address does not stand in the error.
pub(super) fn server(spec: &DatabaseSource, environment: &Environment) -> Result<Server, SourceError> {
    let address = environment.secrets.resolve("source.url", &spec.url).map_err(|e| SourceError::new(e.to_string()))?;
    let url = Url::parse(address.expose_secret()).map_err(|_| wrong("is not an address"))?;
    if !matches!(url.scheme(), "mysql" | "mariadb") {
        return Err(wrong("is not the address of a MySQL database"));
    }
    if let Some((name, _)) = url.query_pairs().find(|(name, _)| !PARAMETERS.contains(&name.as_ref())) {
        // A name, not a value.
        return Err(wrong(&format!("has the parameter `{name}`, which is none of {}", PARAMETERS.join(", "))));
    }
    if url.path().trim_matches('/').is_empty() {
        return Err(wrong("names no database"));
    }
    let has_mode = url.query_pairs().any(|(name, _)| matches!(name.as_ref(), "ssl-mode" | "sslmode"));
    let mut options: MySqlConnectOptions = url.as_str().parse().map_err(|_| wrong("cannot be read"))?;
    if let Some(tls) = spec.tls {
        options = options.ssl_mode(mode(tls));
    } else if !has_mode {
        let mode = if is_local(&options) { MySqlSslMode::Preferred } else { MySqlSslMode::VerifyIdentity };
        options = options.ssl_mode(mode);
    }
    if let Some(path) = &spec.tls_ca {
        options = options.ssl_ca(path);
    }
    // The query means what it means in the server's own client; the driver would change the SQL mode.
    let options = options.pipes_as_concat(false).no_engine_substitution(false).disable_statement_logging();
    Ok(Server { options, shown: spec.url.written.clone() })
}

fn wrong(why: &str) -> SourceError {
    SourceError::new(format!("source.url {why}"))
        .hint("it is written mysql://user:password@host:3306/database, with a percent-encoded password")
}

fn mode(tls: Tls) -> MySqlSslMode {
    match tls {
        Tls::Disable => MySqlSslMode::Disabled,
        Tls::Prefer => MySqlSslMode::Preferred,
        Tls::Require => MySqlSslMode::Required,
        Tls::VerifyCa => MySqlSslMode::VerifyCa,
        Tls::VerifyFull => MySqlSslMode::VerifyIdentity,
    }
}

/// Whether nothing leaves this machine: a socket, or loopback.
fn is_local(options: &MySqlConnectOptions) -> bool {
    let host = options.get_host().trim_start_matches('[').trim_end_matches(']');
    options.get_socket().is_some()
        || host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
