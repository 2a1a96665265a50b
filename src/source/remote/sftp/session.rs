//! A connection: who logs in, and how.

use super::SILENCE;
use super::known::{HostKeys, Refusal};
use crate::source::SourceError;
use russh::client::{self, AuthResult, Handle, Handler};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{self, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use russh_sftp::client::SftpSession;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(10);
const PORT: u16 = 22;

/// Where to go, who as, and by what.
pub(crate) struct Login {
    user: String,
    host: String,
    port: u16,
    key_file: Option<PathBuf>,
    passphrase: Option<SecretString>,
    password: Option<SecretString>,
    keys: HostKeys,
}

/// A connection with SFTP on it.
pub(super) struct Session {
    pub(super) sftp: SftpSession,
    #[expect(dead_code, reason = "the connection ends with it")]
    handle: Handle<Checker>,
}

impl Login {
    /// `authority`: `USER@HOST` or `USER@HOST:PORT`.
    pub(super) fn new(authority: &str, settings: &BTreeMap<String, String>, home: &Path) -> Result<Self, SourceError> {
        let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let wrong = || SourceError::new(format!("source.path: `{place}` is not HOST or HOST:PORT"));
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or_else(wrong)?)),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(PORT), |port| port.parse().map_err(|_| wrong()))?;
        let secret = |name: &str| settings.get(name).map(|value| SecretString::from(value.clone()));
        let path = |name: &str| settings.get(name).map(|written| home.join(written));
        Ok(Login {
            user: user.to_owned(),
            host: host.to_owned(),
            port,
            key_file: path("private_key_file"),
            passphrase: secret("passphrase"),
            password: secret("password"),
            keys: HostKeys::new(host, port, settings.get("host_key").cloned(), path("known_hosts")),
        })
    }

    /// `USER@HOST`
    pub(super) fn shown(&self) -> String {
        match self.port {
            PORT => format!("{}@{}", self.user, self.host),
            port => format!("{}@{}:{port}", self.user, self.host),
        }
    }

    /// Connects and logs in.
    pub(super) async fn connect(&self) -> Result<Session, SourceError> {
        let mut config = client::Config {
            inactivity_timeout: None,
            keepalive_interval: Some(SILENCE / 2),
            keepalive_max: 2,
            nodelay: true,
            ..client::Config::default()
        };
        self.keys.prefer(&mut config.preferred)?;
        let checker = Checker { keys: self.keys.clone() };
        let connecting = client::connect(Arc::new(config), (self.host.as_str(), self.port), checker);
        let mut handle = tokio::time::timeout(CONNECT * 2, connecting)
            .await
            .map_err(|_| self.error("it does not answer".to_owned()))?
            .map_err(|refusal| self.refused(refusal))?;
        self.log_in(&mut handle).await?;
        let broken = |_| self.error("it broke the connection off after the login".to_owned());
        let channel = handle.channel_open_session().await.map_err(broken)?;
        channel.request_subsystem(true, "sftp").await.map_err(broken)?;
        let settings = russh_sftp::client::Config { request_timeout_secs: SILENCE.as_secs(), ..Default::default() };
        let sftp = SftpSession::new_with_config(channel.into_stream(), settings).await;
        let sftp = sftp.map_err(|_| self.error("it has no SFTP for this user".to_owned()))?;
        Ok(Session { sftp, handle })
    }

    async fn log_in(&self, handle: &mut Handle<Checker>) -> Result<(), SourceError> {
        let mut tried = Vec::new();
        if let Some(file) = &self.key_file {
            let passphrase = self.passphrase.as_ref().map(|secret| secret.expose_secret());
            let key = private_key(file, passphrase)?;
            let hash = handle.best_supported_rsa_hash().await.map_err(|_| self.broken())?.flatten();
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
            if self.accepted(handle.authenticate_publickey(&self.user, key).await)? {
                return Ok(());
            }
            tried.push("the key");
        }
        if let Some(password) = &self.password {
            if self.accepted(handle.authenticate_password(&self.user, password.expose_secret()).await)? {
                return Ok(());
            }
            tried.push("the password");
        }
        if tried.is_empty() {
            if self.by_agent(handle).await? {
                return Ok(());
            }
            tried.push(match std::env::var_os("SSH_AUTH_SOCK") {
                Some(_) => "what the SSH agent has (SSH_AUTH_SOCK)",
                None => "an SSH agent, since there is none (SSH_AUTH_SOCK is not set)",
            });
        }
        let (user, tried) = (&self.user, tried.join(" and "));
        Err(self.error(format!("it does not let `{user}` in by {tried}")).hint(
            "options = { private_key_file = \"…\" } (its public half belongs into the server's authorized_keys) or { password = \"${…}\" }",
        ))
    }

    /// Tries what the agent has; false if there is no agent.
    async fn by_agent(&self, handle: &mut Handle<Checker>) -> Result<bool, SourceError> {
        let Ok(mut agent) = AgentClient::connect_env().await else { return Ok(false) };
        let Ok(identities) = agent.request_identities().await else { return Ok(false) };
        let hash = handle.best_supported_rsa_hash().await.map_err(|_| self.broken())?.flatten();
        for identity in identities {
            let AgentIdentity::PublicKey { key, .. } = identity else { continue };
            let hash = hash.filter(|_| key.algorithm().is_rsa());
            // One that the agent does not sign with is none that logs in.
            let answer = handle.authenticate_publickey_with(&self.user, key, hash, &mut agent).await;
            if answer.is_ok_and(|answer| answer.success()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn accepted(&self, answer: Result<AuthResult, russh::Error>) -> Result<bool, SourceError> {
        answer.map(|answer| answer.success()).map_err(|_| self.broken())
    }

    fn broken(&self) -> SourceError {
        self.error("it broke the connection off during the login".to_owned())
    }

    fn refused(&self, refusal: Refusal) -> SourceError {
        match refusal {
            Refusal::Key(error) => error,
            Refusal::Connection(russh::Error::IO(error)) => self
                .error(format!("it cannot be connected to: {error}"))
                .hint("start the server, or mend host and port in source.path"),
            Refusal::Connection(error) => self
                .error(format!("no connection comes about: {error}"))
                .hint("is it a server of SSH that listens there? mend host and port in source.path if not"),
        }
    }

    fn error(&self, what: String) -> SourceError {
        SourceError::new(format!("the server of sftp://{}: {what}", self.shown()))
    }
}

/// The key of a file. The library's words may be about the key's content; ours name the file.
fn private_key(file: &Path, passphrase: Option<&str>) -> Result<PrivateKey, SourceError> {
    let wrong = |what: &str| SourceError::new(format!("source.options.private_key_file: {} {what}", file.display()));
    let text = std::fs::read_to_string(file).map(SecretString::from).map_err(|error| {
        let hint =
            "a path that begins with no `/` starts at the home folder (--home); nightmark's user has to read the file";
        wrong(&format!("cannot be read: {error}")).hint(hint)
    })?;
    decode_secret_key(text.expose_secret(), passphrase).map_err(|error| match (error, passphrase) {
        (keys::Error::KeyIsEncrypted, None) => {
            wrong("has a passphrase").hint("write `passphrase = \"${…}\"` in `options`")
        }
        (_, Some(_)) => wrong("is not a private key, or `passphrase` is not its own").hint(KEYGEN),
        (_, None) => wrong("is not a private key").hint(KEYGEN),
    })
}

const KEYGEN: &str = "a key as ssh-keygen writes it, not its public half (`.pub`)";

/// Looks at the server's key.
pub(super) struct Checker {
    keys: HostKeys,
}

impl Handler for Checker {
    type Error = Refusal;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Refusal> {
        match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.keys.check(key).map(|()| true).map_err(Refusal::Key),
            // None is asked for.
            PublicKeyOrCertificate::Certificate(_) => Ok(false),
        }
    }
}
