//! TLS from two PEM files, which may change while it is served.
//!
//! A pair that cannot be used never takes the place of one that can. Files are looked at and not watched: that works in every file system and
//! container, and where a link is switched to another folder.

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// A certificate and its key, as they are at the moment.
pub struct Tls {
    files: TlsFiles,
    config: Arc<ServerConfig>,
    current: Arc<Current>,
    seen: Mutex<Seen>,
}

/// Where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the certificate, then those that lead to its root.
    pub certificate: PathBuf,
    /// PEM: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// Why a pair cannot be used. Nothing of the key is in it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} {problem}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Both are fine, and do not belong together.
    #[error(
        "the key in {} is not that of the first certificate in {}; give the two files that were made together, with the \
         server's own certificate first", key.display(), certificate.display()
    )]
    Mismatch {
        /// The one file.
        certificate: PathBuf,
        /// The other.
        key: PathBuf,
    },
}

/// The two files' bytes.
type Pair = (Vec<u8>, Vec<u8>);

/// What the files held when they were looked at.
#[derive(Default)]
struct Seen {
    /// Taken, or found to be of no use.
    judged: Option<Pair>,
    /// Found at the last look and not judged yet: it may be half written.
    fresh: Option<Pair>,
    /// Looks in a row at which a file could not be read.
    missing: u32,
}

/// What a look at the files came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// There is nothing new, or it is not certain yet.
    Same,
    /// Both files can be read again, after it was said that they cannot.
    Back,
    /// What is in the files is in use now.
    Taken,
}

/// Looks in a row at which a file is missing before it is said: whoever replaces both may be between the two.
const MISSING: u32 = 2;

struct Current(RwLock<Arc<CertifiedKey>>);

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(files: TlsFiles) -> Result<Tls, TlsError> {
        let provider = Arc::new(default_provider());
        let pair = files.read()?;
        let current = Arc::new(Current(RwLock::new(Arc::new(files.parse(&pair, &provider)?))));
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder
            .map_err(|error| TlsError::Unusable { path: files.certificate.clone(), problem: error.to_string() })?;
        let mut config =
            builder.with_no_client_auth().with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let seen = Mutex::new(Seen { judged: Some(pair), fresh: None, missing: 0 });
        Ok(Tls { files, config: Arc::new(config), current, seen })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// Takes what is in the files now, whatever was there before.
    ///
    /// # Errors
    /// See [`TlsError`]. What was in use stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let pair = self.files.read()?;
        let certified = self.files.parse(&pair, &default_provider());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Seen { judged: Some(pair), fresh: None, missing: 0 };
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certified?);
        Ok(())
    }

    /// Takes what is in the files once it has changed, and has stayed the same since the last look.
    ///
    /// # Errors
    /// See [`TlsError`]; the same files are complained of once, and one that cannot be read at the second look in a row.
    pub fn look(&self) -> Result<Looked, TlsError> {
        let pair = self.files.read();
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let pair = match pair {
                Ok(pair) => pair,
                Err(error) => {
                    seen.missing = seen.missing.saturating_add(1);
                    return if seen.missing == MISSING { Err(error) } else { Ok(Looked::Same) };
                }
            };
            let unchanged = match std::mem::take(&mut seen.missing) {
                MISSING.. => Looked::Back,
                _ => Looked::Same,
            };
            if seen.judged.as_ref() == Some(&pair) {
                seen.fresh = None;
                return Ok(unchanged);
            }
            if seen.fresh.as_ref() != Some(&pair) {
                seen.fresh = Some(pair);
                return Ok(unchanged);
            }
        }
        self.reload().map(|()| Looked::Taken)
    }

    /// Looks at the files from time to time, for ever.
    pub async fn follow(self: Arc<Tls>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let tls = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || tls.look()).await {
                Ok(Ok(Looked::Taken)) => tracing::info!(event = "certificate_taken", "a new certificate is in use"),
                Ok(Ok(Looked::Back)) => {
                    tracing::warn!(event = "certificate_readable", "the files of the certificate can be read again")
                }
                Ok(Ok(Looked::Same)) | Err(_) => {}
                Ok(Err(error @ TlsError::Unreadable { .. })) => {
                    tracing::error!(event = "certificate_missing", %error, "a file of the certificate is missing; the certificate in use stays in use")
                }
                Ok(Err(error)) => {
                    tracing::error!(event = "certificate_unusable", %error, "the new certificate cannot be used; the one before stays in use")
                }
            }
        }
    }
}

