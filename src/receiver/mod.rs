//! The receiving side: an upsert endpoint that speaks TrailSpark's wire format, and what Segment's and RudderStack's SDKs speak.
//!
//! In: `POST /api/product-orgs/webhook/{apiKey}` with a JSON object, or an array of them. Out: the orgs stored, and
//! `{"success":true,"productOrgId":…,"targetOrgId":…,"isNewOrg":…}`, or `{"success":…,"results":[…]}`; `{"success":true,"ignored":true}`
//! for what the key's template passes over.
//! In: `POST /v1/group`, `/v1/batch` and the other calls of an SDK (`sdk/`). Out: the group events stored, the others counted.
//! The way of a request: `server` → `webhook` or `sdk` → `access` (by `keys`, within `limits`) → `body` (within `memory`) → `mapping` (by the
//! key's payload template; of many events by `events`) → `writer` → store (watched by `writable`) → `answer`.
//! Always holds: the answer is sent after the commit; what one request says is stored in one transaction; a repeat (`called`) within a week
//! (`forget`) gets the first answer and does nothing; nothing is written with a key that has changed since it was looked up; nothing of a
//! refused body is stored; unknown, mistyped, revoked and expired keys, wrong secrets
//! and wrong signatures get one and the same answer; our own trouble is 503 with Retry-After and never a 4xx; a key or secret
//! is never logged, which is why no request line is; no more of a body is held than its limit, packed or not, and no more of all together
//! than there is memory for; a good key is never refused for others' bad ones (one that was not used since the start may have to come again, 503, while
//! strangers' keys are looked up).
//! Deliberately absent: what a sender does (`deliver`), what a payload means (`mapping`), the state's form (`store`); connections, time-outs
//! and TLS (`server`).

mod access;
mod admitted;
mod answer;
mod array;
mod body;
mod called;
mod caller;
mod events;
mod forget;
mod health;
pub mod keys;
mod limits;
mod memory;
pub mod openapi;
mod sdk;
mod webhook;
mod writable;
mod writer;

pub use crate::mapping::PayloadTemplate;
pub use body::{MAX_BATCH_BODY, MAX_BODY};
pub use events::MAX_EVENTS;
pub use forget::{REMEMBERED, forget, forget_piece};
pub use sdk::MAX_UNKNOWN_SENDER;

use crate::clock::Clock;
use crate::job::Secrets;
use crate::mapping::Update;
use crate::metrics::Metrics;
use crate::server::{self, Server, Tls, note_route};
use crate::store::{KeyStore, OrgStore, OrgUpsert, Upserted};
use access::Access;
use admitted::Admitted;
use answer::{Refusal, unavailable};
use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use memory::Share;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use writable::Watched;
use writer::{OrgWriter, WriteError};

/// What the receiver holds to beyond what its server does. The default is WIRE.md's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Requests a second with one key that has no rate of its own; `None`: as many as come.
    pub rate: Option<NonZeroU32>,
    /// Requests with a bad key in a minute from one address; `None`: as many as come.
    pub bad_keys_per_minute: Option<NonZeroU32>,
    /// Requests that wait for the store at most.
    pub queue: usize,
    /// Bytes of bodies in memory at most.
    pub body_memory: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            rate: NonZeroU32::new(100),
            bad_keys_per_minute: NonZeroU32::new(10),
            queue: writer::QUEUE,
            body_memory: 256 * 1024 * 1024,
        }
    }
}

impl Options {
    /// For callers on the same machine who are known.
    #[must_use]
    pub fn without_rates(self) -> Options {
        Options { rate: None, bad_keys_per_minute: None, ..self }
    }
}

/// What requests need. A clone shares it.
#[derive(Clone)]
pub struct ReceiverState {
    access: Arc<Access>,
    writer: OrgWriter,
    writable: watch::Receiver<bool>,
    clock: Arc<dyn Clock>,
    metrics: Arc<dyn Metrics>,
}

