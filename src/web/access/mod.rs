//! Who may use the operator's address, and what is put on record of it.
//!
//! In: a request. Out: the same with its [`Caller`], or a refusal. A caller is known by a token: `admin.token`, which is an admin's, or one of the store's
//! (`nightmark tokens`), whose role says what it allows. Where there never was a token, whoever is on this machine is an admin (`here`).
//! Always holds: from another machine nothing is answered without a token, and none in the clear but to a proxy that was declared; of tokens there are hashes
//! alone; what changes something stands in the audit log before it is done (`record`), and is not done if it cannot stand there; a browser that another
//! site has made send something is refused, whatever credentials it adds.
//! Deliberately absent: cookies and sessions: a page's browser has the token as the password of HTTP's own dialogue.

mod credentials;
mod here;
pub(super) mod record;

use super::answer::ApiError;
use crate::clock::Clock;
use crate::server::Link;
use crate::store::{AdminStore, Role, StoreError};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use credentials::{Scheme, shown};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use subtle::ConstantTimeEq;

pub(super) use record::Noted;

/// Characters of a token at least.
pub const SHORTEST_TOKEN: usize = 16;

/// Who may use the operator's address.
#[derive(Clone)]
pub struct Access {
    /// SHA-256 of `admin.token`.
    token: Option<[u8; 32]>,
    /// Only this machine can connect.
    is_local: bool,
    /// Who may speak for others, in the clear.
    proxies: Vec<IpNet>,
    stored: Option<Stored>,
}

/// The tokens of the store, and its audit log.
#[derive(Clone)]
struct Stored {
    store: Arc<dyn AdminStore>,
    clock: Arc<dyn Clock>,
    /// There was a token once: from then on one is needed, also if it is revoked.
    in_use: Arc<AtomicBool>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.token.is_some() { "Access(token)" } else { "Access(this machine, or tokens)" })
    }
}

/// Who calls, for whatever is done and put on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub(super) name: String,
    pub(super) role: Role,
}

impl Caller {
    /// As it stands on a run's record.
    pub(super) fn decides(&self) -> String {
        format!("{} (admin API)", self.name)
    }
}

/// Why the operator's address cannot be served like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Anybody could call it.
    #[error(
        "the admin address {0} can be reached from other machines, so the admin API needs a token: make one with `nightmark tokens create`, or set `token` in \
         [admin] to `${{NAME}}` or `${{file:PATH}}`; or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// A token could be read on its way.
    #[error(
        "the admin address {0} can be reached from other machines, so it needs TLS: set `certificate` and `key` in [admin.tls], or name the proxies that have it \
         in `trusted_proxies` of [admin]; or listen on 127.0.0.1"
    )]
    Clear(SocketAddr),
    /// It could be guessed.
    #[error("admin.token: the token is shorter than {SHORTEST_TOKEN} characters; make one with `openssl rand -hex 32`")]
    Short,
}

impl Access {
    /// `address`: where it is served; `token`: `admin.token`.
    ///
    /// # Errors
    /// A token that is too short.
    pub fn new(address: SocketAddr, token: Option<&SecretString>) -> Result<Access, AccessError> {
        let is_local = address.ip().to_canonical().is_loopback();
        let token = match token.map(ExposeSecret::expose_secret) {
            Some(token) if token.chars().count() < SHORTEST_TOKEN => return Err(AccessError::Short),
            token => token.map(|token| Sha256::digest(token).into()),
        };
        Ok(Access { token, is_local, proxies: Vec::new(), stored: None })
    }

    /// Whether it may be served there. `has_tokens`: the store has some that are valid; `is_tls`: it is served by TLS; `proxies`: who may speak for others in
    /// the clear.
    ///
    /// # Errors
    /// Another machine could call without a token, or in the clear.
    pub fn at(
        self,
        address: SocketAddr,
        has_tokens: bool,
        is_tls: bool,
        proxies: &[IpNet],
    ) -> Result<Access, AccessError> {
        match self.is_local {
            false if self.token.is_none() && !has_tokens => Err(AccessError::Open(address)),
            false if !is_tls && proxies.is_empty() => Err(AccessError::Clear(address)),
            _ => Ok(Access { proxies: proxies.to_vec(), ..self }),
        }
    }

