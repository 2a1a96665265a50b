//! What one attempt means: the only place that reads statuses and transport errors. Pure.
//!
//! In: an [`Attempt`]. Out: a [`Verdict`]. The rules are those of docs/ARCHITECTURE.md, "Delivery".
//! Always holds: "surely not applied" is said only where the protocol says so (a 4xx, or a request that never left);
//! whatever is in doubt may have been applied.

use super::remedy::{self, remedy};
use super::shares;
use super::words::{describe, object, rejection, taken_back};
use crate::job::spec::{Destination, DestinationKind, Method, Route};
use crate::receipt::Outcome;
use chrono::{DateTime, Datelike, NaiveDateTime, Utc, Weekday};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::time::Duration;

/// The longest `Retry-After` that is believed.
pub const RETRY_AFTER_CAP: Duration = Duration::from_secs(24 * 60 * 60);

/// What one request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The destination answered.
    Answered(Answer),
    /// No answer came.
    Failed(Fault),
}

impl Attempt {
    /// The HTTP status, if one came.
    pub fn status(&self) -> Option<u16> {
        match self {
            Attempt::Answered(answer) => Some(answer.status),
            Attempt::Failed(_) => None,
        }
    }
}

/// A status and what came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Every `Retry-After` as sent.
    pub retry_after: Vec<String>,
    /// The beginning of the body.
    pub body: Vec<u8>,
    /// The body was not read beyond our limit; there may be more of it.
    pub truncated: bool,
    /// Why the body could not be read to its end (or to our limit).
    pub broken: Option<Fault>,
    /// Its `Content-Type`, as far as it is text.
    pub content_type: Option<String>,
}

#[cfg(test)]
impl Answer {
    /// Whole, and with nothing but a body.
    pub(super) fn of(status: u16, body: &str) -> Self {
        let body = body.as_bytes().to_vec();
        Answer { status, retry_after: Vec::new(), body, truncated: false, broken: None, content_type: None }
    }
}

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// How far the request had got.
    pub kind: FaultKind,
    /// In words, for the report.
    pub text: String,
}

/// How far a failed request had got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It could not be built: it never leaves, however often it is tried.
    Invalid,
    /// No connection: refused, unreachable, no such host, connect time-out. Nothing was sent.
    Connect,
    /// The host name stands for an address that is never connected to. Nothing was sent.
    Address,
    /// The TLS handshake failed. Nothing was sent.
    Tls,
    /// The proxy wants other credentials. Nothing was sent.
    Proxy,
    /// The destination said that it did not look at the request (HTTP/2).
    Unprocessed,
    /// Time ran out after the connection stood.
    Timeout,
    /// The connection broke, or what came back is not HTTP.
    Broken,
}

/// What is to be done about a row after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Applied.
    Acknowledged,
    /// Surely not applied, and the same request would be refused again.
    Refused {
        /// What the destination said.
        detail: String,
    },
    /// It may have been applied, and a repeat now is pointless.
    Unknown {
        /// What the destination said.
        detail: String,
    },
    /// Worth another attempt.
    Retry {
        /// Whether this attempt may have been applied.
        maybe_applied: bool,
        /// The destination asked to wait at least so long.
        after: Option<Duration>,
        /// Whether that wait is for the whole destination and not for this row alone.
        pause: bool,
        /// What went wrong.
        detail: String,
    },
    /// Nothing can be delivered until someone mends the job or the destination.
    ConfigFault {
        /// Whether this attempt may have been applied all the same.
        maybe_applied: bool,
        /// What went wrong.
        reason: String,
        /// What to do about it.
        remedy: Cow<'static, str>,
    },
}

impl Verdict {
    /// The name that is counted under.
    pub fn as_str(&self) -> &'static str {
        match self {
            Verdict::Acknowledged => "acknowledged",
            Verdict::Refused { .. } => "refused",
            Verdict::Unknown { .. } => "unknown",
            Verdict::Retry { .. } => "retry",
            Verdict::ConfigFault { .. } => "config_fault",
        }
    }
}

