//! `POST /v1/group`: one event.

use super::access::receive;
use super::answer::{SdkRefusal, Taken};
use super::event;
use crate::mapping::json;
use crate::receiver::answer::Refusal;
use crate::receiver::{MAX_BODY, ReceiverState};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::Value;

/// The path says what it is; a `type` need not.
pub(super) async fn one(
    State(state): State<ReceiverState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Taken, SdkRefusal> {
    let (admitted, body) = receive(&state, &headers, body, MAX_BODY).await?;
    let Value::Object(event) = json::parse(&body).map_err(Refusal::Bad)? else {
        return Err(Refusal::Bad("the body must be a JSON object".to_owned()).into());
    };
    match event::of_group(admitted.mapping.template(), 0, &event) {
        Ok(patch) => {
            state.store_one(&admitted, patch).await?;
            Ok(Taken::new(&admitted.key_id, 1, 0, Vec::new()))
        }
        Err(rejection) => Ok(Taken::new(&admitted.key_id, 0, 0, vec![rejection])),
    }
}
