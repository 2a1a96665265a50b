//! The key of an SDK's call, and its body.

use super::credentials::{basic, write_key};
use crate::mapping::json;
use crate::receiver::access::{Admitted, admit};
use crate::receiver::answer::Refusal;
use crate::receiver::body::{self, Held, Limits};
use crate::receiver::caller::Caller;
use crate::receiver::{MAX_BODY, ReceiverState};
use axum::body::Body;
use axum::http::HeaderMap;
use serde_json::{Map, Value};

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
    let bad_key = || state.rates.bad_key(caller.address);
    match basic(headers).map_err(|_| bad_key())? {
        Some(basic) => {
            let password = Some(basic.password.as_slice()).filter(|password| !password.is_empty());
            let admitted = admit(state, caller, &basic.user, secret.or(password), at).await?;
            Ok((admitted, body::read(headers, body, Limits::all(limit), &state.memory).await?))
        }
        None => {
            let body = body::read(headers, body, Limits::all(limit.min(MAX_UNKNOWN_SENDER)), &state.memory).await?;
            let key = write_key(&body).ok_or_else(bad_key)?;
            Ok((admit(state, caller, &key, secret, at).await?, body))
        }
    }
}

/// The same for a call that is one event.
///
/// # Errors
/// 400 for a body that is no object besides.
pub(super) async fn receive_event(
    state: &ReceiverState,
    caller: Caller,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Admitted, Map<String, Value>), Refusal> {
    let (admitted, body) = receive(state, caller, headers, body, MAX_BODY).await?;
    match json::parse(&body).map_err(Refusal::Bad)? {
        Value::Object(event) => Ok((admitted, event)),
        _ => Err(Refusal::Bad("the body must be a JSON object".to_owned())),
    }
}
