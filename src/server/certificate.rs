//! What the certificates of a pair of files say of themselves, for whoever looks after it.

use super::tls::{TlsError, TlsFiles};
use chrono::{DateTime, Utc};
use rustls::CertificateError;
use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use std::time::Duration;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it is for: names, `*.example.com` among them, and addresses. Clients look at these alone, and at none of an authority.
    pub names: Vec<String>,
    /// When it becomes valid; `None`: that cannot be read.
    pub from: Option<DateTime<Utc>>,
    /// When it ceases to be; `None`: that cannot be read.
    pub until: Option<DateTime<Utc>>,
}

impl TlsFiles {
    /// The server's own certificate, and after it those that lead to its root.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn certificates(&self) -> Result<Vec<Certificate>, TlsError> {
        self.chain()?.iter().map(|der| Certificate::read(der).map_err(|problem| self.unreadable(&problem))).collect()
    }

    /// Whether the server's own certificate is this one, as bytes.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn presents(&self, der: &[u8]) -> Result<bool, TlsError> {
        Ok(self.chain()?.first().is_some_and(|first| first.as_ref() == der))
    }
}

impl Certificate {
    /// The times are those that a check at the beginning and at the end of all time complains of: it looks at them before anything else.
    fn read(der: &CertificateDer<'_>) -> Result<Self, rustls::Error> {
        let parsed = ParsedCertificate::try_from(der)?;
        Ok(Certificate {
            names: names(&parsed),
            from: complaint(&parsed, Duration::ZERO).and_then(|error| match error {
                CertificateError::NotValidYetContext { not_before, .. } => time(not_before),
                _ => None,
            }),
            until: complaint(&parsed, Duration::from_secs(u64::MAX)).and_then(|error| match error {
                CertificateError::ExpiredContext { not_after, .. } => time(not_after),
                _ => None,
            }),
        })
    }
}

fn complaint(parsed: &ParsedCertificate<'_>, now: Duration) -> Option<CertificateError> {
    let algorithms = default_provider().signature_verification_algorithms.all;
    let now = UnixTime::since_unix_epoch(now);
    match verify_server_cert_signed_by_trust_anchor(parsed, &RootCertStore::empty(), &[], now, algorithms) {
        Err(rustls::Error::InvalidCertificate(error)) => Some(error),
        _ => None,
    }
}

/// Those that it says it has when it is asked for one that nobody has.
fn names(parsed: &ParsedCertificate<'_>) -> Vec<String> {
    let Ok(nobody) = ServerName::try_from("nobody.invalid") else { return Vec::new() };
    match verify_server_name(parsed, &nobody) {
        Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. })) => {
            presented.iter().map(|name| bare(name).to_owned()).collect()
        }
        _ => Vec::new(),
    }
}

/// `DnsName("localhost")`, `IpAddress(127.0.0.1)`
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.map_or(name, |inner| inner.trim_matches('"'))
}

fn time(at: UnixTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(i64::try_from(at.as_secs()).ok()?, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};
    use std::path::Path;

    fn written(dir: &Path, certificates: &[(&[&str], bool)]) -> TlsFiles {
        let key = KeyPair::generate().expect("a key");
        let pems = certificates.iter().map(|(names, is_ca)| {
            let mut params =
                CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names");
            params.distinguished_name.push(DnType::CommonName, "localhost");
            (params.not_before, params.not_after) = (date_time_ymd(2020, 2, 29), date_time_ymd(2031, 12, 31));
            if *is_ca {
                params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            }
            params.self_signed(&key).expect("a certificate").pem()
        });
        let files = TlsFiles { certificate: dir.join("cert.pem"), key: dir.join("key.pem") };
        std::fs::write(&files.certificate, pems.collect::<String>()).expect("written");
        std::fs::write(&files.key, key.serialize_pem()).expect("written");
        files
    }

    #[test]
    fn names_and_times_are_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |text: &str| Some(text.parse::<DateTime<Utc>>().expect("a time"));
        let (from, until) = (at("2020-02-29T00:00:00Z"), at("2031-12-31T00:00:00Z"));
        let names: &[&str] = &["localhost", "*.example.com", "127.0.0.1", "fd00::1"];
        // One that may itself sign, as `openssl req -x509` makes them, and one without a name but a common one.
        let files = written(dir.path(), &[(names, true), (&[], false)]);
        let of =
            |names: &[&str]| Certificate { names: names.iter().map(|name| (*name).to_owned()).collect(), from, until };
        assert_eq!(files.certificates().expect("read"), [of(names), of(&[])]);
        std::fs::write(&files.certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .expect("written");
        let message = files.certificates().expect_err("none").to_string();
        assert!(message.contains("cert.pem holds a certificate that cannot be read"), "{message}");
    }

    #[test]
    fn the_certificate_in_a_file_is_told_from_another() {
        let (one, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let (files, others) = (written(one.path(), &[(&["a"], false)]), written(other.path(), &[(&["a"], false)]));
        let der = files.chain().expect("read")[0].to_vec();
        assert!(files.presents(&der).expect("read"));
        assert!(!others.presents(&der).expect("read"));
    }
}
