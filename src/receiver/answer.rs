//! What the receiver answers.

use crate::store::Upserted;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// An update was stored. The fields stand in the order of the guide's example.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stored {
    pub success: bool,
    pub product_org_id: String,
    pub target_org_id: i64,
    pub is_new_org: bool,
}

impl Stored {
    pub(super) fn new(product_org_id: String, done: Upserted) -> Stored {
        Stored { success: true, product_org_id, target_org_id: done.target_org_id, is_new_org: done.is_new }
    }
}

impl IntoResponse for Stored {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// What became of one element of an array.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum ElementResult {
    Stored(Stored),
    Rejected { success: bool, error: String },
}

impl ElementResult {
    pub(super) fn rejected(error: String) -> ElementResult {
        ElementResult::Rejected { success: false, error }
    }
}

/// An array was taken in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StoredMany {
    /// Whether every element was stored: a sender that looks takes the array apart and learns which was not.
    pub success: bool,
    /// In the array's order.
    pub results: Vec<ElementResult>,
}

impl StoredMany {
    pub(super) fn new(results: Vec<ElementResult>) -> StoredMany {
        let success = results.iter().all(|result| matches!(result, ElementResult::Stored(_)));
        StoredMany { success, results }
    }
}

impl IntoResponse for StoredMany {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// A request was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400, with what is wrong with the body.
    Bad(String),
    /// 401, always the same.
    Unauthorized,
    /// 403: a key of another endpoint type.
    WrongEndpoint,
    /// 404
    NoSuchPlace,
    /// 405
    NoSuchMethod,
    /// 408: the body did not come in time.
    Slow,
    /// 413, with the limit in bytes.
    TooLarge(usize),
    /// 413, with how many events a body may have.
    TooMany(usize),
    /// 415, with what to send instead.
    NotJson(String),
    /// 503: our own trouble. Never another 4xx: senders give up on those for good.
    Unavailable,
}

/// The body of a refusal.
#[derive(Serialize, ToSchema)]
pub(super) struct Refused<'a> {
    success: bool,
    error: &'a str,
}

/// Our own trouble: the log gets the cause, the sender is asked to come again.
pub(super) fn unavailable(error: &dyn std::error::Error) -> Refusal {
    tracing::warn!(%error, "an update was answered 503");
    Refusal::Unavailable
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Refusal::Bad(_) => StatusCode::BAD_REQUEST,
            Refusal::Unauthorized => StatusCode::UNAUTHORIZED,
            Refusal::WrongEndpoint => StatusCode::FORBIDDEN,
            Refusal::NoSuchPlace => StatusCode::NOT_FOUND,
            Refusal::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Slow => StatusCode::REQUEST_TIMEOUT,
            Refusal::TooLarge(_) | Refusal::TooMany(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::NotJson(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn message(&self) -> String {
        match self {
            Refusal::Bad(message) | Refusal::NotJson(message) => message.clone(),
            Refusal::Unauthorized => "The API key or its secret is not valid".to_owned(),
            // The guide's words.
            Refusal::WrongEndpoint => {
                "The API key was not created with the Product Org Updates endpoint type".to_owned()
            }
            Refusal::NoSuchPlace => {
                "There is nothing here; updates go to /api/product-orgs/webhook/{apiKey}, SDKs to /v1/batch".to_owned()
            }
            Refusal::NoSuchMethod => "Updates are sent with POST".to_owned(),
            Refusal::Slow => "The body did not arrive in time".to_owned(),
            Refusal::TooLarge(limit) => format!("The body is larger than {} KB", limit / 1024),
            Refusal::TooMany(limit) => format!("The body has more than {limit} events"),
            Refusal::Unavailable => "The update could not be stored now; send it again".to_owned(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(Refused { success: false, error: &self.message() });
        self.with(body)
    }
}

impl Refusal {
    /// The response with a body of its own.
    pub(super) fn with(&self, body: impl IntoResponse) -> Response {
        let mut response = (self.status(), body).into_response();
        if *self == Refusal::Unavailable {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
