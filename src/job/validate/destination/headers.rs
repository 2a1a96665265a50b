//! Further headers.

use super::HOW;
use super::address::has_api_key;
use crate::job::document::{Document, join};
use crate::job::problem::Fault;
use crate::job::spec::{RESERVED_HEADERS, Templated};
use std::collections::BTreeMap;

pub(super) fn headers(doc: &mut Document<'_>, raw: &BTreeMap<String, String>) -> BTreeMap<String, Templated> {
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