impl TlsFiles {
    fn read(&self) -> Result<Pair, TlsError> {
        let read =
            |path: &PathBuf| std::fs::read(path).map_err(|error| TlsError::Unreadable { path: path.clone(), error });
        Ok((read(&self.certificate)?, read(&self.key)?))
    }

    /// The certificates in the one file, the server's own first.
    pub(super) fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let path = self.certificate.clone();
        let bytes = std::fs::read(&path).map_err(|error| TlsError::Unreadable { path, error })?;
        self.chain_of(&bytes)
    }

    fn chain_of(&self, certificate: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let unusable = |problem: String| TlsError::Unusable { path: self.certificate.clone(), problem };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.map_err(|error| unusable(format!("is no PEM: {error}")))?;
        match chain.is_empty() {
            true => Err(unusable("holds no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned())),
            false => Ok(chain),
        }
    }

    pub(super) fn unreadable(&self, error: &rustls::Error) -> TlsError {
        let problem = format!("holds a certificate that cannot be read: {error}");
        TlsError::Unusable { path: self.certificate.clone(), problem }
    }

    fn parse(&self, (certificate, key): &Pair, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let unusable = |path: &PathBuf, problem: String| TlsError::Unusable { path: path.clone(), problem };
        let chain = self.chain_of(certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| unusable(&self.key, no_key(key)))?;
        let key = provider.key_provider.load_private_key(key).map_err(|_| {
            unusable(&self.key, "holds a key of a kind that cannot be used; RSA (2048 bits or more), ECDSA P-256 and P-384 and Ed25519 can".to_owned())
        })?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(TlsError::Mismatch { certificate: self.certificate.clone(), key: self.key.clone() })
            }
            Err(error) => Err(self.unreadable(&error)),
        }
    }
}