    /// With the tokens of this store, and its audit log.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub async fn with_store(self, store: Arc<dyn AdminStore>, clock: Arc<dyn Clock>) -> Result<Access, StoreError> {
        let in_use = Arc::new(AtomicBool::new(!store.tokens().await?.is_empty()));
        Ok(Access { stored: Some(Stored { store, clock, in_use }), ..self })
    }

    /// Who calls.
    async fn caller(&self, request: &Asked<'_>) -> Result<Caller, ApiError> {
        self.link(request)?;
        let changes = !request.method.is_safe();
        if changes && here::is_cross_site(request.headers) {
            return Err(ApiError::Forbidden("Another site has made the browser send this".to_owned()));
        }
        let shown = shown(request.headers);
        if self.is_open().await {
            return here::from_here(request.uri, request.headers, request.link.is_some_and(|link| link.is_tls))
                .map(|()| Caller { name: "somebody on this machine".to_owned(), role: Role::Admin })
                .map_err(|reason| {
                    ApiError::Forbidden(format!("Without a token the API answers this machine alone: {reason}"))
                });
        }
        let (scheme, secret) = shown.ok_or(ApiError::Unauthorized)?;
        let caller = self.known(&Sha256::digest(secret).into()).await?.ok_or(ApiError::Unauthorized)?;
        if changes && scheme == Scheme::Basic && !here::is_same_origin(request.headers) {
            let why = "A password is sent by browsers by themselves; what changes something needs `Authorization: Bearer TOKEN`, or comes from a page of this address";
            return Err(ApiError::Forbidden(why.to_owned()));
        }
        Ok(caller)
    }

    fn link(&self, request: &Asked<'_>) -> Result<(), ApiError> {
        if self.is_local {
            return Ok(());
        }
        let is_fit = request.link.is_some_and(|link| {
            link.is_tls || link.peer.is_loopback() || self.proxies.iter().any(|proxy| proxy.contains(&link.peer))
        });
        let why = "A token in the clear could be read on its way: use TLS ([admin.tls]), or a proxy that `trusted_proxies` of [admin] names";
        if is_fit { Ok(()) } else { Err(ApiError::Forbidden(why.to_owned())) }
    }

    /// Whether no token is needed here.
    async fn is_open(&self) -> bool {
        let Some(stored) = &self.stored else { return self.is_local && self.token.is_none() };
        if !self.is_local || self.token.is_some() || stored.in_use.load(Ordering::Relaxed) {
            return false;
        }
        // A store that cannot be read has not got its first token just now.
        let has_come = stored.store.tokens().await.is_ok_and(|tokens| !tokens.is_empty());
        stored.in_use.fetch_or(has_come, Ordering::Relaxed);
        !has_come
    }

    async fn known(&self, hash: &[u8; 32]) -> Result<Option<Caller>, ApiError> {
        if self.token.is_some_and(|token| token.ct_eq(hash).into()) {
            return Ok(Some(Caller { name: "admin.token".to_owned(), role: Role::Admin }));
        }
        let Some(stored) = &self.stored else { return Ok(None) };
        let now = stored.clock.now();
        // By a hash of 256 random bits: how long the look-up takes tells nothing of them.
        let found = stored.store.token_by_hash(hash).await?.filter(|token| token.is_valid(now));
        Ok(found.map(|token| Caller { name: token.name, role: token.role }))
    }
}

/// What is looked at of a request.
struct Asked<'a> {
    method: &'a Method,
    uri: &'a axum::http::Uri,
    headers: &'a HeaderMap,
    link: Option<Link>,
}

/// What a route's caller has to be: to look, to act, or to give others access.
fn needed(method: &Method, route: &str) -> Role {
    match method.is_safe() {
        true if route.ends_with("/audit") => Role::Admin,
        true => Role::Viewer,
        false if route.starts_with("/api/v1/keys") => Role::Admin,
        false => Role::Operator,
    }
}

/// The layer over everything that is not for everybody.
pub(super) async fn check(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    match admit(&access, request).await {
        Ok((caller, request)) => record::run(&access, caller, "admin API", request, next).await,
        Err(error) => error.into_response(),
    }
}

