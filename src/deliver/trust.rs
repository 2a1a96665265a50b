//! Certificates that are trusted besides those of the machine.

use super::DeliverError;
use reqwest::Certificate;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::io::Read as _;
use std::path::Path;

/// A file of certificates that is longer than this is another file.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Every certificate of a PEM file, at least one.
///
/// # Errors
/// [`DeliverError::CaFile`].
pub(super) fn read(path: &Path) -> Result<Vec<Certificate>, DeliverError> {
    let fault = |problem: String| DeliverError::CaFile { path: path.to_owned(), problem };
    let mut pem = Vec::new();
    let file = std::fs::File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut pem));
    file.map_err(|error| fault(format!("cannot be read: {error}")))?;
    if pem.len() as u64 > LONGEST {
        return Err(fault(format!("is longer than {LONGEST} bytes")));
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|_| fault("is damaged: what stands in it is not PEM".to_owned()))?;
    if found.is_empty() {
        return Err(fault("has no certificate in it (a line `-----BEGIN CERTIFICATE-----`)".to_owned()));
    }
    let usable = |(index, der): (usize, CertificateDer<'static>)| {
        let damaged = || fault(format!("is damaged: certificate {} of it cannot be used", index + 1));
        RootCertStore::empty().add(der.clone()).map_err(|_| damaged())?;
        Certificate::from_der(&der).map_err(|_| damaged())
    };
    found.into_iter().enumerate().map(usable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_none_of_certificates_is_told_by_what_is_wrong_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let missing = read(&path).err().unwrap().to_string();
        assert!(missing.starts_with("destination.ca_file: ") && missing.contains("cannot be read"), "{missing}");
        let block = |name: &str, inside: &str| format!("-----BEGIN {name}-----\n{inside}\n-----END {name}-----\n");
        for (content, problem) in [
            (String::new(), "has no certificate in it"),
            ("a note".to_owned(), "has no certificate in it"),
            (block("PRIVATE KEY", "AAAA"), "has no certificate in it"),
            (block("CERTIFICATE", "AAAA"), "certificate 1 of it cannot be used"),
            (block("CERTIFICATE", "!"), "is damaged"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n".to_owned(), "is damaged"),
        ] {
            std::fs::write(&path, &content).unwrap();
            let error = read(&path).err().unwrap().to_string();
            assert!(error.contains(problem) && error.contains("ca.pem"), "{content}: {error}");
        }
    }
}
