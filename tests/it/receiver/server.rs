//! A receiver of its own on loopback, with a clock that the test sets, and a client.

use chrono::{DateTime, Utc};
use nightmark::clock::{Clock, SystemClock};
use nightmark::config::Home;
use nightmark::job::Secrets;
use nightmark::receiver::keys::{self, NewKey, Purpose};
use nightmark::receiver::{self, Options, PayloadTemplate, ReceiverState};
use nightmark::server::{self, Tls};
use nightmark::store::OrgStore;
use nightmark::store::sqlite::SqliteStore;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::env::VarError;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A clock that the test sets.
#[derive(Debug)]
pub struct TestClock(pub Mutex<DateTime<Utc>>);

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    fn random(&self) -> u128 {
        SystemClock.random()
    }
}

pub struct Server {
    pub dir: TempDir,
    pub address: std::net::SocketAddr,
    pub store: Arc<SqliteStore>,
    pub clock: Arc<TestClock>,
    pub stop: watch::Sender<bool>,
    served: tokio::task::JoinHandle<()>,
    pub client: reqwest::Client,
}

/// A key's text and its secret.
pub struct Key {
    pub id: String,
    pub key: String,
    pub secret: Option<String>,
}

pub struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    /// Whether it says that the request was done before.
    pub replayed: bool,
    pub text: String,
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16, part: &str) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(self.text.contains(part), "{}", self.text);
        if status != 200 {
            let body: Value = serde_json::from_str(&self.text).unwrap();
            assert_eq!(body["success"], json!(false));
            assert!(body["error"].is_string() && body.as_object().unwrap().len() == 2, "{body}");
        }
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Server {
    /// Without limits on rates and on connections of one address.
    pub async fn start() -> Server {
        let server = server::Options { connections_per_address: 1024, ..server::Options::default() };
        Server::start_with(Options::default().without_rates(), server, None).await
    }

    pub async fn start_with(options: Options, server: server::Options, tls: Option<Arc<Tls>>) -> Server {
        // The program installs it as well; the client would not start without.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&dir.path().join("nightmark.db")).await.unwrap());
        let clock = Arc::new(TestClock(Mutex::new("2026-03-01T12:00:00Z".parse().unwrap())));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let state = ReceiverState::start(Arc::clone(&store), Arc::clone(&clock) as _, secrets(&dir), options);
        let served = tokio::spawn(receiver::serve(listener, state, server, tls, stopped));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Server { dir, address, store, clock, stop, served, client }
    }

    pub async fn key(&self, purpose: Purpose, with_secret: bool, expires_at: Option<DateTime<Utc>>) -> Key {
        let new = NewKey { with_secret, expires_at, ..NewKey::new("test", purpose) };
        self.make(new).await
    }

    pub async fn make(&self, new: NewKey) -> Key {
        let created = keys::create(self.store.as_ref(), self.clock.as_ref(), new).await.unwrap();
        let secret = created.secret.map(|secret| secret.expose_secret().to_owned());
        Key { id: created.record.id, key: created.key.expose_secret().to_owned(), secret }
    }

    pub async fn template_key(&self, toml: &str) -> Key {
        self.key(Purpose::ProductOrgs(PayloadTemplate::from_toml_text(toml).unwrap()), false, None).await
    }

    pub async fn flat_key(&self) -> Key {
        self.key(preset("flat"), false, None).await
    }

    pub fn url(&self, key: &str) -> String {
        format!("http://{}/api/product-orgs/webhook/{key}", self.address)
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        let replayed = response.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
        Answer { status, retry_after, replayed, text: response.text().await.unwrap() }
    }

    pub async fn post_with(&self, key: &str, secret: Option<&str>, body: impl Into<reqwest::Body>) -> Answer {
        let mut request = self.client.post(self.url(key)).header("content-type", "application/json").body(body);
        if let Some(secret) = secret {
            request = request.header("x-api-secret", secret);
        }
        self.send(request).await
    }

    pub async fn post(&self, key: &Key, body: impl Into<reqwest::Body>) -> Answer {
        self.post_with(&key.key, key.secret.as_deref(), body).await
    }

    pub async fn org_count(&self) -> usize {
        self.store.orgs(None, 100_000).await.unwrap().len()
    }

    /// The folder, in which the store still is.
    pub async fn stop(self) -> tempfile::TempDir {
        self.stop.send(true).unwrap();
        self.served.await.unwrap();
        self.dir
    }
}

/// Signing secrets: what [`SHARED`] and [`WHSEC`] refer to, and files in the server's folder.
fn secrets(dir: &TempDir) -> Secrets {
    Secrets::with_env(&Home::new(dir.path()).unwrap(), |name| match name {
        "SHARED" => Ok(SHARED.to_owned()),
        "WHSEC" => Ok(WHSEC.to_owned()),
        _ => Err(VarError::NotPresent),
    })
}

/// What is signed with, as `${SHARED}` and `${WHSEC}`.
pub const SHARED: &str = "shared between a sender and the receiver";
pub const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub fn preset(name: &str) -> Purpose {
    Purpose::ProductOrgs(PayloadTemplate::preset(name).unwrap())
}
