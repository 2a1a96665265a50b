//! The key of an SDK's call, and its body.

use super::credentials::{basic, write_key};
use crate::mapping::json;
use crate::receiver::admitted::Admitted;
use crate::receiver::answer::Refusal;
use crate::receiver::body::{Held, Limits};
use crate::receiver::caller::Caller;
use crate::receiver::memory::Share;
use crate::receiver::{MAX_BODY, ReceiverState};
use axum::body::Body;
use axum::http::HeaderMap;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Bytes of a body at most whose sender is only known by what stands in it. As much as Segment lets a batch have.
pub const MAX_UNKNOWN_SENDER: usize = 512 * 1024;

/// Checks the key and reads the body, in this order where the key stands in a header.
///
/// # Errors
/// 401 and 403 for the key, whatever the body; 408, 413, 415 and 400 for a body that cannot be read; 503.
pub(super) async fn receive(
    state: &ReceiverState,
    caller: Caller,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<(Admitted, Held), Refusal> {
    let at = state.clock.now();
    let secret = headers.get("x-api-secret").map(|value| value.as_bytes());
    match basic(headers).map_err(|_| state.access.bad_key(&caller))? {
        Some(basic) => {
            let password = Some(basic.password.as_slice()).filter(|password| !password.is_empty());
            let with_key = state.access.admit(caller, &basic.user, secret.or(password), at).await?;
            with_key.read(headers, body, Limits::all(limit)).await
        }
        None => {
            let limits = Limits::all(limit.min(MAX_UNKNOWN_SENDER));
            let body = state.access.read_strangers_body(headers, body, limits).await?;
            let key = write_key(&body).ok_or_else(|| state.access.bad_key(&caller))?;
            let with_key = state.access.admit(caller, &key, secret, at).await?;
            Ok((with_key.signed(headers, &body)?, body))
        }
    }
}

/// The same for a call that is one event, with its share of the memory for bodies.
///
/// # Errors
/// 400 for a body that is no object besides.
pub(super) async fn receive_event(
    state: &ReceiverState,
    caller: Caller,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Admitted, Map<String, Value>, Arc<Share>), Refusal> {
    let (admitted, body) = receive(state, caller, headers, body, MAX_BODY).await?;
    let share = body.share();
    let event = match json::parse(&body) {
        Ok(Value::Object(event)) => Ok(event),
        Ok(_) => Err(Refusal::Bad("the body must be a JSON object".to_owned())),
        Err(words) => Err(Refusal::Bad(words)),
    };
    let event = state.access.counted(&admitted, event)?;
    Ok((admitted, event, share))
}
