//! Who may call the admin API.
//!
//! With a token: whoever has it. Without: whoever is on this machine, which takes more than the socket to know. A page of the internet in a browser
//! here can send requests to 127.0.0.1, and by a name of its own that leads there (DNS rebinding) it can even read the
//! answers; so `Host` must be an address or name of this machine, and `Origin` the API's own. What a proxy on this machine passes on comes from
//! elsewhere.

use super::answer::ApiError;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Characters of a token at least.
pub const SHORTEST_TOKEN: usize = 16;

/// Headers by which a proxy says that a request was somebody else's.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// Who may call the admin API.
#[derive(Clone)]
pub struct Access {
    /// SHA-256 of the token; `None`: callers on this machine.
    token: Option<[u8; 32]>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.token.is_some() { "Access(token)" } else { "Access(this machine)" })
    }
}

/// Who calls, for whatever is done and put on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    name: &'static str,
}

impl Caller {
    /// As it stands on record.
    pub(super) fn decides(&self) -> String {
        format!("{} (admin API)", self.name)
    }
}

/// Why the API cannot be served like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Anybody could call it.
    #[error(
        "the admin address {0} can be reached from other machines, so the admin API needs a token: set `token` in [admin] to \
         `${{NAME}}` or `${{file:PATH}}`, or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// It could be guessed.
    #[error("admin.token: the token is shorter than {SHORTEST_TOKEN} characters; make one with `openssl rand -hex 32`")]
    Short,
}

impl Access {
    /// `address`: where the API is served.
    ///
    /// # Errors
    /// No token where other machines could call, or one that is too short.
    pub fn new(address: SocketAddr, token: Option<&SecretString>) -> Result<Access, AccessError> {
        match token.map(ExposeSecret::expose_secret) {
            None if !address.ip().to_canonical().is_loopback() => Err(AccessError::Open(address)),
            None => Ok(Access { token: None }),
            Some(token) if token.chars().count() < SHORTEST_TOKEN => Err(AccessError::Short),
            Some(token) => Ok(Access { token: Some(Sha256::digest(token).into()) }),
        }
    }

    fn allow(&self, uri: &Uri, headers: &HeaderMap) -> Result<Caller, ApiError> {
        match &self.token {
            Some(expected) => {
                let given = bearer(headers).map(Sha256::digest);
                match given.is_some_and(|given| <[u8; 32]>::from(given).ct_eq(expected).into()) {
                    true => Ok(Caller { name: "admin.token" }),
                    false => Err(ApiError::Unauthorized),
                }
            }
            None => from_here(uri, headers).map(|()| Caller { name: "somebody on this machine" }).map_err(|reason| {
                ApiError::Forbidden(format!("Without a token the API answers this machine alone: {reason}"))
            }),
        }
    }
}

/// The layer over everything under /api/v1.
pub(super) async fn check(
    State(access): State<Arc<Access>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let caller = access.allow(request.uri(), request.headers())?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Of several headers the one that counts is not known, so none does.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (all.next()?.as_bytes(), all.next()) else { return None };
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.trim_ascii())
}

fn from_here(uri: &Uri, headers: &HeaderMap) -> Result<(), &'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let host = host.filter(|host| hosts.next().is_none() && is_local(host)).ok_or("the `Host` is another")?;
    if !uri.authority().is_none_or(is_local) {
        return Err("the address is another");
    }
    let same_origin = |origin: &str| origin.strip_prefix("http://").is_some_and(|of| of == host.as_str());
    if !headers.get_all(header::ORIGIN).iter().all(|origin| origin.to_str().is_ok_and(same_origin)) {
        return Err("the `Origin` is another");
    }
    match FORWARDED.iter().any(|name| headers.contains_key(*name)) {
        true => Err("a proxy has passed this on"),
        false => Ok(()),
    }
}

