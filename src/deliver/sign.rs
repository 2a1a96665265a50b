//! Signatures by Standard Webhooks, version 1 (standardwebhooks.com): HMAC-SHA256 of `id.timestamp.body`. Pure.

use super::DeliverError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

const PREFIX: &str = "whsec_";
/// Bytes that a secret may have, by the specification.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// Signs with every secret of a destination.
pub(super) struct Signer {
    /// Ready for the first byte of a message, the newest secret first.
    keys: Vec<Hmac<Sha256>>,
}

impl Signer {
    /// # Errors
    /// A secret that is not of the form `whsec_BASE64`, with 24 to 64 bytes in it.
    pub(super) fn new(secrets: &[SecretString]) -> Result<Self, DeliverError> {
        let key = |(index, secret): (usize, &SecretString)| {
            let problem = |problem: String| DeliverError::Signing { field: field(index, secrets.len()), problem };
            let encoded = secret.expose_secret().trim().strip_prefix(PREFIX);
            let encoded = encoded.ok_or_else(|| problem(format!("it does not begin with `{PREFIX}`")))?;
            let bytes =
                STANDARD.decode(encoded).map_err(|_| problem(format!("what follows `{PREFIX}` is not base64")))?;
            if !LENGTHS.contains(&bytes.len()) {
                return Err(problem(format!("it has {} bytes", bytes.len())));
            }
            // HMAC takes keys of any length.
            Hmac::<Sha256>::new_from_slice(&bytes).map_err(|_| problem("it is no key".to_owned()))
        };
        Ok(Signer { keys: secrets.iter().enumerate().map(key).collect::<Result<_, _>>()? })
    }

    /// `webhook-signature`: one per secret, separated by spaces. `None` without a secret.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
        if self.keys.is_empty() {
            return None;
        }
        let timestamp = timestamp.to_string();
        let mut header = String::with_capacity(self.keys.len() * 48);
        for key in &self.keys {
            let mut mac = key.clone();
            for piece in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
                mac.update(piece);
            }
            if !header.is_empty() {
                header.push(' ');
            }
            header.push_str("v1,");
            STANDARD.encode_string(mac.finalize().into_bytes(), &mut header);
        }
        Some(header)
    }
}

/// Where the secret stands in the job file.
pub(super) fn field(index: usize, of: usize) -> String {
    if of == 1 { "destination.signing".to_owned() } else { format!("destination.signing[{index}]") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(secrets: &[&str]) -> Result<Signer, DeliverError> {
        Signer::new(&secrets.iter().map(|s| SecretString::from(*s)).collect::<Vec<_>>())
    }

    fn secret(byte: u8, length: usize) -> String {
        format!("{PREFIX}{}", STANDARD.encode(vec![byte; length]))
    }

    #[test]
    fn the_example_of_the_specification() {
        let signer = signer(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).unwrap();
        let signature = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn every_secret_signs_the_newest_first() {
        let [new, old] = [secret(1, 24), secret(2, 64)];
        let both = signer(&[&new, &old]).unwrap().sign("a", 1, b"{}").unwrap();
        let of = |secret: &str| signer(&[secret]).unwrap().sign("a", 1, b"{}").unwrap();
        assert_eq!(both, format!("{} {}", of(&new), of(&old)));
        assert!(signer(&[]).unwrap().sign("a", 1, b"{}").is_none());
    }

    #[test]
    fn secrets_of_another_form_are_refused_without_being_shown() {
        for (secret, problem) in [
            ("cGxhbnRlZC1wbGFudGVkLXBsYW50ZWQ=".to_owned(), "does not begin with `whsec_`"),
            ("whsec_planted!".to_owned(), "is not base64"),
            ("whsec_".to_owned(), "it has 0 bytes"),
            (secret(7, 23), "it has 23 bytes"),
            (secret(7, 65), "it has 65 bytes"),
        ] {
            let good = self::secret(1, 32);
            let error = signer(&[&good, &secret]).err().unwrap().to_string();
            assert!(error.starts_with("destination.signing[1]") && error.contains(problem), "{error}");
            assert!(!error.contains("planted") && !error.contains(&secret[6..]) || secret == PREFIX, "{error}");
            assert!(signer(&[&secret]).err().unwrap().to_string().starts_with("destination.signing is"), "{secret}");
        }
    }
}
