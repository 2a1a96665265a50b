//! What the handlers of the admin API share: errors, pages of a list, bodies.
//!
//! A handler takes [`Paging`] and [`JsonBody`] as arguments and returns `Result<impl IntoResponse, ApiError>`.

use super::access::Noted;
use crate::store::StoreError;
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

/// Entries of a page, unless the request says otherwise.
const PAGE: u32 = 100;
/// Entries of a page at most.
const LARGEST_PAGE: u32 = 1000;

/// A request was not done. Answered as `{"success":false,"error":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// 400, with what is wrong and what to do.
    Bad(String),
    /// 401: the token is missing or wrong.
    Unauthorized,
    /// 403, with the reason.
    Forbidden(String),
    /// 404, with what is not there.
    NotFound(String),
    /// 405
    NoSuchMethod,
    /// 409: it has changed meanwhile, or is in a state that does not allow this.
    Conflict(String),
    /// 503: our own trouble.
    Unavailable,
    /// 503: the daemon ends.
    Stopping,
}

impl ApiError {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            ApiError::Bad(_) => StatusCode::BAD_REQUEST,
            ApiError::Unauthorized => StatusCode::UNAUTHORIZED,
            ApiError::Forbidden(_) => StatusCode::FORBIDDEN,
            ApiError::NotFound(_) => StatusCode::NOT_FOUND,
            ApiError::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            ApiError::Conflict(_) => StatusCode::CONFLICT,
            ApiError::Unavailable | ApiError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn message(&self) -> &str {
        match self {
            ApiError::Bad(message)
            | ApiError::Forbidden(message)
            | ApiError::NotFound(message)
            | ApiError::Conflict(message) => message,
            ApiError::Unauthorized => "The token is missing or wrong; send `Authorization: Bearer TOKEN`",
            ApiError::NoSuchMethod => "This is not called with that method",
            ApiError::Unavailable => "The state store could not be used; try again",
            ApiError::Stopping => "The daemon is stopping; try again when it is back",
        }
    }
}

/// The body of a failure.
#[derive(Serialize, ToSchema)]
pub(super) struct Failure<'a> {
    success: bool,
    error: &'a str,
}

/// The log gets the cause; the caller is asked to come again.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        tracing::warn!(event = "admin_unavailable", %error, "a request to the admin API was answered 503");
        ApiError::Unavailable
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(Failure { success: false, error: self.message() })).into_response();
        let header = match self {
            ApiError::Unauthorized => Some((header::WWW_AUTHENTICATE, "Bearer")),
            ApiError::Unavailable => Some((header::RETRY_AFTER, "1")),
            ApiError::Stopping => Some((header::RETRY_AFTER, "10")),
            _ => None,
        };
        response.extensions_mut().insert(Noted(self.message().to_owned()));
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// A page of a list: `{"items": […], "next": CURSOR}`; `next` is `null` on the last page, and `?after=` on the others.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// In the list's order.
    pub items: Vec<T>,
    /// Where the next page begins.
    pub next: Option<String>,
}

impl<T: Serialize> Page<T> {
    /// Of entries that were asked for with one more than `limit`, so that it is known whether there are others.
    pub fn of(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Page<T> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(cursor);
        Page { items, next }
    }
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// `?after=CURSOR&limit=N`. Any other parameter is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    /// The `next` of the page before; `None`: from the beginning.
    pub after: Option<String>,
    /// 1–1,000; 100 unless the request says otherwise.
    pub limit: u32,
}

impl Paging {
    fn parse(query: &str) -> Result<Paging, ApiError> {
        let mut paging = Paging { after: None, limit: PAGE };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "after" => paging.after = Some(value.into_owned()),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit));
                    paging.limit = limit
                        .ok_or_else(|| ApiError::Bad(format!("`limit` must be a number from 1 to {LARGEST_PAGE}")))?;
                }
                _ => return Err(ApiError::Bad("the only parameters are `after` and `limit`".to_owned())),
            }
        }
        Ok(paging)
    }
}

impl<S: Sync> FromRequestParts<S> for Paging {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Paging, ApiError> {
        Paging::parse(parts.uri.query().unwrap_or_default())
    }
}

/// A request's body, as JSON with `Content-Type: application/json`: a page of another origin cannot send that unasked.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<JsonBody<T>, ApiError> {
        let body = Json::from_request(request, state).await;
        body.map(|Json(body)| JsonBody(body)).map_err(|rejection| ApiError::Bad(rejection.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paging_is_read() {
        let page = |after: Option<&str>, limit| Ok(Paging { after: after.map(str::to_owned), limit });
        for (query, expected) in [
            ("", page(None, 100)),
            ("limit=1", page(None, 1)),
            ("after=a%26b&limit=1000", page(Some("a&b"), 1000)),
            ("after=", page(Some(""), 100)),
        ] {
            assert_eq!(Paging::parse(query), expected, "{query}");
        }
        for query in ["limit=0", "limit=1001", "limit=x", "limit=", "limit=-1", "offset=3", "limit=1&x"] {
            assert!(matches!(Paging::parse(query), Err(ApiError::Bad(_))), "{query}");
        }
    }

    #[test]
    fn a_page_says_whether_there_are_more() {
        let page = |items: &[u32]| {
            let page = Page::of(items.to_vec(), 2, u32::to_string);
            (page.items, page.next)
        };
        assert_eq!(page(&[]), (vec![], None));
        assert_eq!(page(&[1, 2]), (vec![1, 2], None));
        assert_eq!(page(&[1, 2, 3]), (vec![1, 2], Some("2".to_owned())));
    }
}