/// The final outcome of a row whose last attempt came to `last`. What may have been applied once stays unknown until it
/// is acknowledged: a later refusal says nothing about the earlier attempt.
pub fn settle(maybe_applied_before: bool, last: Outcome) -> Outcome {
    match last {
        Outcome::Refused if maybe_applied_before => Outcome::Unknown,
        other => other,
    }
}

/// Who answers, and what it was asked: what a status means depends on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// What kind of system it is.
    pub kind: DestinationKind,
    /// How it was asked.
    pub method: Method,
    /// The field of the job file that the address comes from.
    pub address: &'static str,
    /// Whether a request may carry several rows.
    pub is_batched: bool,
    /// Whether a user name and password of the job go with it.
    pub has_auth: bool,
}

impl Peer {
    /// Who answers the requests of one operation.
    pub fn of(destination: &Destination, operation: &'static str, route: &Route) -> Peer {
        let kind = destination.kind;
        let address = match (kind, &route.url) {
            (_, Some(_)) => Route::url_field(operation),
            (DestinationKind::Trailspark, None) if destination.url_field == "destination.key" => {
                "destination.subdomain"
            }
            (DestinationKind::Trailspark, None) => "destination.base_url",
            (_, None) => destination.url_field,
        };
        let (is_batched, has_auth) = (destination.batch.is_some(), destination.auth.is_some());
        Peer { kind, method: route.method, address, is_batched, has_auth }
    }

    /// An address of kind `http` that takes a POST.
    pub fn plain() -> Peer {
        let kind = DestinationKind::Http;
        Peer { kind, method: Method::Post, address: "destination.url", is_batched: false, has_auth: false }
    }
}

/// What `attempt` means, at `now`, if it is `peer` that was asked.
pub fn judge(attempt: &Attempt, peer: &Peer, now: DateTime<Utc>) -> Verdict {
    match attempt {
        Attempt::Answered(answer) => judge_answer(answer, peer, now),
        Attempt::Failed(fault) => judge_fault(fault, peer),
    }
}

fn judge_fault(fault: &Fault, peer: &Peer) -> Verdict {
    let detail = fault.text.clone();
    match fault.kind {
        FaultKind::Invalid => Verdict::Refused { detail },
        FaultKind::Connect | FaultKind::Unprocessed => {
            Verdict::Retry { maybe_applied: false, after: None, pause: false, detail }
        }
        FaultKind::Tls => not_applied(detail, remedy::certificate(peer)),
        FaultKind::Address => not_applied(detail, remedy::forbidden_address(peer)),
        FaultKind::Proxy => not_applied(detail, Cow::Borrowed(remedy::PROXY)),
        FaultKind::Timeout | FaultKind::Broken => {
            Verdict::Retry { maybe_applied: true, after: None, pause: false, detail }
        }
    }
}

fn not_applied(reason: String, remedy: Cow<'static, str>) -> Verdict {
    Verdict::ConfigFault { maybe_applied: false, reason, remedy }
}

fn judge_answer(answer: &Answer, peer: &Peer, now: DateTime<Utc>) -> Verdict {
    let retry = |maybe_applied, pause| {
        // Whoever asks twice is believed the longer wait.
        let after = answer.retry_after.iter().filter_map(|value| retry_after(value, now)).max();
        Verdict::Retry { maybe_applied, after, pause: pause && after.is_some(), detail: describe(answer) }
    };
    match answer.status {
        200..=299 => judge_success(answer, peer),
        408 | 425 => retry(false, false),
        429 => retry(false, true),
        501 | 505 => Verdict::Unknown { detail: describe(answer) },
        503 => retry(true, true),
        status => match remedy(status, peer) {
            Some(remedy) => not_applied(config_fault(answer), remedy),
            None if (400..=499).contains(&status) => {
                Verdict::Refused { detail: remedy::explained(status, describe(answer), peer) }
            }
            // 5xx, and statuses that HTTP does not know.
            None => retry(true, false),
        },
    }
}

