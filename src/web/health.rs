//! Is it alive, can it work?

use super::AdminState;
use axum::extract::State;
use axum::http::StatusCode;

const OK: &str = "{\"status\":\"ok\"}\n";
const STOPPING: &str = "{\"status\":\"stopping\"}\n";
const STORE_FAILS: &str = "{\"status\":\"the state store cannot be read\"}\n";

type Answer = (StatusCode, [(&'static str, &'static str); 1], &'static str);

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> Answer {
    answer(StatusCode::OK, OK)
}

/// `GET /readyz`: new requests are taken and the store can be read.
pub(super) async fn ready(State(state): State<AdminState>) -> Answer {
    if *state.stopping.borrow() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, STOPPING);
    }
    // A look-up of a hash that no key has: one read of the index, whatever the number of keys.
    match state.keys.key_by_hash(&[0; 32]).await {
        Ok(_) => answer(StatusCode::OK, OK),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            answer(StatusCode::SERVICE_UNAVAILABLE, STORE_FAILS)
        }
    }
}

fn answer(status: StatusCode, body: &'static str) -> Answer {
    (status, [("content-type", "application/json")], body)
}
