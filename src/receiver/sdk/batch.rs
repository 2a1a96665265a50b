//! `POST /v1/batch`: many events.

use super::access::receive;
use super::answer::{Rejection, SdkRefusal, Taken};
use super::event;
use crate::receiver::answer::{Refusal, unavailable};
use crate::receiver::caller::Caller;
use crate::receiver::openapi::{BatchBody, example};
use crate::receiver::{MAX_BATCH_BODY, PayloadTemplate, ReceiverState, body, events};
use crate::store::OrgPatch;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

/// Many events
///
/// Group events are stored in one transaction; a bad event is named in the answer and takes no other down.
#[utoipa::path(post, path = "/v1/batch", operation_id = "batch", tag = "SDKs", security(("key" = []), ("key" = [], "secret" = [])),
    request_body(content = BatchBody, examples(("batch" = (value = json!({"batch": [example("segment"), {"type": "track", "event": "x"}]}))))),
    responses((status = 200, description = "Each event was stored, is ignored, or is named as rejected", body = Taken), SdkRefusal))]
pub(super) async fn many(
    State(state): State<ReceiverState>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Taken, SdkRefusal> {
    let (admitted, body) = receive(&state, caller, &headers, body, MAX_BATCH_BODY).await?;
    // Megabytes of JSON would hold up the other requests of this thread.
    let sorted =
        tokio::task::spawn_blocking(move || sort(admitted.mapping.template(), &body).map(|sorted| (admitted, sorted)));
    let (admitted, sorted) = sorted.await.map_err(|error| unavailable(&error))??;
    let stored = state.store_many(&admitted, sorted.patches).await?.len();
    Ok(Taken::new(&admitted.key_id, stored, sorted.ignored, sorted.rejections))
}

/// A batch's events by what becomes of them.
#[derive(Default)]
struct Sorted {
    patches: Vec<OrgPatch>,
    ignored: usize,
    rejections: Vec<Rejection>,
}

fn sort(template: &PayloadTemplate, body: &[u8]) -> Result<Sorted, Refusal> {
    /// What stands beside the events (`writeKey`, `sentAt`, `context`) says nothing about orgs.
    #[derive(Deserialize)]
    struct Batch<'a> {
        #[serde(borrow)]
        batch: Vec<&'a RawValue>,
    }
    // Serde would take an array for the fields of a struct in their order.
    if body::first(body) == Some(b'[') {
        return Err(no_batch("it is an array"));
    }
    // What is passed over is not looked at by serde_json, and so not whether it is text at all.
    let text = std::str::from_utf8(body)
        .map_err(|_| Refusal::Bad("the body is not valid JSON: it is not UTF-8".to_owned()))?;
    let batch: Batch = serde_json::from_str(text).map_err(|error| match error.classify() {
        Category::Data => no_batch(&error.to_string()),
        _ => events::bad_json(error),
    })?;
    let mut sorted = Sorted::default();
    for (index, event) in events::bounded(batch.batch)?.into_iter().enumerate() {
        match event::of_batch(template, index, events::read(event)) {
            Ok(Some(patch)) => sorted.patches.push(patch),
            Ok(None) => sorted.ignored += 1,
            Err(rejection) => sorted.rejections.push(rejection),
        }
    }
    Ok(sorted)
}

fn no_batch(reason: &str) -> Refusal {
    Refusal::Bad(format!("the body must be {{\"batch\": [event, …]}}: {reason}"))
}
