//! Whether a request comes from this machine, and not from a page of another site.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use std::net::IpAddr;

/// Headers by which a proxy says that a request was somebody else's.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// A page of the internet in a browser here can send requests to 127.0.0.1, and by a name of its own that leads there (DNS rebinding) it can even read
/// the answers; so `Host` must be an address or name of this machine, and `Origin` the API's own. What a proxy on this machine passes on comes from elsewhere.
pub(super) fn from_here(uri: &Uri, headers: &HeaderMap, is_tls: bool) -> Result<(), &'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let host = host.filter(|host| hosts.next().is_none() && is_local(host)).ok_or("the `Host` is another")?;
    if !uri.authority().is_none_or(is_local) {
        return Err("the address is another");
    }
    let own = format!("{}://{host}", if is_tls { "https" } else { "http" });
    if !headers.get_all(header::ORIGIN).iter().all(|origin| origin.as_bytes() == own.as_bytes()) {
        return Err("the `Origin` is another");
    }
    match FORWARDED.iter().any(|name| headers.contains_key(*name)) {
        true => Err("a proxy has passed this on"),
        false => Ok(()),
    }
}

/// Whether a request that changes something was sent by a page of this very address, as far as a browser says so. What browsers send by themselves, such
/// as credentials of HTTP's own kind, proves nothing of who made them send it.
pub(super) fn is_same_origin(headers: &HeaderMap) -> bool {
    let one = |name: &str| {
        let mut all = headers.get_all(name).iter();
        all.next().filter(|_| all.next().is_none()).map(|value| value.as_bytes())
    };
    let host = one("host").and_then(|host| std::str::from_utf8(host).ok());
    match (one("sec-fetch-site"), one("origin"), host) {
        (Some(site), ..) if site != b"same-origin" => false,
        (_, Some(origin), Some(host)) => is_of(origin, host),
        (site, ..) => site.is_some() && !headers.contains_key("origin"),
    }
}

/// Whether a request that changes something is another site's, as a browser says it.
pub(super) fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get_all("sec-fetch-site").iter().any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
}

fn is_of(origin: &[u8], host: &str) -> bool {
    let bare = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    bare.is_some_and(|of| of == host.as_bytes())
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

    #[track_caller]
    fn check(lines: &[(&'static str, &'static str)], same: bool, cross: bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a value"));
        }
        assert_eq!((is_same_origin(&headers), is_cross_site(&headers)), (same, cross), "{lines:?}");
    }

    #[test]
    fn what_another_site_makes_a_browser_send_is_told_apart() {
        let host = ("host", "ops.example:8081");
        check(&[host], false, false);
        check(&[host, ("origin", "https://ops.example:8081")], true, false);
        check(&[host, ("origin", "http://ops.example:8081")], true, false);
        check(&[host, ("origin", "https://ops.example")], false, false);
        check(&[host, ("origin", "https://evil.example")], false, false);
        check(&[host, ("origin", "null")], false, false);
        check(&[host, ("origin", "https://ops.example:8081"), ("origin", "https://evil.example")], false, false);
        check(&[host, ("sec-fetch-site", "same-origin")], true, false);
        check(&[host, ("sec-fetch-site", "same-origin"), ("origin", "https://ops.example:8081")], true, false);
        check(&[host, ("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], false, false);
        check(&[host, ("sec-fetch-site", "none"), ("origin", "https://ops.example:8081")], false, false);
        for site in ["same-site", "cross-site", "SAME-ORIGIN", ""] {
            check(&[host, ("sec-fetch-site", site), ("origin", "https://ops.example:8081")], false, true);
        }
        check(&[("origin", "https://")], false, false);
    }
}
