//! Is it alive?

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

/// `GET /healthz`: the process answers. Whether it can work is told on the operator's address (`web`).
pub(super) async fn alive() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], "{\"status\":\"ok\"}\n")
}
