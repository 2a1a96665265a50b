//! Is it alive, can it work?

use super::AdminState;
use axum::extract::State;
use axum::http::StatusCode;

const OK: &str = "{\"status\":\"ok\"}\n";
const STOPPING: &str = "{\"status\":\"stopping\"}\n";
const STORE_FAILS: &str = "{\"status\":\"the state store cannot be read\"}\n";
const STORE_FULL: &str = "{\"status\":\"the state store cannot be written\"}\n";

type Answer = (StatusCode, [(&'static str, &'static str); 1], &'static str);

/// The process answers
#[utoipa::path(get, path = "/healthz", operation_id = "healthz", tag = "health",
    responses((status = 200, description = "It answers", body = Object, example = json!({"status": "ok"}))))]
pub(super) async fn alive() -> Answer {
    answer(StatusCode::OK, OK)
}

/// New requests are taken, and the store can be read and written
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", tag = "health",
    responses((status = 200, description = "It works", body = Object, example = json!({"status": "ok"})), (status = 503, description = "It is stopping, or the state store cannot be read or written", body = Object)))]
pub(super) async fn ready(State(state): State<AdminState>) -> Answer {
    if *state.stopping.borrow() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, STOPPING);
    }
    // Not tried here: whoever asks needs no token.
    if !*state.writable.borrow() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, STORE_FULL);
    }
    // A look-up of a hash that no key has: one read of the index, whatever the number of keys.
    match state.keys.key_by_hash(&[0; 32]).await {
        Ok(_) => answer(StatusCode::OK, OK),
        Err(error) => {
            tracing::warn!(event = "not_ready", %error, "not ready");
            answer(StatusCode::SERVICE_UNAVAILABLE, STORE_FAILS)
        }
    }
}

fn answer(status: StatusCode, body: &'static str) -> Answer {
    (status, [("content-type", "application/json")], body)
}
