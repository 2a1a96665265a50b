//! `POST /v1/group`: one event.

use super::access::receive_event;
use super::answer::{SdkRefusal, Taken};
use super::{event, taken};
use crate::mapping::Reading;
use crate::receiver::ReceiverState;
use crate::receiver::called::marked;
use crate::receiver::caller::Caller;
use crate::receiver::openapi::{Event, example};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

/// One group call
///
/// The path says what it is; a `type` need not.
#[utoipa::path(post, path = "/v1/group", operation_id = "group", tag = "SDKs", security(("key" = []), ("key" = [], "secret" = [])),
    params(("webhook-id" = Option<String>, Header, description = "What the sender calls this request (or `Idempotency-Key`): a repeat within 7 days is answered as the first was", min_length = 1, max_length = 255)),
    request_body(content = Event, examples(("group" = (value = json!(example("segment")))))),
    responses((status = 200, description = "The event was stored, or is named as rejected", body = Taken, headers(("idempotent-replayed" = Option<String>, description = "`true` on the answer to a repeat"))), SdkRefusal))]
pub(super) async fn one(
    State(state): State<ReceiverState>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, SdkRefusal> {
    let (admitted, event, share) = receive_event(&state, caller, &headers, body).await?;
    let (taken, repeated) = match event::of_group(admitted.mapping.template(), 0, &event) {
        Ok(Reading::Update(update)) => {
            let repeated = state.store_one(&admitted, update, share).await?.repeated;
            (taken(&state, &admitted, 1, 0, Vec::new()), repeated)
        }
        Ok(Reading::Ignored) => (taken(&state, &admitted, 0, 1, Vec::new()), false),
        Err(rejection) => (taken(&state, &admitted, 0, 0, vec![rejection]), false),
    };
    Ok(marked(taken.into_response(), repeated))
}