impl ReceiverState {
    /// Starts the writer and what writes counts as tasks of the current tokio runtime; they end with the last clone.
    /// `secrets`: where signing secrets are.
    pub fn start<S: KeyStore + OrgStore + 'static>(
        store: Arc<S>,
        clock: Arc<dyn Clock>,
        secrets: Secrets,
        options: Options,
    ) -> ReceiverState {
        Self::start_with(Arc::clone(&store) as _, store, clock, secrets, options)
    }

    /// The same over a store whose kind is not known here.
    pub fn start_with(
        keys: Arc<dyn KeyStore>,
        orgs: Arc<dyn OrgStore>,
        clock: Arc<dyn Clock>,
        secrets: Secrets,
        options: Options,
    ) -> ReceiverState {
        let (orgs, writable) = Watched::over(orgs, writable::PROBE);
        Self::writing(OrgWriter::start(orgs, options.queue), writable, keys, clock, secrets, options)
    }

    /// Stores nothing and answers as if it had. For benches/receiver: what a request costs without the store.
    #[doc(hidden)]
    pub fn storing_nothing(
        keys: Arc<dyn KeyStore>,
        clock: Arc<dyn Clock>,
        secrets: Secrets,
        options: Options,
    ) -> ReceiverState {
        Self::writing(OrgWriter::nowhere(), watch::channel(true).1, keys, clock, secrets, options)
    }

    fn writing(
        writer: OrgWriter,
        writable: watch::Receiver<bool>,
        keys: Arc<dyn KeyStore>,
        clock: Arc<dyn Clock>,
        secrets: Secrets,
        options: Options,
    ) -> ReceiverState {
        let access = Arc::new(Access::start(keys, secrets, &options));
        ReceiverState { access, writer, writable, clock, metrics: Arc::new(()) }
    }

    /// Tells what becomes of requests and of what they say.
    #[must_use]
    pub fn with_metrics(self, metrics: Arc<dyn Metrics>) -> ReceiverState {
        ReceiverState { metrics, ..self }
    }

    /// Whether the store can be written, as far as is known.
    pub fn writable(&self) -> watch::Receiver<bool> {
        self.writable.clone()
    }

    /// Stores what one request says, in one transaction. One answer for each, in their order. `share`: of the memory for bodies, held
    /// until the updates are written, also if nobody waits for that any more.
    async fn store_many(
        &self,
        admitted: &Admitted,
        updates: Vec<Update>,
        share: Arc<Share>,
    ) -> Result<Vec<Upserted>, Refusal> {
        let key = admitted.key();
        let upsert = |update: Update| OrgUpsert {
            patch: update.patch,
            key: key.clone(),
            request_id: admitted.caller.request_id.clone(),
            at: admitted.at,
            event_at: update.event_at,
            idempotency_id: update.message_id,
        };
        match self.writer.write(updates.into_iter().map(upsert).collect(), Arc::clone(&share)).await {
            Err(WriteError::KeyChanged(upserts)) => self.store_again(admitted, upserts, share).await,
            done => done.map_err(not_written),
        }
        .inspect(|done| self.tell(done))
    }

    /// Counts what was stored.
    fn tell(&self, done: &[Upserted]) {
        for done in done {
            let result = match done {
                Upserted { repeated: true, .. } => "repeated",
                Upserted { is_new: true, .. } => "created",
                Upserted { stale: true, .. } => "stale",
                Upserted { .. } => "updated",
            };
            self.metrics.updates(result, 1);
        }
    }

    /// Counts what a request said that was not stored.
    fn count(&self, admitted: &Admitted, ignored: usize, rejected: usize) {
        self.access.count(admitted, ignored, rejected);
        self.metrics.updates("ignored", ignored as u64);
        self.metrics.updates("rejected", rejected as u64);
    }

    /// The key was changed since it was looked up. If it still lets the request in, its updates are stored after all.
    async fn store_again(
        &self,
        admitted: &Admitted,
        mut upserts: Vec<OrgUpsert>,
        share: Arc<Share>,
    ) -> Result<Vec<Upserted>, Refusal> {
        let key = self.access.again(admitted).await?.key();
        upserts.iter_mut().for_each(|upsert| upsert.key.clone_from(&key));
        // Changed twice within one request: its sender comes again.
        self.writer.write(upserts, share).await.map_err(not_written)
    }

    async fn store_one(&self, admitted: &Admitted, update: Update, share: Arc<Share>) -> Result<Upserted, Refusal> {
        let done = self.store_many(admitted, vec![admitted.caller.called.one(update)], share).await?;
        done.first().copied().ok_or(Refusal::Unavailable)
    }
}

/// What a sender is told whose updates were not written.
fn not_written(error: WriteError) -> Refusal {
    match error {
        WriteError::Refused(reason) => {
            tracing::error!(
                event = "update_unstorable",
                reason,
                "an update was answered 503, and will be each time: the store does not take it"
            );
            Refusal::Unstorable
        }
        error => unavailable(&error),
    }
}

/// The receiver's endpoints: the webhook, the calls of SDKs, and `GET /healthz`.
pub fn router(state: ReceiverState) -> Router {
    Router::new()
        .route("/api/product-orgs/webhook/{api_key}", post(webhook::product_orgs))
        .merge(sdk::router())
        .route("/healthz", get(health::alive))
        .route("/openapi.json", get(openapi::serve))
        .route_layer(from_fn(note_route))
        .method_not_allowed_fallback(async || Refusal::NoSuchMethod)
        .fallback(async || Refusal::NoSuchPlace)
        .with_state(state)
}

/// Serves the receiver until `shutdown` says true or its sender is gone; then no connection is accepted any more, and
/// requests that were begun are finished, for at most 20 s.
pub async fn serve(
    listener: TcpListener,
    state: ReceiverState,
    options: server::Options,
    tls: Option<Arc<Tls>>,
    shutdown: watch::Receiver<bool>,
) {
    let clock = Arc::clone(&state.clock);
    let access = Arc::clone(&state.access);
    let metrics = Arc::clone(&state.metrics);
    Server::new(router(state), options, clock)
        .with_metrics("receiver", metrics)
        .with_tls(tls)
        .run(listener, shutdown)
        .await;
    access.flush().await;
}
