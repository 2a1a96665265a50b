//! Why a destination cannot be delivered to as it is set up. Secrets are named by the field that they stand in, never shown.

use std::net::IpAddr;
use std::path::PathBuf;

/// A destination that cannot be delivered to as it is set up.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// Not an address.
    #[error(
        "{field} does not resolve to a web address: {problem}; check the variables in it (it is not shown here because \
         the API key stands in it)"
    )]
    Url {
        /// The setting in the job file.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Not the address of a proxy.
    #[error(
        "destination.proxy does not resolve to the address of a proxy: {0}; check the variables in it (it is not shown \
         here because a password may stand in it)"
    )]
    Proxy(String),
    /// An address that no webhook goes to.
    #[error(
        "{field} leads to {address}, which is {reason}, and no webhook goes to such an address; if the destination really \
         is there, list its network in destination.allow_addresses, such as [\"{address}\"]"
    )]
    Address {
        /// The setting in the job file.
        field: &'static str,
        /// The address.
        address: IpAddr,
        /// What it is.
        reason: &'static str,
    },
    /// Not a signing secret.
    #[error(
        "{field} is no signing secret of Standard Webhooks: {problem}; it is `whsec_` and the base64 form of 24 to 64 \
         random bytes (it is not shown here)"
    )]
    Signing {
        /// The setting in the job file.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No certificates.
    #[error("destination.ca_file: {} {problem}; it is to hold one or more CA certificates in PEM form", path.display())]
    CaFile {
        /// The file, absolute.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Not a header.
    #[error("{field} {problem}")]
    Header {
        /// The setting in the job file.
        field: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The HTTP client does not start.
    #[error(
        "the HTTP client cannot be set up: {0}; https needs this machine's trusted certificates (package \
         ca-certificates) or destination.ca_file"
    )]
    Client(String),
}
