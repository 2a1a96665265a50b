//! The receiver described as OpenAPI 3.1, for the tools that read it.
//!
//! In: the annotations of the handlers (`#[utoipa::path]`), the types of their answers, the presets of payload templates and
//! [`Refusal`](super::answer::Refusal). Out: the document, at `GET /openapi.json` and in schemas/openapi.json.
//! Always holds: what the code knows is taken from the code: the fields of a body from the templates, what is refused and in
//! which words from `Refusal`. A test holds the file to be what is served, and schemathesis holds the receiver to it.
//! Deliberately absent: the admin API, which is another address's (`web`).

mod bodies;
mod refusals;

pub(super) use bodies::{BatchBody, Event, FlatBody, WebhookAnswer, WebhookBody, example};
pub(super) use refusals::describe;

use super::answer::{ElementResult, Refused, Stored, StoredMany};
use super::sdk;
use super::sdk::answer::{Rejection, SdkRefused, Taken};
use super::{health, webhook};
use axum::http::header;
use axum::response::IntoResponse;
use std::sync::LazyLock;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{self, Object, RefOr, Type};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Nightmark receiver",
        description = "Product org updates: one org or an array of them at the webhook, and the calls of Segment's and \
                       RudderStack's SDKs. An answer 200 is sent after the commit. docs/RECEIVER.md is the manual."
    ),
    paths(webhook::product_orgs, sdk::group::one, sdk::batch::many, sdk::ignored::one, health::alive, serve),
    components(schemas(FlatBody, Event, BatchBody, WebhookBody, WebhookAnswer, Stored, StoredMany, ElementResult, Refused, Taken, Rejection, SdkRefused)),
    modifiers(&Security, &OtherCalls, &RequestIds)
)]
struct Receiver;

/// How a caller shows that it may.
struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let secret = ApiKeyValue::with_description(
            "X-Api-Secret",
            "The secret of the API key, if it was made with one. The key itself stands in the webhook's path.",
        );
        let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic);
        let basic =
            basic.description(Some("The API key as user; the password is empty, or the key's secret if it has one."));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("secret", SecurityScheme::ApiKey(ApiKey::Header(secret)));
        components.add_security_scheme("key", SecurityScheme::Http(basic.build()));
    }
}

/// The calls that are ignored have one handler, which is described at the first of them.
struct OtherCalls;

impl Modify for OtherCalls {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let [first, others @ ..] = &sdk::IGNORED;
        let Some(described) = document.paths.paths.get(&format!("/v1/{first}")).cloned() else { return };
        for call in others {
            let mut path = described.clone();
            if let Some(post) = &mut path.post {
                post.operation_id = Some((*call).to_owned());
            }
            document.paths.paths.insert(format!("/v1/{call}"), path);
        }
    }
}

/// Every answer says which request it is to.
struct RequestIds;

impl Modify for RequestIds {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let words = "The request's own `x-request-id` (1–128 visible ASCII characters), or one that was made for it.";
        let header =
            HeaderBuilder::new().schema(Some(Object::with_type(Type::String))).description(Some(words)).build();
        let operations = document.paths.paths.values_mut().flat_map(|path| [&mut path.get, &mut path.post]).flatten();
        for response in operations.flat_map(|operation| operation.responses.responses.values_mut()) {
            if let RefOr::T(response) = response {
                response.headers.insert("x-request-id".to_owned(), header.clone().into());
            }
        }
    }
}

/// The document.
pub fn document() -> openapi::OpenApi {
    Receiver::openapi()
}

static JSON: LazyLock<String> = LazyLock::new(|| document().to_json().unwrap_or_default());

/// This document
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "receiver",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) async fn serve() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], JSON.as_str())
}
