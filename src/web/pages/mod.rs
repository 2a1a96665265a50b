//! Pages for people: `/`, the jobs; `/jobs/{job}`, one of them, with its held run.
//!
//! In: requests of a browser past `access`, forms. Out: HTML that loads nothing from elsewhere and runs no script.
//! Always holds: what is shown is text, whatever is in it (`html`); what a form does is what the API does, by the same code and for the same roles; it is
//! sent on to a page afterwards, so that a reload does nothing twice.
//! Deliberately absent: anything to set up; keys, tokens and orgs (commands and the API); cookies, scripts.

mod held;
mod html;
mod job;
mod jobs;

use super::AdminState;
use super::access::{Access, Caller, Noted, admit, record};
use super::answer::ApiError;
use crate::store::Role;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use html::{Html, page};
use std::sync::Arc;

/// Bytes of a form at most.
const LARGEST_FORM: usize = 4096;

pub(super) fn router(access: &Arc<Access>) -> Router<AdminState> {
    Router::new()
        .route("/", get(jobs::show))
        .route("/jobs/{job}", get(job::show))
        .route("/jobs/{job}/run", post(job::run))
        .route("/jobs/{job}/approve", post(held::approve))
        .route("/jobs/{job}/discard", post(held::discard))
        .method_not_allowed_fallback(async || PageError(ApiError::NoSuchMethod))
        .layer(from_fn_with_state(Arc::clone(access), check))
        .route("/style.css", get(html::style))
}

/// As `access::check`, told as a page.
async fn check(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    match admit(&access, request).await {
        Ok((caller, request)) => record::run(&access, caller, "page", request, next).await,
        Err(error) => PageError(error).into_response(),
    }
}

/// Why there is another page than the one that was asked for.
struct PageError(ApiError);

impl<E: Into<ApiError>> From<E> for PageError {
    fn from(error: E) -> PageError {
        PageError(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let PageError(error) = self;
        let mut body = Html::default();
        body.raw("<p>").text(error.message()).raw("</p><p><a href=\"/\">The jobs</a></p>\n");
        let mut response = page(error.status(), "This was not done", "", &body);
        if error == ApiError::Unauthorized {
            // So that a browser asks for it.
            let ask = HeaderValue::from_static(
                "Basic realm=\"Nightmark: any user, a token as the password\", charset=\"UTF-8\"",
            );
            response.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
        }
        response.extensions_mut().insert(Noted(error.message().to_owned()));
        response
    }
}

/// Whether the caller may do more than look.
fn may_act(caller: &Caller) -> bool {
    caller.role >= Role::Operator
}

/// A field of a form.
async fn field(request: Request, name: &str) -> Result<String, PageError> {
    let is_form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let body = axum::body::to_bytes(request.into_body(), LARGEST_FORM).await.ok().filter(|_| is_form);
    let bad = || PageError(ApiError::Bad(format!("This is no form with the field `{name}`")));
    let body = body.ok_or_else(bad)?;
    let found = url::form_urlencoded::parse(&body).find(|(field, _)| field == name);
    found.map(|(_, value)| value.into_owned()).ok_or_else(bad)
}

/// On to a job's page.
fn back_to(job: &str, noted: Option<String>) -> Response {
    let name = url::form_urlencoded::byte_serialize(job.as_bytes()).collect::<String>().replace('+', "%20");
    let to = HeaderValue::from_str(&format!("/jobs/{name}")).unwrap_or(HeaderValue::from_static("/"));
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
    response.extensions_mut().extend(noted.into_iter().fold(axum::http::Extensions::new(), |mut all, noted| {
        all.insert(Noted(noted));
        all
    }));
    response
}
