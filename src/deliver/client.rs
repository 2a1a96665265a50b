//! One request, and what came of it.
//!
//! Always holds: no redirect is followed, no proxy is taken from the environment, nothing is repeated behind the caller's
//! back once it may have left, at most [`BODY_LIMIT`] bytes of an answer are read ([`BYTES_OF_ROW`] for each row of many), all within the
//! destination's time-out.
//! Errors of the HTTP library are turned into our own words: its own may show the URL, and the API key stands there.

use super::address::{Place, parse_url, refuse_literal};
use super::blocked::Blocked;
use super::classify::{causes, classify};
use super::request::{attempt_headers, fixed_headers};
use super::resolve::Resolver;
use super::sign::Signer;
use super::verdict::{Answer, Attempt, Fault, FaultKind};
use super::{DeliverError, Parcel, Resolved, Transport, trust};
use crate::job::spec::{Destination, Method, PerOperation, Route};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, ClientBuilder, Proxy, Response, redirect};
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What is read of an answer, in bytes.
pub const BODY_LIMIT: usize = 16 * 1024;
/// The same for each row of a batch, if that is more: a result with the id of an org, of at most 255 bytes, and room for more than our receiver
/// says. What is cut off would be asked for again, half a batch at a time.
const BYTES_OF_ROW: usize = 512;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections are closed before common servers close theirs (Node.js: 5 s), because a request that meets a closing
/// connection has an unknown outcome.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// What an HTTP/2 destination may send of one answer before we have read any: not much more than we would read.
const STREAM_WINDOW: u32 = 2 * BODY_LIMIT as u32;
/// The least window of an HTTP/2 connection.
const CONNECTION_WINDOW: u32 = 64 * 1024;

/// What a client is made of, checked, before there is one.
pub(super) struct Setup {
    /// Where each operation goes.
    endpoints: PerOperation<(Method, Url)>,
    proxy: Option<Url>,
    headers: HeaderMap,
    signer: Signer,
    blocked: Arc<Blocked>,
    certificates: Vec<Certificate>,
}

impl Setup {
    /// Reads `ca_file`; otherwise does no IO.
    pub(super) fn new(destination: &Destination, resolved: &Resolved) -> Result<Self, DeliverError> {
        let endpoints = destination.routes.try_map(|name, route| endpoint(destination, resolved, name, route))?;
        let proxy = resolved.proxy.as_ref().map(|proxy| parse_url(proxy.expose_secret())).transpose();
        let proxy = proxy.map_err(DeliverError::Proxy)?;
        let blocked = Blocked::but_for(&destination.allow_addresses);
        for (name, (_, url)) in endpoints.iter() {
            refuse_literal(url_field(destination, name), url, &blocked)?;
        }
        if let Some(proxy) = &proxy {
            refuse_literal("destination.proxy", proxy, &blocked)?;
        }
        Ok(Setup {
            headers: fixed_headers(destination, resolved)?,
            signer: Signer::new(&resolved.signing)?,
            certificates: destination.ca_file.as_deref().map_or(Ok(Vec::new()), trust::read)?,
            blocked: Arc::new(blocked),
            endpoints,
            proxy,
        })
    }

    fn builder(&self, destination: &Destination) -> Result<ClientBuilder, DeliverError> {
        let timeout = destination.timeout;
        let connections = u32::try_from(destination.concurrency).unwrap_or(u32::MAX);
        let builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .retry(reqwest::retry::never())
            .dns_resolver(Resolver::new(Arc::clone(&self.blocked)))
            // Below the whole time-out, so that a host that does not answer reads as "not sent" and not as "unknown".
            .connect_timeout(CONNECT_TIMEOUT.min(timeout / 2))
            .timeout(timeout)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(STREAM_WINDOW.saturating_mul(connections).max(CONNECTION_WINDOW))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(destination.concurrency);
        let builder = match &self.proxy {
            // The library's error may show the address, and a password may stand in it.
            Some(proxy) => {
                builder.proxy(Proxy::all(proxy.clone()).map_err(|_| DeliverError::Proxy("it is none".into()))?)
            }
            None => builder,
        };
        let is_plain = |url: &Url| url.scheme() == "http";
        if self.endpoints.iter().all(|(_, (_, url))| is_plain(url)) && self.proxy.as_ref().is_none_or(is_plain) {
            // No certificate will be looked at: a machine without a trust store can do this too.
            return Ok(builder.tls_certs_only(std::iter::empty()));
        }
        Ok(builder.tls_certs_merge(self.certificates.iter().cloned()))
    }
}

