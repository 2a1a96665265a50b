//! `POST /v1/group`: one event.

use super::access::receive_event;
use super::answer::{SdkRefusal, Taken};
use super::event;
use crate::mapping::Reading;
use crate::receiver::ReceiverState;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;

/// The path says what it is; a `type` need not.
pub(super) async fn one(
    State(state): State<ReceiverState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Taken, SdkRefusal> {
    let (admitted, event) = receive_event(&state, &headers, body).await?;
    match event::of_group(admitted.mapping.template(), 0, &event) {
        Ok(Reading::Update(update)) => {
            state.store_one(&admitted, update).await?;
            Ok(Taken::new(&admitted.key_id, 1, 0, Vec::new()))
        }
        Ok(Reading::Ignored) => Ok(Taken::new(&admitted.key_id, 0, 1, Vec::new())),
        Err(rejection) => Ok(Taken::new(&admitted.key_id, 0, 0, vec![rejection])),
    }
}
