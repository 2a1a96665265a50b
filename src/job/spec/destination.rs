//! `[destination]`: what kind of system it is, where requests go, how they are made, and how many rows one carries.

use super::Templated;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The default of [`Destination::dead_letter_after`].
pub const DEAD_LETTER_AFTER: u32 = 5;

/// What kind of system takes the requests. It decides what a yes is, what a status means and what helps (`deliver::verdict`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestinationKind {
    /// TrailSpark's product org endpoint, or a receiver that speaks the same.
    Trailspark,
    /// Segment's HTTP API.
    Segment,
    /// A RudderStack data plane.
    Rudderstack,
    /// Any other web server.
    Http,
}

impl DestinationKind {
    /// As written in a job file.
    pub fn as_str(self) -> &'static str {
        match self {
            DestinationKind::Trailspark => "trailspark",
            DestinationKind::Segment => "segment",
            DestinationKind::Rudderstack => "rudderstack",
            DestinationKind::Http => "http",
        }
    }

    /// Whether it takes group events and nothing else.
    pub fn takes_events(self) -> bool {
        matches!(self, DestinationKind::Segment | DestinationKind::Rudderstack)
    }
}

/// `[destination]`
#[derive(Debug, Clone)]
pub struct Destination {
    /// What kind of system it is.
    pub kind: DestinationKind,
    /// The address of operations without one of their own. A key may stand in it: show [`Templated::written`], never the
    /// resolved form.
    pub url: Templated,
    /// The field of the job file that says so, for messages: what to mend when the address is wrong.
    pub url_field: &'static str,
    /// How each kind of difference is sent.
    pub routes: PerOperation<Route>,
    /// How a body is written.
    pub format: BodyFormat,
    /// Several rows in one request; `None`: each has its own.
    pub batch: Option<Batch>,
    /// User name and password of HTTP's Basic scheme.
    pub auth: Option<Auth>,
    /// Sent as `X-Api-Secret`.
    pub secret: Option<Templated>,
    /// Secrets that requests are signed with, the newest first; none: no signature.
    pub signing: Vec<Templated>,
    /// Further headers, by name.
    pub headers: BTreeMap<String, Templated>,
    /// At most so many requests in so much time; `None`: no limit.
    pub rate: Option<Rate>,
    /// How many of them may leave at once after idle time; `None`: what the rate allows in 10 ms, at least 1.
    pub burst: Option<u32>,
    /// Requests in flight at most, 1–1024; fewer while the destination has trouble.
    pub concurrency: usize,
    /// Retries within a run.
    pub retry: Retry,
    /// Refusals of the same content after which a row is set aside; 0: never.
    pub dead_letter_after: u32,
    /// The whole request, body included.
    pub timeout: Duration,
    /// A PEM file of further trusted certificates, absolute.
    pub ca_file: Option<PathBuf>,
    /// The HTTP proxy to go through; `None`: straight to the destination, whatever the environment says.
    pub proxy: Option<Templated>,
    /// What may be connected to of the addresses that are refused otherwise.
    pub allow_addresses: Vec<IpNet>,
}

impl Destination {
    /// One of kind `http` that takes JSON by POST, one row a request, without limits, secrets or retries.
    pub fn plain(url: Templated) -> Destination {
        Destination {
            kind: DestinationKind::Http,
            url,
            url_field: "destination.url",
            routes: PerOperation::default(),
            format: BodyFormat::Json,
            batch: None,
            auth: None,
            secret: None,
            signing: Vec::new(),
            headers: BTreeMap::new(),
            rate: None,
            burst: None,
            concurrency: 1,
            retry: Retry { attempts: 1, base: Duration::ZERO, max: Duration::ZERO },
            dead_letter_after: DEAD_LETTER_AFTER,
            timeout: Duration::from_secs(30),
            ca_file: None,
            proxy: None,
            allow_addresses: Vec::new(),
        }
    }

    /// The signing secrets, each with the field that it stands in.
    pub fn signing_fields(&self) -> impl Iterator<Item = (String, &Templated)> {
        let name = move |index| match self.signing.len() {
            1 => "destination.signing".to_owned(),
            _ => format!("destination.signing[{index}]"),
        };
        self.signing.iter().enumerate().map(move |(index, secret)| (name(index), secret))
    }