fn is_local(authority: &Authority) -> bool {
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let address = bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    (address || host.eq_ignore_ascii_case("localhost")) && !authority.as_str().contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "made-up-token-0123456789";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (header::HeaderName::from_static(name), value.parse().expect("a value"))
        };
        let mut headers = HeaderMap::new();
        lines.iter().map(line).for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    fn check(access: &Access, uri: &str, lines: &[(&'static str, &str)]) -> Result<(), ApiError> {
        access.allow(&uri.parse().expect("a URI"), &headers(lines)).map(drop)
    }

    fn access(address: &str, token: Option<&str>) -> Result<Access, AccessError> {
        let token = token.map(SecretString::from);
        Access::new(address.parse().expect("an address"), token.as_ref())
    }

    #[test]
    fn an_address_that_others_reach_needs_a_token() {
        for address in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "192.168.0.9:80", "[fd00::1]:1"] {
            assert!(matches!(access(address, None), Err(AccessError::Open(_))), "{address}");
            assert!(access(address, Some(TOKEN)).is_ok(), "{address}");
        }
        for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(access(address, None).is_ok(), "{address}");
        }
        assert!(matches!(access("127.0.0.1:1", Some("123456789012345")), Err(AccessError::Short)));
        let shown = format!("{:?}", access("127.0.0.1:1", Some(TOKEN)));
        assert_eq!(shown, "Ok(Access(token))");
    }

    #[test]
    fn with_a_token_only_the_token_counts() {
        let access = access("0.0.0.0:1", Some(TOKEN)).expect("fine");
        let with =
            |value: &str| check(&access, "/api/v1/keys", &[("authorization", value), ("host", "nightmark.example")]);
        for value in [format!("Bearer {TOKEN}"), format!("bearer {TOKEN}"), format!("BEARER  {TOKEN} ")] {
            assert_eq!(with(&value), Ok(()), "{value}");
        }
        let (short, long) = (&TOKEN[1..], format!("{TOKEN}0"));
        for value in ["", "Bearer", "Bearer ", TOKEN, &format!("Basic {TOKEN}"), &format!("Bearer {short}"), &long] {
            assert_eq!(with(value), Err(ApiError::Unauthorized), "{value}");
        }
        assert_eq!(check(&access, "/", &[("host", "127.0.0.1:1")]), Err(ApiError::Unauthorized));
        let good = format!("Bearer {TOKEN}");
        let two = [("authorization", good.as_str()), ("authorization", good.as_str())];
        assert_eq!(check(&access, "/", &two), Err(ApiError::Unauthorized));
    }

    #[test]
    fn without_a_token_only_this_machine_is_answered() {
        let access = access("127.0.0.1:8081", None).expect("fine");
        let local = ["127.0.0.1:8081", "127.0.0.1", "localhost:8081", "LOCALHOST", "[::1]:8081", "127.1.2.3:9"];
        for host in local {
            assert_eq!(check(&access, "/api/v1/keys", &[("host", host)]), Ok(()), "{host}");
        }
        let same = [("host", "localhost:8081"), ("origin", "http://localhost:8081")];
        assert_eq!(check(&access, "/", &same), Ok(()));
        let host = ("host", "127.0.0.1:8081");
        let foreign: [(&str, &[(&'static str, &str)]); 14] = [
            ("/", &[]),
            ("/", &[("host", "evil.example")]),
            ("/", &[("host", "127.0.0.1.evil.example:8081")]),
            ("/", &[("host", "localhost.evil.example")]),
            ("/", &[("host", "x@127.0.0.1:8081")]),
            ("/", &[("host", "10.0.0.1:8081")]),
            ("/", &[host, ("host", "evil.example")]),
            ("http://evil.example/", &[host]),
            ("/", &[host, ("origin", "http://evil.example")]),
            ("/", &[host, ("origin", "http://localhost:3000")]),
            ("/", &[host, ("origin", "https://127.0.0.1:8081")]),
            ("/", &[host, ("origin", "null")]),
            ("/", &[host, ("x-forwarded-for", "1.2.3.4")]),
            ("/", &[host, ("via", "1.1 proxy")]),
        ];
        for (uri, lines) in foreign {
            assert!(matches!(check(&access, uri, lines), Err(ApiError::Forbidden(_))), "{uri} {lines:?}");
        }
    }
}
