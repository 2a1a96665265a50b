//! Addresses: of the destination, of a receiver's origin, of a proxy. In none of them a secret is written out.

use super::HOW;
use crate::job::problem::Fault;
use crate::job::spec::{Part, Templated};
use url::Url;

/// Stands for a reference while an address is checked. It survives URL parsing as it is, in any part of a URL.
const REFERENCE: &str = "nightmark-reference";

/// An address in which nothing secret is written out.
pub(super) fn address(written: &str) -> Result<Templated, Fault> {
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
    let password = || templated.has_password().then_some("a password");
    match literal_secret(&url, &templated).or_else(password) {
        Some(what) => Err(Fault::new(format!("{what} must not stand in a job file")).hint(HOW)),
        None => Ok(templated),
    }
}

/// Where an API is, to whose address `path` is added: without a query. A `/` at the end makes no difference.
pub(super) fn base(written: &str, path: &str) -> Result<Templated, Fault> {
    let checked = address(written)?;
    if checked.is_template() {
        let fault = Fault::new("the address of an API is the same for every row");
        return Err(fault.hint("only `url` of kind = \"http\" may have {{row.column}} in it"));
    }
    let literals = checked.parts.iter().filter_map(|part| match part {
        Part::Literal(text) => Some(text.as_str()),
        _ => None,
    });
    if literals.into_iter().any(|text| text.contains(['?', '#'])) {
        return Err(Fault::new("the address of an API ends with its host, port or path").hint("take the query out"));
    }
    Templated::parse_address(&format!("{}{path}", written.trim_end_matches('/')))
}

/// Where a proxy is: an address without a path, in which no password is written out.
pub(super) fn proxy(written: &str) -> Result<Templated, Fault> {
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
    let password = templated.has_password() || url.password().is_some_and(is_literal);
    if token || password || has_api_key(&templated) {
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
pub(super) fn has_api_key(templated: &Templated) -> bool {
    let is_key =
        |rest: &str| rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')).count() >= 12;
    let written = |text: &String| text.match_indices("sk_").any(|(at, mark)| is_key(&text[at + mark.len()..]));
    templated.parts.iter().any(|part| matches!(part, Part::Literal(text) if written(text)))
}
