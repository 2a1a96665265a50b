//! `POST /v1/group`: one event.

use super::access::receive_event;
use super::answer::{SdkRefusal, Taken};
use super::event;
use crate::receiver::ReceiverState;
use crate::receiver::caller::Caller;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;

/// The path says what it is; a `type` need not.
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
