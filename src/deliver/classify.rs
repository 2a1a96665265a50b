//! What a failure of the HTTP library means, in fixed words and those of the operating system and of rustls. Pure.
//!
//! Always holds: nothing is "not sent" unless no byte of the request can have reached the destination. A connection that
//! was kept alive and that the destination closed just then may have carried the request: nobody can know, so it counts
//! as broken.

use super::address::Place;
use super::resolve::Forbidden;
use super::verdict::{Fault, FaultKind};
use std::error::Error;

pub(super) fn classify(error: &reqwest::Error, place: &Place) -> Fault {
    if error.is_builder() {
        return fault(FaultKind::Invalid, "the request cannot be built");
    }
    if error.is_connect() {
        return not_connected(error, place);
    }
    if let Some(h2) = causes(error).find_map(|cause| cause.downcast_ref::<h2::Error>()) {
        return http2(h2);
    }
    if error.is_timeout() {
        return fault(FaultKind::Timeout, "no full answer within the time-out");
    }
    match causes(error).find_map(|cause| cause.downcast_ref::<std::io::Error>()) {
        Some(io) => fault(FaultKind::Broken, format!("the connection broke: {}", io.kind())),
        None => fault(FaultKind::Broken, "the connection broke, or the answer is not HTTP"),
    }
}

fn fault(kind: FaultKind, text: impl Into<String>) -> Fault {
    Fault { kind, text: text.into() }
}

/// No connection, so nothing was sent.
fn not_connected(error: &reqwest::Error, place: &Place) -> Fault {
    if let Some(forbidden) = causes(error).find_map(|cause| cause.downcast_ref::<Forbidden>()) {
        return fault(FaultKind::Address, forbidden.to_string());
    }
    if let Some(tls) = causes(error).find_map(tls_error) {
        return fault(FaultKind::Tls, format!("TLS: {tls}"));
    }
    if let Some(tunnel) = tunnel(error, place) {
        return tunnel;
    }
    let to = place.next();
    let io = causes(error).find_map(|cause| cause.downcast_ref::<std::io::Error>());
    let text = match io {
        _ if error.is_dns() && place.proxy.is_some() => format!("the host name of {to} cannot be resolved"),
        _ if error.is_dns() => format!("the host name {} cannot be resolved", place.host),
        _ if error.is_timeout() => format!("no connection to {to} within the time-out"),
        Some(io) => format!("no connection to {to} ({})", io.kind()),
        None => format!("no connection to {to}"),
    };
    fault(FaultKind::Connect, text)
}

/// The proxy was reached and did not go on to the destination. The library's type for it is not public; its words are.
fn tunnel(error: &reqwest::Error, place: &Place) -> Option<Fault> {
    let proxy = place.proxy.as_ref()?;
    let said =
        causes(error).map(ToString::to_string).find_map(|s| s.strip_prefix("tunnel error: ").map(str::to_owned))?;
    match said.as_str() {
        "failed to create underlying connection" => None,
        "proxy authorization required" => {
            Some(fault(FaultKind::Proxy, format!("the proxy {proxy} wants a user name and a password, or others")))
        }
        _ => Some(fault(FaultKind::Connect, format!("the proxy {proxy} makes no connection to {}", place.authority))),
    }
}

/// HTTP/2 says of some requests that they were surely not processed (RFC 9113, 8.7): a stream that was refused, and one
/// beyond the last that a GOAWAY names. The library reports the latter so for no other stream.
fn http2(error: &h2::Error) -> Fault {
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    if error.is_remote() && (refused || error.is_go_away()) {
        return fault(FaultKind::Unprocessed, "the destination did not take the request (HTTP/2)");
    }
    match (error.reason(), error.get_io()) {
        (Some(reason), _) => fault(FaultKind::Broken, format!("the connection broke: HTTP/2 {reason:?}")),
        (None, Some(io)) => fault(FaultKind::Broken, format!("the connection broke: {}", io.kind())),
        (None, None) => fault(FaultKind::Broken, "the connection broke (HTTP/2)"),
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

pub(super) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}
