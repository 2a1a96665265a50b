//! `POST /v1/group`: one event.

use super::access::receive_event;
use super::answer::{SdkRefusal, Taken};
use super::event;
use crate::receiver::ReceiverState;
use crate::receiver::caller::Caller;
use crate::receiver::openapi::{Event, example};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;

/// One group call
///
/// The path says what it is; a `type` need not.
#[utoipa::path(post, path = "/v1/group", operation_id = "group", tag = "SDKs", security(("key" = []), ("key" = [], "secret" = [])),
    request_body(content = Event, examples(("group" = (value = json!(example("segment")))))),
    responses((status = 200, description = "The event was stored, or is named as rejected", body = Taken), SdkRefusal))]
pub(super) async fn one(
    State(state): State<ReceiverState>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Taken, SdkRefusal> {
    let (admitted, event) = receive_event(&state, caller, &headers, body).await?;
    match event::of_group(admitted.mapping.template(), 0, &event) {
        Ok(patch) => {
            state.store_one(&admitted, patch).await?;
            Ok(Taken::new(&admitted.key_id, 1, 0, Vec::new()))
        }
        Err(rejection) => Ok(Taken::new(&admitted.key_id, 0, 0, vec![rejection])),
    }
}