fn no_key(bytes: &[u8]) -> String {
    match memchr::memmem::find(bytes, b"ENCRYPTED").is_some() {
        true => "holds a key with a passphrase; take it off with `openssl pkey -in FILE -out FILE`".to_owned(),
        false => "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{KeyPair, generate_simple_self_signed};

    struct Made {
        certificate: String,
        key: KeyPair,
    }

    fn made() -> Made {
        let made = generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        Made { certificate: made.cert.pem(), key: made.signing_key }
    }

    fn files(dir: &tempfile::TempDir, certificate: &str, key: &str) -> TlsFiles {
        let files = TlsFiles { certificate: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
        std::fs::write(&files.certificate, certificate).expect("written");
        std::fs::write(&files.key, key).expect("written");
        files
    }

    fn in_use(tls: &Tls) -> Vec<u8> {
        tls.current.0.read().expect("not poisoned").cert[0].to_vec()
    }

    #[test]
    fn what_is_wrong_is_said_with_the_file() {
        let (dir, one, other) = (tempfile::tempdir().expect("a folder"), made(), made());
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let odd = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let key = one.key.serialize_pem();
        for (certificate, key, file, part) in [
            ("", key.as_str(), "cert.pem", "no certificate in PEM"),
            (&key, &key, "cert.pem", "no certificate in PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA", &key, "cert.pem", "no PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key, "cert.pem", "cannot be read"),
            (&one.certificate, "", "key.pem", "no private key in PEM"),
            (&one.certificate, &one.certificate, "key.pem", "no private key in PEM"),
            (&one.certificate, encrypted, "key.pem", "openssl pkey"),
            (&one.certificate, odd, "key.pem", "cannot be used"),
            (&other.certificate, &key, "key.pem", "not that of the first certificate"),
        ] {
            let message = Tls::load(files(&dir, certificate, key)).expect_err("unusable").to_string();
            assert!(message.contains(file) && message.contains(part), "{message}");
        }
        let missing = TlsFiles { certificate: dir.path().join("none.pem"), key: dir.path().join("key.pem") };
        let message = Tls::load(missing).expect_err("missing").to_string();
        assert!(message.contains("none.pem cannot be read"), "{message}");
    }

    #[test]
    fn a_pair_is_taken_once_it_is_whole() {
        let (dir, old, new) = (tempfile::tempdir().expect("a folder"), made(), made());
        let tls = Tls::load(files(&dir, &old.certificate, &old.key.serialize_pem())).expect("usable");
        let before = in_use(&tls);
        assert!(matches!((tls.look(), tls.look()), (Ok(Looked::Same), Ok(Looked::Same))), "nothing has changed");
        std::fs::write(&tls.files.certificate, &new.certificate).expect("written");
        assert!(matches!(tls.look(), Ok(Looked::Same)), "it may be half of a change");
        std::fs::write(&tls.files.key, new.key.serialize_pem()).expect("written");
        assert!(matches!(tls.look(), Ok(Looked::Same)), "it has changed again");
        assert_eq!(in_use(&tls), before);
        assert!(matches!(tls.look(), Ok(Looked::Taken)));
        assert_ne!(in_use(&tls), before);
        assert!(matches!(tls.look(), Ok(Looked::Same)));
    }

    #[test]
    fn a_bad_pair_is_complained_of_once_and_changes_nothing() {
        let (dir, old, new) = (tempfile::tempdir().expect("a folder"), made(), made());
        let tls = Tls::load(files(&dir, &old.certificate, &old.key.serialize_pem())).expect("usable");
        let before = in_use(&tls);
        std::fs::write(&tls.files.certificate, &new.certificate).expect("written");
        assert!(matches!(tls.look(), Ok(Looked::Same)));
        assert!(matches!(tls.look(), Err(TlsError::Mismatch { .. })));
        assert!(matches!(tls.look(), Ok(Looked::Same)), "once");
        assert!(matches!(tls.reload(), Err(TlsError::Mismatch { .. })), "whoever asks is told");
        std::fs::remove_file(&tls.files.key).expect("removed");
        assert!(matches!(tls.look(), Ok(Looked::Same)), "not there for the moment");
        assert!(matches!(tls.reload(), Err(TlsError::Unreadable { .. })));
        assert_eq!(in_use(&tls), before);
        std::fs::write(&tls.files.key, new.key.serialize_pem()).expect("written");
        tls.reload().expect("usable");
        assert_ne!(in_use(&tls), before);
    }

    #[test]
    fn a_file_that_stays_missing_is_complained_of_once() {
        let (dir, old, new) = (tempfile::tempdir().expect("a folder"), made(), made());
        let tls = Tls::load(files(&dir, &old.certificate, &old.key.serialize_pem())).expect("usable");
        let before = in_use(&tls);
        for _ in 0..2 {
            std::fs::remove_file(&tls.files.certificate).expect("removed");
            assert!(matches!(tls.look(), Ok(Looked::Same)), "it may be between two renames");
            let message = tls.look().expect_err("missing").to_string();
            assert!(message.contains("cert.pem cannot be read"), "{message}");
            assert!(matches!((tls.look(), tls.look()), (Ok(Looked::Same), Ok(Looked::Same))), "once");
            assert_eq!(in_use(&tls), before, "the old one stays in use");
            std::fs::write(&tls.files.certificate, &old.certificate).expect("written");
            assert!(matches!((tls.look(), tls.look()), (Ok(Looked::Back), Ok(Looked::Same))));
        }
        // Missing for one look, or back with something new.
        std::fs::remove_file(&tls.files.key).expect("removed");
        assert!(matches!(tls.look(), Ok(Looked::Same)));
        files(&dir, &new.certificate, &new.key.serialize_pem());
        assert!(matches!((tls.look(), tls.look()), (Ok(Looked::Same), Ok(Looked::Taken))));
        std::fs::remove_file(&tls.files.key).expect("removed");
        assert!(matches!((tls.look(), tls.look()), (Ok(Looked::Same), Err(TlsError::Unreadable { .. }))));
        files(&dir, &old.certificate, &old.key.serialize_pem());
        assert!(matches!((tls.look(), tls.look()), (Ok(Looked::Back), Ok(Looked::Taken))));
        assert_eq!(in_use(&tls), before);
    }
}
