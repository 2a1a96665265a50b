//! The receiving side: an upsert endpoint that speaks TrailSpark's wire format, and what Segment's and RudderStack's SDKs speak.
//!
//! In: `POST /api/product-orgs/webhook/{apiKey}` with a JSON object, or an array of them. Out: the orgs stored, and
//! `{"success":true,"productOrgId":…,"targetOrgId":…,"isNewOrg":…}`, or `{"success":…,"results":[…]}`.
//! In: `POST /v1/group`, `/v1/batch` and the other calls of an SDK (`sdk/`). Out: the group events stored, the others counted.
//! The way of a request: `webhook` or `sdk` → `access` (by `keys`) → `body` → `mapping` (by the key's payload template; of
//! many events by `events`) → `writer` → store → `answer`.
//! Always holds: the answer is sent after the commit; what one request says is stored in one transaction; nothing of a
//! refused body is stored; unknown, revoked and expired keys
//! and wrong secrets get one and the same answer; our own trouble is 503 with Retry-After and never a 4xx; a key or secret
//! is never logged, which is why no request line is; no more of a body is held than its limit, packed or not.
//! Deliberately absent: what a sender does (`deliver`), what a payload means (`mapping`), the state's form (`store`); header time-outs, connection and rate
//! limits, which a receiver on the open internet needs: until then it belongs behind a proxy.

mod access;
mod answer;
mod array;
mod body;
mod events;
mod health;
pub mod keys;
pub mod openapi;
mod sdk;
mod webhook;
mod writer;

pub use crate::mapping::PayloadTemplate;
pub use body::{MAX_BATCH_BODY, MAX_BODY};
pub use events::MAX_EVENTS;
pub use sdk::MAX_UNKNOWN_SENDER;
pub use writer::{OrgWriter, WriteError};

use crate::clock::{Clock, SystemClock};
use crate::server::{ClientAddress, REQUEST_ID, RequestId, incoming_id};
use crate::store::{KeyStore, OrgPatch, OrgStore, OrgUpsert, Upserted};
use access::Admitted;
use answer::{Refusal, unavailable};
use anyhow::Context as _;
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderValue;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long requests that were begun may take once the receiver is told to stop. Longer than a body may take to arrive
/// and a commit to get through.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(20);

/// What requests need. A clone shares it.
#[derive(Clone)]
pub struct ReceiverState {
    keys: Arc<dyn KeyStore>,
    writer: OrgWriter,
    clock: Arc<dyn Clock>,
}

impl ReceiverState {
    /// Starts the writer as a task of the current tokio runtime; it ends with the last clone.
    pub fn start<S: KeyStore + OrgStore + 'static>(store: Arc<S>, clock: Arc<dyn Clock>) -> ReceiverState {
        let writer = OrgWriter::start(Arc::clone(&store) as Arc<dyn OrgStore>);
        ReceiverState { keys: store, writer, clock }
    }

    /// Stores what one request says, in one transaction. One answer for each, in their order.
    async fn store_many(&self, admitted: &Admitted, patches: Vec<OrgPatch>) -> Result<Vec<Upserted>, Refusal> {
        let upsert = |patch| OrgUpsert { patch, key_id: admitted.key_id.clone(), at: admitted.at };
        let done = self.writer.write(patches.into_iter().map(upsert).collect()).await;
        done.map_err(|error| unavailable(&error))
    }

    async fn store_one(&self, admitted: &Admitted, patch: OrgPatch) -> Result<Upserted, Refusal> {
        self.store_many(admitted, vec![patch]).await?.first().copied().ok_or(Refusal::Unavailable)
    }
}

/// The receiver's endpoints: the webhook, the calls of SDKs, and `GET /healthz`.
pub fn router(state: ReceiverState) -> Router {
    Router::new()
        .route("/api/product-orgs/webhook/{api_key}", post(webhook::product_orgs))
        .merge(sdk::router())
        .route("/healthz", get(health::alive))
        .route("/openapi.json", get(openapi::serve))
        .method_not_allowed_fallback(async || Refusal::NoSuchMethod)
        .fallback(async || Refusal::NoSuchPlace)
        .with_state(state)
}

/// Serves the receiver until `shutdown` says true or its sender is gone; then no connection is accepted any more, and
/// requests that were begun are finished, for at most 20 s.
///
/// # Errors
/// A listener that fails.
pub async fn serve(listener: TcpListener, state: ReceiverState, shutdown: watch::Receiver<bool>) -> anyhow::Result<()> {
    serve_router(listener, router(state), shutdown).await.context("the receiver's address")
}

/// The same for any router, such as that of the operator's address.
///
/// # Errors
/// A listener that fails.
pub async fn serve_router(
    listener: TcpListener,
    router: Router,
    shutdown: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let router = router.layer(from_fn(identified));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(stopped(shutdown.clone()));
    tokio::select! {
        result = served.into_future() => Ok(result?),
        // A client that keeps a request half-sent would otherwise keep the process.
        () = async { stopped(shutdown).await; tokio::time::sleep(SHUTDOWN_GRACE).await } => Ok(()),
    }
}

/// Gives each request its id and its client's address, and each answer the id.
async fn identified(ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request, next: Next) -> Response {
    let id = incoming_id(request.headers()).unwrap_or_else(|| RequestId(SystemClock.run_id()));
    let value = HeaderValue::from_str(&id.0);
    request.extensions_mut().insert(id);
    request.extensions_mut().insert(ClientAddress(peer.ip().to_canonical()));
    let mut response = next.run(request).await;
    if let Ok(value) = value {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

async fn stopped(mut shutdown: watch::Receiver<bool>) {
    // An error means that the sender is gone, which nobody can take back: the same as true.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
