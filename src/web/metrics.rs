//! What Prometheus asks for.

use super::AdminState;
use super::answer::ApiError;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

/// Metrics in Prometheus' text format
///
/// docs/METRICS.md says what each of them means. Whoever may call the API may read them.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "health", security((), ("token" = [])),
    responses((status = 200, description = "Prometheus' text format, version 0.0.4", body = String, content_type = "text/plain"), ApiError))]
pub(super) async fn serve(State(state): State<AdminState>) -> Result<impl IntoResponse, ApiError> {
    let figures = state.figures.ok_or_else(|| ApiError::NotFound("Nobody keeps metrics here".to_owned()))?;
    let (content_type, text) = figures.text().await;
    Ok(([(header::CONTENT_TYPE, content_type)], text))
}
