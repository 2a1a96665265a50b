//! Whether a server is the one that it should be: by a fingerprint in the job, or by a `known_hosts` file.

use crate::source::SourceError;
use russh::Preferred;
use russh::keys::known_hosts::known_host_keys_path;
use russh::keys::{Algorithm, HashAlg, PublicKey};
use std::borrow::Cow;
use std::path::PathBuf;

/// What is known of a server.
#[derive(Clone)]
pub(super) struct HostKeys {
    host: String,
    port: u16,
    /// `SHA256:…`
    pinned: Option<String>,
    /// By default that of the user's home folder.
    file: Option<PathBuf>,
}

/// Why no connection comes about.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The server's key.
    Key(SourceError),
    /// The connection.
    Connection(russh::Error),
}

impl From<russh::Error> for Refusal {
    fn from(error: russh::Error) -> Self {
        Refusal::Connection(error)
    }
}

impl HostKeys {
    pub(super) fn new(host: &str, port: u16, pinned: Option<String>, file: Option<PathBuf>) -> Self {
        let default = || std::env::home_dir().map(|home| home.join(".ssh/known_hosts"));
        HostKeys { host: host.to_owned(), port, pinned, file: file.or_else(default) }
    }

    /// Asks the server for a key of a kind that is known, if it has several.
    ///
    /// # Errors
    /// Nothing is known of the server.
    pub(super) fn prefer(&self, preferred: &mut Preferred) -> Result<(), SourceError> {
        if self.pinned.is_some() {
            return Ok(());
        }
        let known = self.known()?;
        if known.is_empty() {
            return Err(SourceError::new(format!("the server {} is not known: {} has no key of it", self.name(), self.shown_file()))
                .hint(format!("ask its owner for the fingerprint of its key, compare it with `ssh-keyscan -p {} {} | ssh-keygen -lf -`, and write \
                    `options = {{ host_key = \"SHA256:…\" }}` or add the key to that file", self.port, self.host)));
        }
        let is_known = |algorithm: &Algorithm| {
            known.iter().any(|key| match (key.algorithm(), algorithm) {
                (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
                (one, other) => one == *other,
            })
        };
        let kinds: Vec<Algorithm> = preferred.key.iter().filter(|kind| is_known(kind)).cloned().collect();
        if !kinds.is_empty() {
            preferred.key = Cow::Owned(kinds);
        }
        Ok(())
    }

    /// Whether the server has shown the right key.
    ///
    /// # Errors
    /// It is another one.
    pub(super) fn check(&self, key: &PublicKey) -> Result<(), SourceError> {
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        if self.pinned.is_none() && self.is_revoked(key) {
            let (name, file) = (self.name(), self.shown_file());
            return Err(SourceError::new(format!(
                "the server {name} shows a key that {file} calls revoked: {fingerprint}"
            ))
            .hint("somebody has stolen that key, or may have: ask the server's owner for its new one"));
        }
        let (is_right, where_known) = match &self.pinned {
            Some(pinned) => (pinned.trim_end_matches('=') == fingerprint, "source.options.host_key".to_owned()),
            None => (self.known()?.iter().any(|known| known.key_data() == key.key_data()), self.shown_file()),
        };
        if is_right {
            return Ok(());
        }
        let (name, kind) = (self.name(), key.algorithm());
        Err(SourceError::new(format!(
            "the server {name} shows another key than {where_known} has: {fingerprint} ({kind})"
        ))
        .hint("somebody may be in between; only if its owner says that this is its key, write it there"))
    }

    /// Whether a line `@revoked HOSTS KIND KEY` has the key, whatever the hosts: a stolen key is right nowhere.
    fn is_revoked(&self, key: &PublicKey) -> bool {
        let text = self.file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        let Ok(ours) = key.to_openssh() else { return true };
        let ours = ours.split_whitespace().nth(1).unwrap_or_default();
        let mut revoked = text.lines().filter(|line| line.split_whitespace().next() == Some("@revoked"));
        revoked.any(|line| line.split_whitespace().nth(3) == Some(ours))
    }

    fn known(&self) -> Result<Vec<PublicKey>, SourceError> {
        let Some(file) = &self.file else { return Ok(Vec::new()) };
        let keys = known_host_keys_path(&self.host, self.port, file).map_err(|_| {
            SourceError::new(format!("{} has a line for {} that cannot be read", file.display(), self.name()))
        })?;
        Ok(keys.into_iter().map(|(_, key)| key).collect())
    }

    fn name(&self) -> String {
        if self.port == 22 { self.host.clone() } else { format!("[{}]:{}", self.host, self.port) }
    }

    fn shown_file(&self) -> String {
        self.file.as_ref().map_or_else(|| "~/.ssh/known_hosts".to_owned(), |file| file.display().to_string())
    }
}
