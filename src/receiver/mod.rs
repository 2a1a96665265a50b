//! The receiving side: an upsert endpoint that speaks TrailSpark's wire format.
//!
//! In: `POST /api/product-orgs/webhook/{apiKey}` with a JSON body. Out: the org stored, and
//! `{"success":true,"productOrgId":…,"targetOrgId":…,"isNewOrg":…}`.
//! The way of a request: `webhook` → `keys` → `mapping` (by the key's payload template) → `writer` → store → `answer`.
//! Always holds: the answer is sent after the commit; nothing of a refused body is stored; unknown, revoked and expired keys
//! and wrong secrets get one and the same answer; our own trouble is 503 with Retry-After and never a 4xx; a key or secret
//! is never logged, which is why no request line is.
//! Deliberately absent: what a sender does (`deliver`), what a payload means (`mapping`), the state's form (`store`); header time-outs, connection and rate
//! limits and compressed bodies, which a receiver on the open internet needs: until then it belongs behind a proxy.

mod answer;
mod health;
pub mod keys;
mod webhook;
mod writer;

pub use crate::mapping::PayloadTemplate;
pub use health::admin_router;
pub use webhook::MAX_BODY;
pub use writer::{OrgWriter, WriteError};

use crate::clock::Clock;
use crate::store::{KeyStore, OrgStore};
use answer::Refusal;
use anyhow::Context as _;
use axum::Router;
use axum::routing::{get, post};
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
}

/// The receiver's endpoints: the webhook and `GET /healthz`.
pub fn router(state: ReceiverState) -> Router {
    Router::new()
        .route("/api/product-orgs/webhook/{api_key}", post(webhook::product_org))
        .route("/healthz", get(health::alive))
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

/// The same for any router, such as [`admin_router`].
///
/// # Errors
/// A listener that fails.
pub async fn serve_router(
    listener: TcpListener,
    router: Router,
    shutdown: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let served = axum::serve(listener, router).with_graceful_shutdown(stopped(shutdown.clone()));
    tokio::select! {
        result = served.into_future() => Ok(result?),
        // A client that keeps a request half-sent would otherwise keep the process.
        () = async { stopped(shutdown).await; tokio::time::sleep(SHUTDOWN_GRACE).await } => Ok(()),
    }
}

async fn stopped(mut shutdown: watch::Receiver<bool>) {
    // An error means that the sender is gone, which nobody can take back: the same as true.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
