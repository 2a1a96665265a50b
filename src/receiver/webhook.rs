//! `POST /api/product-orgs/webhook/{apiKey}`: one org, or a JSON array of them.

use super::admitted::Admitted;
use super::answer::{Ignored, Refusal, Stored};
use super::body::{self, Held, Limits, MAX_BATCH_BODY, MAX_BODY};
use super::called::marked;
use super::caller::Caller;
use super::openapi::{WebhookAnswer, WebhookBody, example};
use super::{ReceiverState, array};
use crate::mapping::{Reading, Unfit};
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

/// A body with one org is as small as ever; an array is what Segment's Webhooks (Actions) sends with batching on.
const LIMITS: Limits = Limits { array: MAX_BATCH_BODY, other: MAX_BODY };

/// One org, or an array of them
///
/// The key is checked before anything of the body is read, and answers the same whatever the body.
#[utoipa::path(post, path = "/api/product-orgs/webhook/{apiKey}", operation_id = "webhook", tag = "webhook", security((), ("secret" = [])),
    params(("apiKey" = String, Path, description = "The API key, `sk_…`"), ("webhook-id" = Option<String>, Header, description = "What the sender calls this request (or `Idempotency-Key`): a repeat within 7 days is answered as the first was", min_length = 1, max_length = 255)),
    request_body(content = WebhookBody, examples(("flat" = (value = json!(example("flat")))), ("group" = (value = json!(example("segment")))),
        ("array" = (value = json!([example("flat")]))))),
    responses((status = 200, description = "Stored: the body's org, or what can be stored of an array", body = WebhookAnswer, headers(("idempotent-replayed" = Option<String>, description = "`true` on the answer to a repeat"))), Refusal))]
pub(super) async fn product_orgs(
    State(state): State<ReceiverState>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let now = state.clock.now();
    let Path(api_key) = path.map_err(|_| state.access.bad_key(&caller))?;
    let secret = headers.get("x-api-secret").map(|value| value.as_bytes());
    let with_key = state.access.admit(caller, &api_key, secret, now).await?;
    with_key.counted(expect_json(&headers))?;
    let (admitted, body) = with_key.read(&headers, body, LIMITS).await?;
    let answer = match body::first(&body) {
        Some(b'[') => array::store(&state, &admitted, body).await,
        _ => one(&state, &admitted, &body).await,
    };
    state.access.counted(&admitted, answer)
}

async fn one(state: &ReceiverState, admitted: &Admitted, body: &Held) -> Result<Response, Refusal> {
    let reading = admitted.mapping.read(body).map_err(|unfit| match unfit {
        Unfit::NoObject => Refusal::Bad("the body must be a JSON object, or an array of them".to_owned()),
        unfit => Refusal::Bad(unfit.to_string()),
    })?;
    let Reading::Update(update) = reading else {
        state.count(admitted, 1, 0);
        return Ok(Ignored::default().into_response());
    };
    let product_org_id = update.patch.product_org_id.clone();
    let done = state.store_one(admitted, update, body.share()).await?;
    Ok(marked(Stored::new(product_org_id, done).into_response(), done.repeated))
}

/// A missing content type passes: what counts is whether the body is JSON, and some senders leave it out. One that names
/// something else does not, because the body is then usually a form.
fn expect_json(headers: &HeaderMap) -> Result<(), Refusal> {
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