fn endpoint(
    destination: &Destination,
    resolved: &Resolved,
    operation: &'static str,
    route: &Route,
) -> Result<(Method, Url), DeliverError> {
    let url = resolved.routes.get(operation).as_ref().unwrap_or(&resolved.url);
    let field = url_field(destination, operation);
    let url = parse_url(url.expose_secret()).map_err(|problem| DeliverError::Url { field, problem })?;
    Ok((route.method, url))
}

/// Where the address of an operation stands in the job file.
fn url_field(destination: &Destination, operation: &'static str) -> &'static str {
    match destination.routes.get(operation).url {
        Some(_) => Route::url_field(operation),
        None => destination.url_field,
    }
}

/// Where one operation goes.
struct Endpoint {
    method: reqwest::Method,
    url: Url,
    place: Place,
}

/// The client of one destination.
pub(super) struct Client {
    http: reqwest::Client,
    endpoints: PerOperation<Endpoint>,
    headers: HeaderMap,
    signer: Signer,
}

impl Client {
    pub(super) fn new(destination: &Destination, resolved: &Resolved) -> Result<Self, DeliverError> {
        Client::of(Setup::new(destination, resolved)?, destination)
    }

    fn of(setup: Setup, destination: &Destination) -> Result<Self, DeliverError> {
        // A second call finds the provider in place, which is what it wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = setup.builder(destination)?.build();
        let http = http.map_err(|error| DeliverError::Client(chain(&error.without_url())))?;
        let endpoints = setup.endpoints.try_map(|_, (method, url)| {
            let place = Place::of(url, setup.proxy.as_ref());
            Ok::<_, DeliverError>(Endpoint { method: wire(*method), url: url.clone(), place })
        })?;
        Ok(Client { http, endpoints, headers: setup.headers, signer: setup.signer })
    }
}

impl Client {
    /// Where each operation goes.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (&'static str, (&Url, &Place))> {
        self.endpoints.iter().map(|(name, endpoint)| (name, (&endpoint.url, &endpoint.place)))
    }

    /// The connections.
    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }
}

/// The address of a request: the row's own, if it has one.
fn own_url(parcel: &Parcel, usual: &Url) -> Result<Url, String> {
    let Some(own) = parcel.aside().and_then(|aside| aside.url.as_deref()) else { return Ok(usual.clone()) };
    match parse_url(own) {
        // A template's origin is written out. Where requests go was checked for that one.
        Ok(url) if url.origin() == usual.origin() => Ok(url),
        Ok(_) => Err("the row's address is on another host than the destination's".to_owned()),
        Err(problem) => Err(format!("the row's address is none: {problem}")),
    }
}

fn wire(method: Method) -> reqwest::Method {
    match method {
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
        Method::Get => reqwest::Method::GET,
    }
}

#[async_trait]
impl Transport for Client {
    async fn send(&self, parcel: &Parcel, now: DateTime<Utc>) -> Attempt {
        let body = parcel.body();
        let invalid = |text: String| Attempt::Failed(Fault { kind: FaultKind::Invalid, text });
        let headers = match attempt_headers(&self.headers, &self.signer, parcel, &body, now) {
            Ok(headers) => headers,
            Err(problem) => return invalid(problem),
        };
        let Endpoint { method, url, place } = self.endpoints.get(parcel.operation());
        let url = match own_url(parcel, url) {
            Ok(url) => url,
            Err(problem) => return invalid(problem),
        };
        let request = self.http.request(method.clone(), url).headers(headers);
        let request = if body.is_empty() { request } else { request.body(body) };
        match request.send().await {
            Ok(response) => Attempt::Answered(read(response, place, limit(parcel)).await),
            Err(error) => Attempt::Failed(classify(&error.without_url(), place)),
        }
    }
}

