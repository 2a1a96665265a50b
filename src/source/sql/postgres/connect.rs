//! From the address to the server.

use crate::job::spec::{DatabaseSource, Tls};
use crate::source::sql::address::{self, Written, authority, is_loopback, tls};
use crate::source::{Environment, SourceError};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

/// Addresses that hosts hand out have `sslmode`.
const WRITTEN: Written = Written {
    schemes: &["postgres", "postgresql"],
    name: "Postgres",
    parameters: &["sslmode", "sslrootcert", "host", "port", "user"],
    form: "postgres://user:password@host:5432/database",
};

/// A server. Never printed: its options have the password.
pub(super) struct Server {
    pub(super) options: PgConnectOptions,
    /// The address as the job has it.
    pub(super) shown: String,
}

impl Server {
    /// The same, where numbers come as text and are to be as exact as they are.
    pub(super) fn for_text(&self) -> PgConnectOptions {
        self.options.clone().extra_float_digits(2)
    }
}

/// Looks up the references of the address. Nothing is connected yet.
///
/// # Errors
/// A reference that leads nowhere, an address that is none. The address does not stand in the error.
pub(super) fn server(spec: &DatabaseSource, environment: &Environment) -> Result<Server, SourceError> {
    let url = WRITTEN.resolve(spec, environment)?;
    let of_address = mode_of(&url);
    let mut options: PgConnectOptions = url.as_str().parse().map_err(|_| WRITTEN.wrong("cannot be read"))?;
    if let Some(tls) = tls(spec, of_address.as_deref(), is_local(&options))? {
        options = options.ssl_mode(mode(tls));
    }
    if let Some(path) = authority(spec)? {
        options = options.ssl_root_cert(path);
    }
    // Nothing that lasts longer than a transaction: behind a pooler it would meet others, or not be there. `extra_float_digits` is asked for at
    // the start of a session, which PgBouncer refuses.
    let options = options.application_name("nightmark").disable_statement_logging();
    let options = options.extra_float_digits(None);
    Ok(Server { options, shown: spec.url.written.clone() })
}

/// What whoever wrote the job should know of how the connection is encrypted.
pub(super) fn advice(spec: &DatabaseSource, environment: &Environment) -> Option<String> {
    let url = WRITTEN.resolve(spec, environment).ok();
    address::advice(spec, url.as_ref().and_then(mode_of).as_deref())
}

/// How the address says that the connection is to be encrypted.
fn mode_of(url: &Url) -> Option<String> {
    url.query_pairs().find(|(name, _)| name == "sslmode").map(|(_, mode)| mode.into_owned())
}

fn mode(tls: Tls) -> PgSslMode {
    match tls {
        Tls::Disable => PgSslMode::Disable,
        Tls::Prefer => PgSslMode::Prefer,
        Tls::Require => PgSslMode::Require,
        Tls::VerifyCa => PgSslMode::VerifyCa,
        Tls::VerifyFull => PgSslMode::VerifyFull,
    }
}

/// Whether nothing leaves this machine: a socket's path, or loopback.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    options.get_socket().is_some() || host.starts_with('/') || is_loopback(host)
}