    /// Everything that may have `${…}` in it, each with the field that it stands in.
    pub fn templated(&self) -> impl Iterator<Item = (String, &Templated)> {
        let auth = self.auth.as_ref();
        let named = [
            (self.url_field, Some(&self.url)),
            (auth.map_or("", |auth| auth.user_field), auth.map(|auth| &auth.user)),
            (Auth::PASSWORD, auth.and_then(|auth| auth.password.as_ref())),
            ("destination.secret", self.secret.as_ref()),
            ("destination.proxy", self.proxy.as_ref()),
        ];
        let named = named.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?)));
        let routes = self.routes.iter();
        let routes = routes.filter_map(|(name, route)| Some((Route::url_field(name).to_owned(), route.url.as_ref()?)));
        let headers = self.headers.iter().map(|(name, value)| (format!("destination.headers.{name}"), value));
        named.chain(routes).chain(self.signing_fields()).chain(headers)
    }
}

/// Something for each kind of difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerOperation<T> {
    /// Of orgs that the destination does not have.
    pub added: T,
    /// Of orgs whose compared columns differ.
    pub changed: T,
    /// Of orgs that are gone from the extract.
    pub removed: T,
}

impl<T> PerOperation<T> {
    /// That of `added`, `changed` or `removed`, as a row's operation is written.
    pub fn get(&self, operation: &str) -> &T {
        match operation {
            "added" => &self.added,
            "removed" => &self.removed,
            _ => &self.changed,
        }
    }

    /// All three by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &T)> {
        [("added", &self.added), ("changed", &self.changed), ("removed", &self.removed)].into_iter()
    }

    /// The same with something made of each.
    pub fn map<U>(&self, mut make: impl FnMut(&'static str, &T) -> U) -> PerOperation<U> {
        PerOperation {
            added: make("added", &self.added),
            changed: make("changed", &self.changed),
            removed: make("removed", &self.removed),
        }
    }

    /// Another thing for each, in the same order.
    ///
    /// # Errors
    /// The first that `make` has.
    pub fn try_map<U, E>(&self, mut make: impl FnMut(&'static str, &T) -> Result<U, E>) -> Result<PerOperation<U>, E> {
        Ok(PerOperation {
            added: make("added", &self.added)?,
            changed: make("changed", &self.changed)?,
            removed: make("removed", &self.removed)?,
        })
    }
}

/// How one kind of difference is sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// Its own address; `None`: [`Destination::url`].
    pub url: Option<Templated>,
}

impl Route {
    /// Where the own address of an operation stands in the job file.
    pub fn url_field(operation: &str) -> &'static str {
        match operation {
            "added" => "destination.added.url",
            "removed" => "destination.removed.url",
            _ => "destination.changed.url",
        }
    }
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// `POST`
    #[default]
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
    /// `GET`
    Get,
}

impl Method {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Get => "GET",
        }
    }

    /// Whether a request has a body unless the job says so for this operation alone.
    pub fn has_body(self) -> bool {
        matches!(self, Method::Post | Method::Put | Method::Patch)
    }
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// JSON; of several rows a list.
    Json,
    /// The members of the JSON object as a form's fields (`application/x-www-form-urlencoded`).
    Form,
    /// One line of JSON for each row.
    Ndjson,
}

/// How many rows one request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Rows at most, at least 1.
    pub rows: usize,
    /// Bytes of the whole body at most.
    pub bytes: usize,
}

/// HTTP's Basic scheme (RFC 7617).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// The user name: Segment's and RudderStack's write key.
    pub user: Templated,
    /// `None`: the empty password.
    pub password: Option<Templated>,
    /// Where the user name stands in the job file.
    pub user_field: &'static str,
}

impl Auth {
    /// Where the password stands in the job file.
    pub const PASSWORD: &str = "destination.auth.password";
}

/// Headers that a job may not set, in lower case: they frame the message, or they are ours and mean something to a
/// receiver. `X-Api-Secret` comes from `destination.secret`.
pub const RESERVED_HEADERS: [&str; 12] = [
    "connection",
    "content-length",
    "host",
    "idempotency-key",
    "nightmark-operation",
    "te",
    "transfer-encoding",
    "upgrade",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
    "x-api-secret",
];

/// `rate = "50/s"`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests, at least 1.
    pub quantity: u32,
    /// In this time.
    pub per: Duration,
}

/// `retry = { attempts = 5, base = "1s", max = "5m" }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, the first included; at least 1.
    pub attempts: u32,
    /// The longest wait before the second attempt; doubled for each further one.
    pub base: Duration,
    /// The longest wait.
    pub max: Duration,
}
