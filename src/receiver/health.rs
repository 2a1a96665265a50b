//! The operator's address: is it alive, can it work?

use crate::store::KeyStore;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use std::sync::Arc;

const OK: &str = "{\"status\":\"ok\"}\n";
const STORE_FAILS: &str = "{\"status\":\"the state store cannot be read\"}\n";

/// `GET /healthz` (the process answers) and `GET /readyz` (the store can be read). To be served on an address of its own.
pub fn admin_router(store: Arc<dyn KeyStore>) -> Router {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).with_state(store)
}

/// The process answers
#[utoipa::path(get, path = "/healthz", operation_id = "healthz", tag = "receiver",
    responses((status = 200, description = "It answers", body = Object, example = json!({"status": "ok"}))))]
pub(super) async fn alive() -> Answer {
    answer(StatusCode::OK, OK)
}

async fn ready(State(store): State<Arc<dyn KeyStore>>) -> Answer {
    // A look-up of a hash that no key has: one read of the index, whatever the number of keys.
    match store.key_by_hash(&[0; 32]).await {
        Ok(_) => answer(StatusCode::OK, OK),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            answer(StatusCode::SERVICE_UNAVAILABLE, STORE_FAILS)
        }
    }
}

type Answer = (StatusCode, [(&'static str, &'static str); 1], &'static str);

fn answer(status: StatusCode, body: &'static str) -> Answer {
    (status, [("content-type", "application/json")], body)
}
