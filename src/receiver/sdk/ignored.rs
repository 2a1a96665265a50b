//! `POST /v1/track` and the like: read, counted, and not stored.

use super::access::receive_event;
use super::answer::{SdkRefusal, Taken};
use super::taken;
use crate::receiver::ReceiverState;
use crate::receiver::caller::Caller;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;

/// Any other event
///
/// Key and body are held to the same rules as a group call's, so that a mistake in either shows.
#[utoipa::path(post, path = "/v1/track", operation_id = "track", tag = "SDKs", security(("key" = []), ("key" = [], "secret" = [])),
    request_body(content = Object, example = json!({"type": "track", "event": "Signed Up", "userId": "u"})),
    responses((status = 200, description = "The event is counted as ignored", body = Taken), SdkRefusal))]
pub(super) async fn one(
    State(state): State<ReceiverState>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Taken, SdkRefusal> {
    let (admitted, _, _) = receive_event(&state, caller, &headers, body).await?;
    Ok(taken(&state, &admitted, 0, 1, Vec::new()))
}