/// A 2xx is believed unless the body says otherwise, or is not what the kind of destination says with it. Of a body beyond our
/// limit only what stands before it is heard. One that broke off might have said anything.
fn judge_success(answer: &Answer, peer: &Peer) -> Verdict {
    if let Some(broken) = &answer.broken {
        let detail = format!("the answer broke off: {}", broken.text);
        return Verdict::Retry { maybe_applied: true, after: None, pause: false, detail };
    }
    let said = object(answer);
    let success = said.as_ref().and_then(|said| said.get("success"));
    match (success, said.as_ref()) {
        (Some(Value::Bool(false)), Some(said)) => Verdict::Refused { detail: taken_back(answer, said) },
        (_, said) if peer.kind.takes_events() => judge_events(answer, said, peer),
        (Some(Value::Bool(true)), _) => Verdict::Acknowledged,
        // Whoever answered may be somebody else, such as a proxy with a page of its own; or it has changed its words.
        _ if peer.kind == DestinationKind::Trailspark => Verdict::Unknown { detail: remedy::no_success(answer) },
        _ => Verdict::Acknowledged,
    }
}

/// Segment says `{"success": true}` and RudderStack `OK`, whatever the events; our receiver how many it could not store. A page is from
/// somebody who knows nothing of events, such as a login; whether it has passed them on is not known.
fn judge_events(answer: &Answer, said: Option<&Map<String, Value>>, peer: &Peer) -> Verdict {
    match said {
        Some(said) if shares::rejected(said) > 0 => {
            let detail = rejection(said, 0).unwrap_or_else(|| taken_back(answer, said));
            Verdict::Refused { detail }
        }
        None if is_page(answer) => {
            Verdict::ConfigFault { maybe_applied: true, reason: config_fault(answer), remedy: remedy::page(peer) }
        }
        _ => Verdict::Acknowledged,
    }
}

/// HTML. Some servers call an `OK` so as well.
fn is_page(answer: &Answer) -> bool {
    let text = answer.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&answer.body).trim_ascii();
    let essence = answer.content_type.as_deref().and_then(|value| value.split(';').next()).unwrap_or_default();
    let says_so = essence.trim().eq_ignore_ascii_case("text/html");
    text.starts_with(b"<") || says_so && text != b"OK"
}

fn config_fault(answer: &Answer) -> String {
    format!("the destination answered {}: {}", answer.status, describe(answer))
}

/// `Retry-After` as seconds or as any of the three HTTP dates, capped; `None` if it is neither (RFC 9110, 10.2.3).
pub fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // The only way for digits not to parse is to be too many.
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_CAP));
    }
    let until = match rfc_850(value, now) {
        Some(date) => date,
        None => DateTime::from(httpdate::parse_http_date(value).ok()?),
    };
    // An instant in the past means: now.
    Some((until - now).to_std().unwrap_or(Duration::ZERO).min(RETRY_AFTER_CAP))
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`. A year that would be more than 50 years ahead means the one a century before (RFC
/// 9110, 5.6.7), and the other way round. The day of the week, which would be another one then, is not looked at.
fn rfc_850(value: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let (day, rest) = value.split_once(", ")?;
    day.parse::<Weekday>().ok()?;
    let date = NaiveDateTime::parse_from_str(rest, "%d-%b-%y %H:%M:%S GMT").ok()?.and_utc();
    let near = |date: &DateTime<Utc>| (date.year() - now.year()).abs() <= 50;
    let century = now.year().div_euclid(100) * 100;
    let years = [100, 0, -100].map(|more| century + more + date.year().rem_euclid(100));
    years.into_iter().filter_map(|year| date.with_year(year)).find(near)
}

#[cfg(test)]
mod tests;
