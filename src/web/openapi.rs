//! The operator's address described as OpenAPI 3.1: at `/openapi.json` there, and in schemas/admin-openapi.json.
//!
//! Paths come from the handlers, bodies from their types, failures from [`ApiError`].

use super::answer::{ApiError, Failure};
use super::keys::{Create, CreateSignature, Created, Rotate};
use super::{audit, health, holds, jobs, keys, metrics, orgs};
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{self, Header, Object, Ref, RefOr, Type};
use utoipa::{IntoResponses, Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(title = "Nightmark admin API", description = "Jobs, API keys and received orgs. docs/COMMANDS.md is the manual."),
    paths(
        health::alive, health::ready, metrics::serve, serve, jobs::list, jobs::show, jobs::run, jobs::order, holds::held, holds::approve, holds::discard, keys::list, keys::create, keys::show,
        keys::rotate, keys::revoke, orgs::list, orgs::one,
        orgs::history, audit::list
    ),
    components(schemas(Failure, Create, CreateSignature, Created, Rotate)),
    modifiers(&Token)
)]
struct Admin;

/// How a caller shows that it may.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let words = "A token of `nightmark tokens`, or that of `[admin] token`. Where there never was one, callers on the same machine are answered.";
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(words)).build();
        document.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

impl IntoResponses for ApiError {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let all = [
            (ApiError::Bad("`limit` must be a number from 1 to 1000".to_owned()), "What is asked cannot be done so."),
            (ApiError::Unauthorized, "The token is missing or wrong."),
            (
                ApiError::Forbidden("Without a token the API answers this machine alone".to_owned()),
                "The token's role does not allow it; or another machine calls, and there is no token.",
            ),
            (ApiError::NotFound("There is nothing here".to_owned()), "There is no such job, key, org or path."),
            (ApiError::NoSuchMethod, "Another method."),
            (
                ApiError::Conflict("The key has changed meanwhile; try again".to_owned()),
                "It has changed meanwhile, or is in a state that does not allow this.",
            ),
            (ApiError::Unavailable, "The state store cannot be used now, or the daemon is stopping."),
        ];
        all.into_iter()
            .map(|(error, when)| (error.status().as_u16().to_string(), response(&error, when).into()))
            .collect()
    }
}

fn response(error: &ApiError, when: &str) -> Response {
    let example = json!({ "success": false, "error": error.message() });
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Failure"))).example(Some(example)).build();
    let response = ResponseBuilder::new().description(when).content("application/json", content);
    let header = |kind: Type, words: &str| -> Header {
        HeaderBuilder::new().schema(Some(Object::with_type(kind))).description(Some(words)).build()
    };
    match error {
        ApiError::Unavailable => response.header("Retry-After", header(Type::Integer, "Seconds to wait.")),
        ApiError::Unauthorized => response.header("WWW-Authenticate", header(Type::String, "`Bearer`")),
        _ => response,
    }
    .build()
}

/// The document.
pub fn document() -> openapi::OpenApi {
    Admin::openapi()
}

static JSON: LazyLock<String> = LazyLock::new(|| document().to_json().unwrap_or_default());

/// This document
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "health",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) async fn serve() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], JSON.as_str())
}
