//! The access log: one event for each request, at level info with the target `nightmark::access`.
//!
//! It has the route's template (`/api/product-orgs/webhook/{api_key}`) and never the path, in which the key stands; the key's id once the key was
//! recognised; and nothing of headers, query or body but the request's id.

use super::request::RequestId;
use crate::metrics::Metrics;
use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

tokio::task_local! {
    /// Of the request that this task is serving.
    static NOTES: Arc<Mutex<Notes>>;
}

/// What is learnt of a request while it is served.
#[derive(Debug, Default, Clone)]
struct Notes {
    route: Option<MatchedPath>,
    key: Option<String>,
}

/// Why a request was not done, in a word or two: an extension of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ErrorClass(pub &'static str);

/// Notes the id of the key that the request was let in by. Outside of a request it does nothing.
pub(crate) fn note_key(id: &str) {
    note(|notes| notes.key = Some(id.to_owned()));
}

/// The layer that notes which route a request has taken.
pub(crate) async fn note_route(request: Request, next: Next) -> Response {
    if let Some(path) = request.extensions().get::<MatchedPath>() {
        note(|notes| notes.route = Some(path.clone()));
    }
    next.run(request).await
}

fn note(change: impl FnOnce(&mut Notes)) {
    // An error: there is no request to note it of, as in a unit test.
    let _ = NOTES.try_with(|notes| change(&mut notes.lock().unwrap_or_else(PoisonError::into_inner)));
}

/// The line of one request. One that is dropped before it was written says that the client has gone.
pub(super) struct Line {
    pub(super) id: RequestId,
    pub(super) client: IpAddr,
    pub(super) method: &'static str,
    pub(super) began: Instant,
    notes: Arc<Mutex<Notes>>,
    /// Under which name, and who.
    told: (&'static str, Arc<dyn Metrics>),
    is_written: bool,
}

impl Line {
    pub(super) fn new(
        id: RequestId,
        client: IpAddr,
        method: &Method,
        began: Instant,
        told: (&'static str, Arc<dyn Metrics>),
    ) -> Line {
        Line { id, client, method: name(method), began, notes: Arc::default(), told, is_written: false }
    }

    /// Runs what serves the request, so that it can note things.
    pub(super) fn scope<F: Future>(&self, serve: F) -> impl Future<Output = F::Output> + use<F> {
        NOTES.scope(Arc::clone(&self.notes), serve)
    }

    pub(super) fn write(mut self, status: u16, bytes_in: u64, error: Option<&'static str>) {
        self.put(Some(status), bytes_in, error);
    }

    fn put(&mut self, status: Option<u16>, bytes_in: u64, error: Option<&'static str>) {
        self.is_written = true;
        let (server, metrics) = &self.told;
        metrics.requested(server, status, error, self.began.elapsed());
        if !tracing::enabled!(target: "nightmark::access", tracing::Level::INFO) {
            return;
        }
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let millis = self.began.elapsed().as_secs_f64() * 1000.0;
        tracing::info!(
            target: "nightmark::access",
            request_id = self.id.0,
            client = %self.client,
            method = self.method,
            route = notes.route.as_ref().map(MatchedPath::as_str),
            key = notes.key,
            status,
            bytes_in,
            millis,
            error,
        );
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.is_written {
            self.put(None, 0, Some("gone"));
        }
    }
}

/// A method of the client's own making is not repeated.
fn name(method: &Method) -> &'static str {
    let known = [
        (Method::GET, "GET"),
        (Method::HEAD, "HEAD"),
        (Method::POST, "POST"),
        (Method::PUT, "PUT"),
        (Method::PATCH, "PATCH"),
        (Method::DELETE, "DELETE"),
        (Method::OPTIONS, "OPTIONS"),
        (Method::CONNECT, "CONNECT"),
        (Method::TRACE, "TRACE"),
    ];
    known.iter().find(|(known, _)| known == method).map_or("other", |(_, name)| *name)
}
