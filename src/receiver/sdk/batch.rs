//! `POST /v1/batch`: many events.

use super::access::receive;
use super::answer::{Rejection, SdkRefusal, Taken};
use super::event;
use super::taken;
use crate::mapping::{Reading, Update};
use crate::receiver::answer::{Refusal, unavailable};
use crate::receiver::called::{all_repeated, marked};
use crate::receiver::caller::Caller;
use crate::receiver::openapi::{BatchBody, example};
use crate::receiver::{MAX_BATCH_BODY, PayloadTemplate, ReceiverState, body, events};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::error::Category;
use std::sync::Arc;

/// Many events
///
/// Group events are stored in one transaction; a bad event is named in the answer and takes no other down.
#[utoipa::path(post, path = "/v1/batch", operation_id = "batch", tag = "SDKs", security(("key" = []), ("key" = [], "secret" = [])),
    params(("webhook-id" = Option<String>, Header, description = "What the sender calls this request (or `Idempotency-Key`): a repeat within 7 days is answered as the first was", min_length = 1, max_length = 255)),
    request_body(content = BatchBody, examples(("batch" = (value = json!({"batch": [example("segment"), {"type": "track", "event": "x"}]}))))),
    responses((status = 200, description = "Each event was stored, is ignored, or is named as rejected", body = Taken, headers(("idempotent-replayed" = Option<String>, description = "`true` on the answer to a repeat"))), SdkRefusal))]
pub(super) async fn many(
    State(state): State<ReceiverState>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, SdkRefusal> {
    let (admitted, body) = receive(&state, caller, &headers, body, MAX_BATCH_BODY).await?;
    let share = body.share();
    // Megabytes of JSON would hold up the other requests of this thread.
    let mapping = Arc::clone(&admitted.mapping);
    let sorted = tokio::task::spawn_blocking(move || sort(mapping.template(), &body));
    let sorted = sorted.await.map_err(|error| unavailable(&error))?;
    let sorted = state.access.counted(&admitted, sorted)?;
    let called = &admitted.caller.called;
    let updates = sorted.updates.into_iter().map(|(index, update)| called.one_of_many(index, update)).collect();
    let done = state.store_many(&admitted, updates, share).await?;
    let repeated = all_repeated(&done);
    let taken = taken(&state, &admitted, done.len(), sorted.ignored, sorted.rejections);
    Ok(marked(taken.into_response(), repeated))
}

/// A batch's events by what becomes of them.
#[derive(Default)]
struct Sorted {
    /// With their places in the batch.
    updates: Vec<(usize, Update)>,
    ignored: usize,
    rejections: Vec<Rejection>,
}

fn sort(template: &PayloadTemplate, body: &[u8]) -> Result<Sorted, Refusal> {
    /// What stands beside the events (`writeKey`, `sentAt`, `context`) says nothing about orgs.
    #[derive(Deserialize)]
    struct Batch<'a> {
        #[serde(borrow)]
        batch: events::Elements<'a>,
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
    for (index, event) in batch.batch.all()?.into_iter().enumerate() {
        match event::of_batch(template, index, events::read(event)) {
            Ok(Reading::Update(update)) => sorted.updates.push((index, update)),
            Ok(Reading::Ignored) => sorted.ignored += 1,
            Err(rejection) => sorted.rejections.push(rejection),
        }
    }
    Ok(sorted)
}

fn no_batch(reason: &str) -> Refusal {
    Refusal::Bad(format!("the body must be {{\"batch\": [event, …]}}: {reason}"))
}
