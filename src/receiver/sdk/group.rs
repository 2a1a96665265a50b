//! `POST /v1/group`: one event.

use super::access::receive_event;
use super::answer::{SdkRefusal, Taken};
use super::event;
use crate::mapping::Reading;
use crate::receiver::ReceiverState;
use crate::receiver::sent::{Sent, marked};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

/// The path says what it is; a `type` need not.
pub(super) async fn one(
    State(state): State<ReceiverState>,
    sent: Sent,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, SdkRefusal> {
    let (admitted, event) = receive_event(&state, &headers, body).await?;
    sent.check()?;
    let (taken, repeated) = match event::of_group(admitted.mapping.template(), 0, &event) {
        Ok(Reading::Update(update)) => {
            let done = state.store_one(&admitted, &sent, update).await?;
            (Taken::new(&admitted.key_id, 1, 0, Vec::new()), done.repeated)
        }
        Ok(Reading::Ignored) => (Taken::new(&admitted.key_id, 0, 1, Vec::new()), false),
        Err(rejection) => (Taken::new(&admitted.key_id, 0, 0, vec![rejection]), false),
    };
    Ok(marked(taken.into_response(), repeated))
}