/// Bytes of an answer at most.
fn limit(parcel: &Parcel) -> usize {
    BODY_LIMIT.max(parcel.messages().len().saturating_mul(BYTES_OF_ROW))
}

/// Dropping what is left of an answer ends its connection (HTTP/1) or its stream (HTTP/2), so nothing of it is taken for
/// the next answer.
async fn read(mut response: Response, place: &Place, limit: usize) -> Answer {
    let status = response.status().as_u16();
    let retry_after = response.headers().get_all(RETRY_AFTER).iter();
    let retry_after = retry_after.filter_map(|value| value.to_str().ok().map(str::to_owned)).collect();
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (mut body, mut truncated) = (Vec::new(), false);
    let broken = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(limit - body.len())]),
            Ok(None) => break None,
            Err(error) => break Some(classify(&error.without_url(), place)),
        }
        if body.len() == limit {
            truncated = true;
            break None;
        }
    };
    Answer { status, retry_after, body, truncated, broken, content_type }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::Message;
    use crate::deliver::verdict::{Peer, Verdict, judge};
    use crate::job::spec::{Form, Part, Templated};

    fn destination(url: &str) -> (Destination, Resolved) {
        let written = Templated { written: url.into(), parts: vec![Part::Literal(url.into())], form: Form::Address };
        let destination = Destination::plain(written);
        (destination, Resolved::of(url))
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_refused_address_is_a_config_fault_and_nothing_is_sent() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://localhost:{}/planted", listener.local_addr().unwrap().port());
        let (destination, resolved) = destination(&url);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut setup = Setup::new(&destination, &resolved).unwrap();
        let mut blocked = Blocked::but_for(&[]);
        blocked.also = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        setup.blocked = Arc::new(blocked);
        let client = Client::of(setup, &destination).unwrap();
        let message = Message {
            seq: 0,
            key: "a".into(),
            id: "a".into(),
            version: String::new(),
            operation: "added",
            body: "{}".into(),
            part: None,
            aside: None,
        };
        let attempt = client.send(&Parcel::single(message), Utc::now()).await;
        let Verdict::ConfigFault { reason, remedy, .. } = judge(&attempt, &Peer::plain(), Utc::now()) else {
            panic!("{attempt:?}")
        };
        assert!(reason.starts_with("the host name stands for ") && reason.ends_with("refused by a test"), "{reason}");
        assert!(remedy.contains("destination.allow_addresses"), "{remedy}");
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody came");
    }

    #[test]
    fn an_address_that_is_refused_makes_no_client_unless_the_job_allows_it() {
        let (mut destination, mut resolved) = destination("http://0xa9fea9fe/planted");
        let error = Setup::new(&destination, &resolved).err().unwrap().to_string();
        assert!(
            error.starts_with("destination.url leads to 169.254.169.254, which is a cloud's metadata service"),
            "{error}"
        );
        assert!(error.contains("destination.allow_addresses") && !error.contains("planted"), "{error}");
        destination.allow_addresses = vec!["169.254.169.254/32".parse().unwrap()];
        assert!(Setup::new(&destination, &resolved).is_ok());
        // By way of a proxy too, and the proxy itself.
        resolved.proxy = Some("http://[fe80::1]:3128".into());
        let error = Setup::new(&destination, &resolved).err().unwrap().to_string();
        assert!(error.starts_with("destination.proxy leads to fe80::1, which is link-local"), "{error}");
        destination.allow_addresses = vec!["fe80::/10".parse().unwrap()];
        assert!(Setup::new(&destination, &resolved).err().unwrap().to_string().starts_with("destination.url"));
    }

    #[test]
    fn a_proxy_that_is_none_is_not_shown() {
        let (destination, mut resolved) = destination("http://localhost/");
        for proxy in ["planted", "socks5://planted:1", "http://u:planted@:1"] {
            resolved.proxy = Some(proxy.into());
            let error = Setup::new(&destination, &resolved).err().unwrap().to_string();
            assert!(error.starts_with("destination.proxy does not resolve") && !error.contains("planted"), "{error}");
        }
    }
}
