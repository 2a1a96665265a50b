//! Is it alive?

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

/// The process answers
///
/// Whether it can work is told on the operator's address.
#[utoipa::path(get, path = "/healthz", operation_id = "healthz", tag = "receiver",
    responses((status = 200, description = "It answers", body = Object, example = json!({"status": "ok"}))))]
pub(super) async fn alive() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], "{\"status\":\"ok\"}\n")
}
