//! One POST, and what came of it.
//!
//! Always holds: no redirect is followed, no proxy is taken from the environment, nothing is repeated behind the caller's
//! back once it may have left, at most [`BODY_LIMIT`] bytes of an answer are read, all within the destination's time-out.
//! Errors of the HTTP library are turned into our own words: its own may show the URL, and the API key stands there.

use super::address::{Place, parse_url};
use super::request::{attempt_headers, fixed_headers};
use super::verdict::{Answer, Attempt, Fault, FaultKind};
use super::{DeliverError, Message, Resolved};
use crate::job::spec::Destination;
use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, redirect};
use secrecy::ExposeSecret;
use std::error::Error;
use std::time::Duration;
use url::Url;

/// What is read of an answer, in bytes.
pub const BODY_LIMIT: usize = 16 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections are closed before common servers close theirs (Node.js: 5 s), because a request that meets a closing
/// connection has an unknown outcome.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// The client of one destination.
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    place: Place,
    headers: HeaderMap,
}

impl Client {
    pub(super) fn new(destination: &Destination, resolved: &Resolved) -> Result<Self, DeliverError> {
        let url = parse_url(resolved.url.expose_secret())?;
        let headers = fixed_headers(resolved)?;
        // A second call finds the provider in place, which is what it wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let timeout = destination.timeout;
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .retry(reqwest::retry::never())
            // Below the whole time-out, so that a host that does not answer reads as "not sent" and not as "unknown".
            .connect_timeout(CONNECT_TIMEOUT.min(timeout / 2))
            .timeout(timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(destination.concurrency);
        if url.scheme() == "http" {
            // No certificate will be looked at: a machine without a trust store can do this too.
            builder = builder.tls_certs_only(std::iter::empty());
        }
        let http = builder.build().map_err(|error| DeliverError::Client(chain(&error.without_url())))?;
        let place = Place::of(&url);
        Ok(Client { http, url, place, headers })
    }

    /// Sends `message` once. Never fails: what went wrong is part of the answer.
    pub(super) async fn send(&self, message: &Message, now: DateTime<Utc>) -> Attempt {
        let Some(headers) = attempt_headers(&self.headers, message, now) else {
            let text = "the row's id cannot stand in a header".to_owned();
            return Attempt::Failed(Fault { kind: FaultKind::Invalid, text });
        };
        let request = self.http.post(self.url.clone()).headers(headers).body(message.body.clone());
        match request.send().await {
            Ok(response) => Attempt::Answered(read(response, &self.place).await),
            Err(error) => Attempt::Failed(classify(&error.without_url(), &self.place)),
        }
    }
}

async fn read(mut response: Response, place: &Place) -> Answer {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    let broken = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(BODY_LIMIT - body.len())]),
            Ok(None) => break None,
            Err(error) => break Some(classify(&error.without_url(), place)),
        }
        if body.len() == BODY_LIMIT {
            break None;
        }
    };
    Answer { status, retry_after, body, broken }
}

/// What a failure of the HTTP library means, in fixed words and those of the operating system and of rustls.
fn classify(error: &reqwest::Error, place: &Place) -> Fault {
    let fault = |kind, text: &str| Fault { kind, text: text.to_owned() };
    if error.is_builder() {
        return fault(FaultKind::Invalid, "the request cannot be built");
    }
    let io = causes(error).find_map(|cause| cause.downcast_ref::<std::io::Error>());
    if error.is_connect() {
        if let Some(tls) = causes(error).find_map(tls_error) {
            return fault(FaultKind::Tls, &format!("TLS: {tls}"));
        }
        let text = match io {
            _ if error.is_dns() => format!("the host name {} cannot be resolved", place.host),
            _ if error.is_timeout() => format!("no connection to {} within the time-out", place.authority),
            Some(io) => format!("no connection to {} ({})", place.authority, io.kind()),
            None => format!("no connection to {}", place.authority),
        };
        return fault(FaultKind::Connect, &text);
    }
    if error.is_timeout() {
        return fault(FaultKind::Timeout, "no full answer within the time-out");
    }
    match io {
        Some(io) => fault(FaultKind::Broken, &format!("the connection broke: {}", io.kind())),
        None => fault(FaultKind::Broken, "the connection broke, or the answer is not HTTP"),
    }
}

fn tls_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    // An IO error does not name what it wraps as its source, only that one's source.
    let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    match wrapped {
        Some(inner) => inner.downcast_ref().or_else(|| tls_error(inner)),
        None => cause.downcast_ref(),
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

fn chain(error: &(dyn Error + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
