//! Where requests go: what of an address may be shown, and whether it is one that may be connected to. Pure.

use super::DeliverError;
use super::blocked::Blocked;
use std::net::IpAddr;
use url::{Host, Url};

/// Where connections go, which is no secret; the path and the query are.
pub(super) struct Place {
    /// The host's name or address.
    pub(super) host: String,
    /// The same with the port.
    pub(super) authority: String,
    /// Host and port of the proxy, if one is used.
    pub(super) proxy: Option<String>,
}

impl Place {
    pub(super) fn of(url: &Url, proxy: Option<&Url>) -> Self {
        let host = url.host_str().unwrap_or_default().to_owned();
        Place { authority: authority(url), host, proxy: proxy.map(authority) }
    }

    /// Whom a connection is made to.
    pub(super) fn next(&self) -> String {
        self.proxy.as_ref().map_or_else(|| self.authority.clone(), |proxy| format!("the proxy {proxy}"))
    }
}

fn authority(url: &Url) -> String {
    let port = url.port_or_known_default().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}{port}", url.host_str().unwrap_or_default())
}

/// # Errors
/// Why `text` is not the address of a web server, without showing it.
pub(super) fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err("it begins with neither http:// nor https://".to_owned()),
    }
}

/// A host that is written as an IP address never meets the resolver, so it is judged here. In whatever way it was
/// spelled (decimal, octal, hexadecimal, in fewer than four parts), the parsed address is the one that is connected to.
pub(super) fn refuse_literal(field: &'static str, url: &Url, blocked: &Blocked) -> Result<(), DeliverError> {
    let address = match url.host() {
        Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
        Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    match blocked.reason(address) {
        Some(reason) => Err(DeliverError::Address { field, address, reason }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_judged_without_being_shown() {
        for (url, problem) in [
            ("ftp://planted/", "neither http:// nor https://"),
            ("planted", "relative URL without a base"),
            ("http://", "empty host"),
            ("https://planted:port/", "invalid port number"),
        ] {
            let error = parse_url(url).unwrap_err();
            assert!(error.contains(problem) && !error.contains("planted"), "{url}: {error}");
        }
        assert!(parse_url("https://example.org/hook/KEY?a=b").is_ok());
    }

    #[test]
    fn an_address_is_refused_in_every_spelling() {
        let check = |url: &str, allowed: &[&str]| {
            let nets: Vec<_> = allowed.iter().map(|net| net.parse().unwrap()).collect();
            refuse_literal("destination.url", &parse_url(url).unwrap(), &Blocked::but_for(&nets))
        };
        for host in [
            "169.254.169.254",
            "169.254.169.254.",
            "2852039166",
            "0xA9FEA9FE",
            "0xa9.0xfe.0xa9.0xfe",
            "0251.0376.0251.0376",
            "169.254.43518",
            "169.16689662",
            "169%2E254.169.254",
            "１６９.254.169.254",
            "169。254。169。254",
            "[fe80::1]",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:a9fe:a9fe::]",
            "0",
            "0.0.0.0",
            "[::]",
            "255.255.255.255",
            "224.0.0.1",
        ] {
            let error = check(&format!("http://u:planted@{host}:8080/planted"), &[]).unwrap_err().to_string();
            assert!(error.contains("destination.allow_addresses") && !error.contains("planted"), "{host}: {error}");
        }
        for host in
            ["127.0.0.1", "127.1", "[::1]", "10.0.0.1", "192.168.1.1", "169.254.169.254.example.org", "localhost"]
        {
            assert!(check(&format!("http://{host}/"), &[]).is_ok(), "{host}");
        }
        assert!(check("http://2852039166/", &["169.254.169.254/32"]).is_ok());
    }
}
