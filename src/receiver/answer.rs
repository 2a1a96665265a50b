//! What the receiver answers.

use crate::server::ErrorClass;
use crate::store::Upserted;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// Seconds after which an update may be sent again that needs somebody's help first.
const UNSTORABLE: u64 = 300;

/// An update was stored. The fields stand in the order of the guide's example.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stored {
    pub success: bool,
    pub product_org_id: String,
    pub target_org_id: i64,
    pub is_new_org: bool,
    /// It happened before the newest event of the org, and did not overwrite what is newer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
}

impl Stored {
    pub(super) fn new(product_org_id: String, done: Upserted) -> Stored {
        let Upserted { target_org_id, is_new: is_new_org, stale, .. } = done;
        Stored { success: true, product_org_id, target_org_id, is_new_org, stale }
    }
}

impl IntoResponse for Stored {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// The key's template passes it over.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ignored {
    success: bool,
    ignored: bool,
}

impl Default for Ignored {
    fn default() -> Self {
        Ignored { success: true, ignored: true }
    }
}

impl IntoResponse for Ignored {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// What became of one element of an array.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum ElementResult {
    Stored(Stored),
    Ignored(Ignored),
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
    /// Whether no element was rejected: a sender that looks takes the array apart and learns which was not.
    pub success: bool,
    /// In the array's order.
    pub results: Vec<ElementResult>,
}

impl StoredMany {
    pub(super) fn new(results: Vec<ElementResult>) -> StoredMany {
        let success = results.iter().all(|result| !matches!(result, ElementResult::Rejected { .. }));
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
    /// 429, with how long to wait.
    TooManyRequests(Duration),
    /// 503: more bodies are under way than may be held.
    Overloaded,
    /// 503: these updates cannot be written, which somebody has to look into here. There is no point in sending them again at once.
    Unstorable,
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
    tracing::warn!(event = "update_unavailable", %error, "an update was answered 503");
    Refusal::Unavailable
}

impl Refusal {
    /// Whether its sender would have to send another body.
    pub(super) fn is_about_the_body(&self) -> bool {
        matches!(
            self,
            Refusal::Bad(_) | Refusal::Slow | Refusal::TooLarge(_) | Refusal::TooMany(_) | Refusal::NotJson(_)
        )
    }

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
            Refusal::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Overloaded | Refusal::Unstorable | Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
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
            Refusal::Slow => "The request did not arrive in time".to_owned(),
            Refusal::TooLarge(limit) => format!("The body is larger than {} KB", limit / 1024),
            Refusal::TooMany(limit) => format!("The body has more than {limit} events"),
            Refusal::TooManyRequests(_) => "There are too many requests; send it again later".to_owned(),
            Refusal::Overloaded => "There are too many requests under way; send it again".to_owned(),
            Refusal::Unstorable => {
                "The update could not be stored, and will not be until somebody has looked into it here; the log has the reason"
                    .to_owned()
            }
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
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(ErrorClass(self.class()));
        response
    }

    /// In whole seconds, as the header has it.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Refusal::TooManyRequests(wait) => Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
            Refusal::Overloaded | Refusal::Unavailable => Some(1),
            Refusal::Unstorable => Some(UNSTORABLE),
            _ => None,
        }
    }

    /// For the access log.
    fn class(&self) -> &'static str {
        match self {
            Refusal::Bad(_) => "bad_body",
            Refusal::Unauthorized => "unauthorized",
            Refusal::WrongEndpoint => "wrong_endpoint",
            Refusal::NoSuchPlace => "no_such_place",
            Refusal::NoSuchMethod => "no_such_method",
            Refusal::Slow => "slow",
            Refusal::TooLarge(_) => "too_large",
            Refusal::TooMany(_) => "too_many_events",
            Refusal::NotJson(_) => "not_json",
            Refusal::TooManyRequests(_) => "too_many_requests",
            Refusal::Overloaded => "overloaded",
            Refusal::Unstorable => "unstorable",
            Refusal::Unavailable => "unavailable",
        }
    }
}
