//! `[destination]`. What is refused here never stands in a message: it may be a secret.

use crate::job::document::{Document, join};
use crate::job::problem::Fault;
use crate::job::raw::{RawDestination, RawHttp, RawRetry, RawSigning};
use crate::job::spec::{Destination, Part, RESERVED_HEADERS, Retry, Templated};
use crate::job::units;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use url::Url;

/// Stands for a reference while an address is checked. It survives URL parsing as it is, in any part of a URL.
const REFERENCE: &str = "nightmark-reference";
const HOW: &str = "put it into an environment variable and write ${NAME}, or into a file and write ${file:PATH}";

/// `home`: the folder that relative paths are relative to.
pub(super) fn check(doc: &mut Document<'_>, raw: RawDestination, home: &Path) -> Option<Destination> {
    match raw {
        RawDestination::Http(raw) => http(doc, raw, home),
    }
}

fn http(doc: &mut Document<'_>, raw: RawHttp, home: &Path) -> Option<Destination> {
    let url = raw.url.map(|url| doc.accept("destination.url", address(&url)));
    let secret = match raw.secret {
        Some(written) => doc.accept("destination.secret", secret(&written)).map(Some),
        None => Some(None),
    };
    let signing = signing(doc, raw.signing);
    let headers = headers(doc, &raw.headers);
    let proxy = match &raw.proxy {
        Some(written) => doc.accept("destination.proxy", proxy(written)).map(Some),
        None => Some(None),
    };
    let allow_addresses = networks(doc, &raw.allow_addresses);
    let rate = match &raw.rate {
        Some(text) => doc.accept("destination.rate", units::rate(text)).map(Some),
        None => Some(None),
    };
    if raw.burst.is_some() && raw.rate.is_none() {
        let fault = Fault::new("`burst` says how a rate is kept, and there is none");
        doc.report("destination.burst", fault.hint("add `rate`, such as `50/s`, or remove `burst`"));
    }
    let retry = retry(doc, &raw.retry);
    let timeout = doc.accept("destination.timeout", units::duration(&raw.timeout));
    Some(Destination {
        url: url??,
        secret: secret?,
        signing,
        headers,
        rate: rate?,
        burst: raw.burst,
        concurrency: raw.concurrency as usize,
        retry: retry?,
        dead_letter_after: raw.dead_letter_after,
        timeout: timeout?,
        ca_file: raw.ca_file.map(|path| home.join(path)),
        proxy: proxy?,
        allow_addresses,
    })
}

fn retry(doc: &mut Document<'_>, raw: &RawRetry) -> Option<Retry> {
    let base = doc.accept("destination.retry.base", units::duration(&raw.base));
    let max = doc.accept("destination.retry.max", units::duration(&raw.max));
    let retry = Retry { attempts: raw.attempts, base: base?, max: max? };
    if retry.base > retry.max {
        doc.report("destination.retry", Fault::new(format!("`base` ({}) is above `max` ({})", raw.base, raw.max)));
    }
    Some(retry)
}

fn secret(written: &str) -> Result<Templated, Fault> {
    let templated = Templated::parse(written)?;
    if !templated.is_reference_only() {
        return Err(Fault::new("a secret must not stand in a job file").hint(HOW));
    }
    Ok(templated)
}

fn signing(doc: &mut Document<'_>, raw: Option<RawSigning>) -> Vec<Templated> {
    let path = "destination.signing";
    match raw {
        None => Vec::new(),
        Some(RawSigning::One(written)) => doc.accept(path, secret(&written)).into_iter().collect(),
        Some(RawSigning::Many(all)) => {
            let each = all.iter().enumerate();
            each.filter_map(|(i, written)| doc.accept(&format!("{path}[{i}]"), secret(written))).collect()
        }
    }
}

fn networks(doc: &mut Document<'_>, raw: &[String]) -> Vec<IpNet> {
    let each = raw.iter().enumerate();
    each.filter_map(|(i, written)| doc.accept(&format!("destination.allow_addresses[{i}]"), network(written))).collect()
}

/// `169.254.10.0/24`, or a single address.
fn network(written: &str) -> Result<IpNet, Fault> {
    let net = match written.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => written.parse::<IpNet>().map_err(|_| {
            Fault::new(format!("`{written}` is not a network"))
                .hint("such as `169.254.10.0/24`, `fe80::/64` or one address")
        })?,
    };
    if net != net.trunc() {
        let fault = Fault::new(format!("`{written}` is an address within a network"));
        return Err(fault.hint(format!(
            "write `{}` for the network, or `{}` for the address",
            net.trunc(),
            net.addr()
        )));
    }
    Ok(net)
}

fn headers(doc: &mut Document<'_>, raw: &BTreeMap<String, String>) -> BTreeMap<String, Templated> {
    let mut headers: BTreeMap<String, Templated> = BTreeMap::new();
    for (name, value) in raw {
        let path = join("destination.headers", name);
        if let Some(twin) = headers.keys().find(|other| other.eq_ignore_ascii_case(name)) {
            let fault = Fault::new(format!("is the same header as `{twin}`: case makes no difference"));
            doc.report(&path, fault);
        }
        if let Some(templated) = doc.accept(&path, header(name, value)) {
            headers.insert(name.clone(), templated);
        }
    }
    headers
}

