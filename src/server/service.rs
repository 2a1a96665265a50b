//! One request: named, bounded, served, logged.

use super::body::{Meter, metered};
use super::client::client;
use super::log::{ErrorClass, Line};
use super::options::Options;
use super::progress::Progress;
use super::request::{ClientAddress, Link, REQUEST_ID, RequestId, incoming_id};
use super::stop::Seen;
use crate::clock::Clock;
use crate::metrics::Metrics;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::time::Instant;

/// What the requests of a server share.
pub(super) struct Shared {
    pub(super) router: Router,
    pub(super) options: Options,
    pub(super) clock: Arc<dyn Clock>,
    /// What it is called in metrics.
    pub(super) name: &'static str,
    pub(super) metrics: Arc<dyn Metrics>,
}

/// What the requests of a connection share.
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: IpAddr,
    pub(super) is_tls: bool,
    pub(super) progress: Arc<Progress>,
    pub(super) stop: Seen,
}

impl Connection {
    pub(super) async fn serve(&self, request: Request<Incoming>) -> Response<Body> {
        let began = self.progress.begin(Instant::now());
        let options = &self.shared.options;
        let (mut parts, body) = request.into_parts();
        let id = incoming_id(&parts.headers).unwrap_or_else(|| RequestId(self.shared.clock.run_id()));
        let client = client(self.peer, &parts.headers, &options.trusted_proxies);
        let told = (self.shared.name, Arc::clone(&self.shared.metrics));
        let line = Line::new(id.clone(), client, &parts.method, began, told);
        parts.extensions.insert(id);
        parts.extensions.insert(ClientAddress(client));
        parts.extensions.insert(Link { peer: self.peer, is_tls: self.is_tls });
        let (body, meter) = metered(body, (began + options.request).saturating_duration_since(Instant::now()));
        let answer = match self.stop.turns_away(began) {
            true => our_trouble("stopping"),
            false => self.routed(&line, Request::from_parts(parts, body), began + options.answer).await,
        };
        self.finish(line, answer, &meter)
    }

    /// Whatever becomes of the handler, there is an answer.
    async fn routed(&self, line: &Line, request: Request<Body>, until: Instant) -> Response<Body> {
        let router = TowerToHyperService::new(self.shared.router.clone());
        let served = AssertUnwindSafe(async move { router.call(request).await }).catch_unwind();
        match tokio::time::timeout_at(until, line.scope(served)).await {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_panic)) => {
                // What it says was printed by the panic itself, and may have a value in it.
                tracing::error!(
                    event = "handler_panicked",
                    request_id = line.id.0,
                    "a request's handler panicked; this is a bug of nightmark"
                );
                our_trouble("panic")
            }
            Err(_) => {
                tracing::error!(event = "answer_overdue", request_id = line.id.0, "a request had no answer in time");
                our_trouble("overdue")
            }
        }
    }

    fn finish(&self, line: Line, mut answer: Response<Body>, meter: &Meter) -> Response<Body> {
        let headers = answer.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&line.id.0) {
            headers.insert(REQUEST_ID, id);
        }
        if self.stop.is_stopping() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let status = answer.status();
        let class = answer.extensions().get::<ErrorClass>().map(|class| class.0).or_else(|| class_of(status));
        line.write(status.as_u16(), meter.bytes(), class);
        self.progress.end(Instant::now(), !meter.ended());
        answer
    }
}

/// Of an answer that does not say it itself.
fn class_of(status: StatusCode) -> Option<&'static str> {
    match status {
        _ if status.is_client_error() => Some("refused"),
        _ if status.is_server_error() => Some("unavailable"),
        _ => None,
    }
}

/// 503: our own trouble is never a 4xx, on which senders give up for good.
fn our_trouble(class: &'static str) -> Response<Body> {
    let mut answer =
        Response::new(Body::from(r#"{"success":false,"error":"The request could not be served now; send it again"}"#));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer.extensions_mut().insert(ErrorClass(class));
    answer
}
