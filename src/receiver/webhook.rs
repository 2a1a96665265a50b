//! `POST /api/product-orgs/webhook/{apiKey}`

use super::ReceiverState;
use super::answer::{Refusal, Stored};
use super::keys::{Rejected, authenticate};
use crate::mapping::{Mapping, PayloadTemplate};
use crate::store::{EndpointType, KeyRecord, OrgUpsert};
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use std::time::Duration;

/// Bytes of a body at most (WIRE.md).
pub const MAX_BODY: usize = 256 * 1024;
/// How much of a body beyond the limit is read and thrown away before the answer. A client that is cut off while it still
/// sends sees a reset instead of the 413.
const MAX_DISCARDED: usize = 4 * 1024 * 1024;
/// How long the body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// One update of one org. The key is checked before anything of the body is read, and answers the same whatever the body.
pub(super) async fn product_org(
    State(state): State<ReceiverState>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Stored, Refusal> {
    let now = state.clock.now();
    let Path(api_key) = path.map_err(|_| Refusal::Unauthorized)?;
    let secret = headers.get("x-api-secret").map(|value| value.as_bytes());
    let key = authenticate(state.keys.as_ref(), &api_key, secret, now).await.map_err(|rejected| match rejected {
        Rejected::Unauthorized => Refusal::Unauthorized,
        Rejected::Store(error) => unavailable(&error),
    })?;
    if key.endpoint != EndpointType::ProductOrgs {
        return Err(Refusal::WrongEndpoint);
    }
    expect_json(&headers)?;
    let body = tokio::time::timeout(BODY_TIMEOUT, read(body)).await.map_err(|_| Refusal::Slow)??;
    let patch = mapping(&key)?.read(&body).map_err(|unfit| Refusal::Bad(unfit.to_string()))?;
    let product_org_id = patch.product_org_id.clone();
    let done = state.writer.write(OrgUpsert { patch, key_id: key.id, at: now }).await;
    let done = done.map_err(|error| unavailable(&error))?;
    Ok(Stored { success: true, product_org_id, target_org_id: done.target_org_id, is_new_org: done.is_new })
}

/// Our own trouble: the log gets the cause, the sender is asked to come again.
fn unavailable(error: &dyn std::error::Error) -> Refusal {
    tracing::warn!(%error, "an update was answered 503");
    Refusal::Unavailable
}

fn mapping(key: &KeyRecord) -> Result<Mapping, Refusal> {
    let text = key.template.as_deref().unwrap_or_default();
    PayloadTemplate::from_json_text(text).map(Mapping::new).map_err(|error| {
        tracing::warn!(key = key.id, %error, "the stored payload template of a key cannot be read");
        Refusal::Unavailable
    })
}

/// A missing content type passes: what counts is whether the body is JSON, and some senders leave it out. One that names
/// something else does not, because the body is then usually a form.
fn expect_json(headers: &HeaderMap) -> Result<(), Refusal> {
    if let Some(coding) = headers.get(header::CONTENT_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Refusal::NotJson("The body must not be compressed; leave Content-Encoding out".to_owned()));
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let structured = essence.starts_with("application/") && essence.ends_with("+json");
    match essence == "application/json" || structured {
        true => Ok(()),
        false => Err(Refusal::NotJson(
            "The body must be JSON with Content-Type: application/json (curl: -H \"Content-Type: application/json\")"
                .to_owned(),
        )),
    }
}

async fn read(body: Body) -> Result<Vec<u8>, Refusal> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        // The sender is most likely gone; if not, this is what it did.
        let chunk = chunk.map_err(|_| Refusal::Bad("the body broke off".to_owned()))?;
        length += chunk.len();
        if length > MAX_BODY + MAX_DISCARDED {
            break;
        }
        if length <= MAX_BODY {
            bytes.extend_from_slice(&chunk);
        }
    }
    match length > MAX_BODY {
        true => Err(Refusal::TooLarge(MAX_BODY)),
        false => Ok(bytes),
    }
}
