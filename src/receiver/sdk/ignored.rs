//! `POST /v1/track` and the like: read, counted, and not stored.

use super::access::receive;
use super::answer::{SdkRefusal, Taken};
use crate::mapping::json;
use crate::receiver::answer::Refusal;
use crate::receiver::{MAX_BODY, ReceiverState};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::Value;

/// Key and body are held to the same rules as a group call's, so that a mistake in either shows.
pub(super) async fn one(
    State(state): State<ReceiverState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Taken, SdkRefusal> {
    let (admitted, body) = receive(&state, &headers, body, MAX_BODY).await?;
    match json::parse(&body).map_err(Refusal::Bad)? {
        Value::Object(_) => Ok(Taken::new(&admitted.key_id, 0, 1, Vec::new())),
        _ => Err(Refusal::Bad("the body must be a JSON object".to_owned()).into()),
    }
}