/// The request with its caller, who may do this.
pub(super) async fn admit(access: &Access, mut request: Request) -> Result<(Caller, Request), ApiError> {
    let link = request.extensions().get::<Link>().copied();
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let caller = access.caller(&Asked { method, uri, headers, link }).await?;
    let needed = needed(request.method(), &record::route(&request));
    if caller.role < needed {
        let (role, name) = (caller.role.as_str(), &caller.name);
        return Err(ApiError::Forbidden(format!(
            "This needs the role {}; the token `{name}` has {role}",
            needed.as_str()
        )));
    }
    request.extensions_mut().insert(caller.clone());
    Ok((caller, request))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header;
    use futures_util::FutureExt as _;

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
        asked(access, &Method::GET, uri, lines, true).map(drop)
    }

    fn asked(
        access: &Access,
        method: &Method,
        uri: &str,
        lines: &[(&'static str, &str)],
        is_tls: bool,
    ) -> Result<Caller, ApiError> {
        let (uri, headers) = (uri.parse().expect("a URI"), headers(lines));
        let link = Some(Link { peer: "10.0.0.9".parse().expect("an address"), is_tls: is_tls && !access.is_local });
        access.caller(&Asked { method, uri: &uri, headers: &headers, link }).now_or_never().expect("no store is asked")
    }

    fn access(address: &str, token: Option<&str>) -> Result<Access, AccessError> {
        let token = token.map(SecretString::from);
        let address = address.parse().expect("an address");
        Access::new(address, token.as_ref())?.at(address, false, true, &[])
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
    fn an_address_that_others_reach_needs_tls_or_a_declared_proxy() {
        let proxy: IpNet = "10.0.0.0/24".parse().expect("a network");
        let at = |address: &str, is_tls, proxies: &[IpNet]| {
            let address = address.parse().expect("an address");
            Access::new(address, Some(&TOKEN.into())).and_then(|access| access.at(address, false, is_tls, proxies))
        };
        assert!(matches!(at("0.0.0.0:1", false, &[]), Err(AccessError::Clear(_))));
        assert!(at("127.0.0.1:1", false, &[]).is_ok());
        let behind = at("0.0.0.0:1", false, &[proxy]).expect("fine");
        let elsewhere = at("0.0.0.0:1", false, &["10.1.0.0/24".parse().expect("a network")]).expect("fine");
        let tls = at("0.0.0.0:1", true, &[]).expect("fine");
        let good = format!("Bearer {TOKEN}");
        let call = |access, is_tls| asked(access, &Method::GET, "/", &[("authorization", &good)], is_tls).is_ok();
        assert_eq!((call(&behind, false), call(&elsewhere, false), call(&elsewhere, true)), (true, false, true));
        assert_eq!((call(&tls, true), call(&tls, false)), (true, false));
    }

    #[test]
    fn a_password_alone_changes_nothing() {
        use base64::Engine as _;
        let access = access("0.0.0.0:1", Some(TOKEN)).expect("fine");
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("me:{TOKEN}")));
        let bearer = format!("Bearer {TOKEN}");
        let call = |method: &Method, authorization: &str, more: &[(&'static str, &str)]| {
            let lines = [&[("authorization", authorization), ("host", "ops.example")], more].concat();
            asked(&access, method, "/", &lines, true).map(|caller| caller.role)
        };
        assert_eq!(call(&Method::GET, &basic, &[]), Ok(Role::Admin));
        assert_eq!(call(&Method::POST, &basic, &[("sec-fetch-site", "same-origin")]), Ok(Role::Admin));
        assert_eq!(call(&Method::POST, &basic, &[("origin", "https://ops.example")]), Ok(Role::Admin));
        assert_eq!(call(&Method::POST, &bearer, &[]), Ok(Role::Admin));
        for more in [&[][..], &[("origin", "https://evil.example")], &[("sec-fetch-site", "cross-site")]] {
            assert!(matches!(call(&Method::POST, &basic, more), Err(ApiError::Forbidden(_))), "{more:?}");
        }
        let cross = call(&Method::POST, &bearer, &[("sec-fetch-site", "cross-site")]);
        assert!(matches!(cross, Err(ApiError::Forbidden(_))));
    }

    #[test]
    fn roles_say_what_is_allowed() {
        let (get, post) = (Method::GET, Method::POST);
        for (method, route, role) in [
            (&get, "/api/v1/jobs", Role::Viewer),
            (&get, "/metrics", Role::Viewer),
            (&get, "/api/v1/keys", Role::Viewer),
            (&get, "/api/v1/audit", Role::Admin),
            (&post, "/api/v1/jobs/{job}/run", Role::Operator),
            (&post, "/jobs/{job}/approve", Role::Operator),
            (&post, "/api/v1/keys", Role::Admin),
            (&post, "/api/v1/keys/{id}/revoke", Role::Admin),
            // Nowhere: refused to whoever may only look, like anything that is not looking.
            (&post, "", Role::Operator),
        ] {
            assert_eq!(needed(method, route), role, "{method} {route}");
        }
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