fn header(name: &str, value: &str) -> Result<Templated, Fault> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(Fault::new("is not the name of a header").hint("letters, digits and `-`"));
    }
    let lower = name.to_ascii_lowercase();
    if lower == "x-api-secret" {
        return Err(Fault::new("this header has its own key").hint("use `secret` of [destination]"));
    }
    if RESERVED_HEADERS.contains(&lower.as_str()) {
        return Err(Fault::new("this header is written by Nightmark itself").hint("remove it"));
    }
    let templated = Templated::parse(value)?;
    if is_secret_header(&lower) && !templated.has_reference() {
        return Err(Fault::new("a secret must not stand in a job file").hint(HOW));
    }
    if has_api_key(&templated) {
        return Err(Fault::new("an API key must not stand in a job file").hint(HOW));
    }
    if value.chars().any(|c| c.is_control() || !c.is_ascii()) {
        return Err(Fault::new("a header's value is ASCII text without line breaks"));
    }
    Ok(templated)
}

fn is_secret_header(lower: &str) -> bool {
    let words = ["authorization", "token", "secret", "key", "password"];
    lower == "cookie"
        || (lower.starts_with("x-api-") && lower != "x-api-version")
        || words.iter().any(|word| lower.contains(word))
}

/// An address in which nothing secret is written out.
fn address(written: &str) -> Result<Templated, Fault> {
    let templated = Templated::parse_address(written)?;
    let url = Url::parse(&substituted(&templated)).map_err(|error| {
        Fault::new(format!("is not an address: {error}")).hint("such as `https://HOST/PATH/${API_KEY}`")
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Fault::new(format!("`{}` is not a scheme that webhooks go by", url.scheme())).hint("http or https"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(Fault::new("the address has no host"));
    }
    match literal_secret(&url, &templated) {
        Some(what) => Err(Fault::new(format!("{what} must not stand in a job file")).hint(HOW)),
        None => Ok(templated),
    }
}

/// Where a proxy is: an address without a path, in which no password is written out.
fn proxy(written: &str) -> Result<Templated, Fault> {
    const FORM: &str = "such as `http://proxy.example:3128` or `http://${USER}:${PASSWORD}@proxy.example:3128`";
    let templated = Templated::parse_address(written)?;
    let url = Url::parse(&substituted(&templated))
        .map_err(|error| Fault::new(format!("is not an address: {error}")).hint(FORM))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Fault::new(format!("a proxy of scheme `{}` is not known", url.scheme())).hint("http or https"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(Fault::new("the address has no host").hint(FORM));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(Fault::new("a proxy's address ends with its port").hint(FORM));
    }
    let is_literal = |text: &str| !text.is_empty() && !text.contains(REFERENCE);
    // A user name without a password is a token.
    let token = url.password().is_none() && is_literal(url.username());
    if token || url.password().is_some_and(is_literal) || has_api_key(&templated) {
        return Err(Fault::new("a password must not stand in a job file").hint(HOW));
    }
    Ok(templated)
}

/// The address with something harmless in place of each reference. What is checked is the form, so a reference may be
/// the whole origin (`${BASE_URL}/path`) or a port.
fn substituted(templated: &Templated) -> String {
    let mut address = String::new();
    for (i, part) in templated.parts.iter().enumerate() {
        let next = match templated.parts.get(i + 1) {
            Some(Part::Literal(text)) => text.as_str(),
            Some(_) => REFERENCE,
            None => "",
        };
        match part {
            Part::Literal(text) => address.push_str(text),
            _ if i == 0 && !next.starts_with(':') => address.push_str("https://nightmark-reference"),
            _ if i == 0 => address.push_str("https"),
            _ if is_port(&address, next) => address.push_str("8080"),
            _ => address.push_str(REFERENCE),
        }
    }
    address
}

fn is_port(before: &str, next: &str) -> bool {
    let authority = before.split_once("://").map_or("", |(_, rest)| rest);
    let ends_well = next.is_empty() || next.starts_with(['/', '?', '#']);
    authority.ends_with(':') && !authority.contains(['/', '?', '#']) && ends_well
}

fn literal_secret(url: &Url, templated: &Templated) -> Option<&'static str> {
    let is_literal = |text: &str| !text.is_empty() && !text.contains(REFERENCE);
    // Segment's Basic auth has the write key as the user name.
    if url.password().is_some_and(is_literal) || is_literal(url.username()) {
        return Some("a user name or password");
    }
    if has_api_key(templated) {
        return Some("an API key");
    }
    let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    if segments.windows(2).any(|pair| pair[0] == "webhook" && is_literal(pair[1])) {
        return Some("an API key (the part after /webhook/)");
    }
    let is_secret_name = |name: &str| {
        let name = name.to_ascii_lowercase().replace(['-', '_'], "");
        matches!(name.as_str(), "key" | "apikey" | "token" | "accesstoken" | "secret" | "password" | "apisecret")
    };
    url.query_pairs().any(|(name, value)| is_secret_name(&name) && is_literal(&value)).then_some("a key in the query")
}

/// Whether `sk_` and at least 12 more characters of a key are written out.
fn has_api_key(templated: &Templated) -> bool {
    let is_key =
        |rest: &str| rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')).count() >= 12;
    let written = |text: &String| text.match_indices("sk_").any(|(at, mark)| is_key(&text[at + mark.len()..]));
    templated.parts.iter().any(|part| matches!(part, Part::Literal(text) if written(text)))
}
