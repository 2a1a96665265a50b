//! From the address to the server.

use crate::job::spec::{DatabaseSource, Tls};
use crate::source::sql::address::{self, Written, authority, is_loopback, tls};
use crate::source::{Environment, SourceError};
use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use url::Url;

/// Addresses that hosts hand out have `ssl-mode`.
const WRITTEN: Written = Written {
    schemes: &["mysql", "mariadb"],
    name: "MySQL",
    parameters: &["ssl-mode", "sslmode", "ssl-ca", "sslca", "socket"],
    form: "mysql://user:password@host:3306/database",
};

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
    let url = WRITTEN.resolve(spec, environment)?;
    let of_address = mode_of(&url);
    let mut options: MySqlConnectOptions = url.as_str().parse().map_err(|_| WRITTEN.wrong("cannot be read"))?;
    if let Some(tls) = tls(spec, of_address.as_deref(), is_local(&options))? {
        options = options.ssl_mode(mode(tls));
    }
    if let Some(path) = authority(spec)? {
        options = options.ssl_ca(path);
    }
    // The query means what it means in the server's own client; the driver would change the SQL mode.
    let options = options.pipes_as_concat(false).no_engine_substitution(false).disable_statement_logging();
    Ok(Server { options, shown: spec.url.written.clone() })
}

/// What whoever wrote the job should know of how the connection is encrypted.
pub(super) fn advice(spec: &DatabaseSource, environment: &Environment) -> Option<String> {
    let url = WRITTEN.resolve(spec, environment).ok();
    address::advice(spec, url.as_ref().and_then(mode_of).as_deref())
}

/// How the address says that the connection is to be encrypted.
fn mode_of(url: &Url) -> Option<String> {
    let modes = url.query_pairs().filter(|(name, _)| matches!(name.as_ref(), "ssl-mode" | "sslmode"));
    modes.last().map(|(_, mode)| mode.into_owned())
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
    options.get_socket().is_some() || is_loopback(options.get_host())
}
