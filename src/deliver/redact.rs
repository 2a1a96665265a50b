//! Keeps secrets out of what a destination says about us. Pure.
//!
//! A destination may well echo the API key ("key … is not known"), and its words go into receipts, reports and logs. Only
//! what came from `${…}` is secret; the literal parts of the job file may be shown. So may the host and the port, even of
//! an address that is secret as a whole: whoever mends a connection needs them.

use super::Resolved;
use super::address::{Place, parse_url};
use crate::job::percent;
use crate::job::spec::{Destination, Part, Templated};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// Shorter values than this cannot be told from ordinary text.
const MIN_SECRET: usize = 4;
/// A secret that is a whole address or header is also hidden in pieces of at least this length.
const MIN_PIECE: usize = 8;
/// Characters of a detail that are kept.
const MAX_DETAIL: usize = 500;
const HIDDEN: &str = "[redacted]";

/// Replaces the secrets of one destination.
pub(super) struct Redactor {
    /// Longest first, so that no part of a longer one is left over.
    needles: Vec<SecretString>,
}

impl Redactor {
    pub(super) fn new(destination: &Destination, resolved: &Resolved) -> Self {
        let mut found = secret_parts(&destination.url, resolved.url.expose_secret());
        if let (Some(template), Some(secret)) = (&destination.secret, &resolved.secret) {
            found.extend(secret_parts(template, secret.expose_secret()));
        }
        for (template, secret) in destination.signing.iter().zip(&resolved.signing) {
            let secret = secret.expose_secret();
            found.extend(secret_parts(template, secret));
            found.push(secret.trim().trim_start_matches("whsec_").to_owned());
        }
        if let (Some(template), Some(proxy)) = (&destination.proxy, &resolved.proxy) {
            found.extend(secret_parts(template, proxy.expose_secret()));
        }
        for (name, value) in &resolved.headers {
            let value = value.expose_secret();
            match destination.headers.get(name) {
                Some(template) => found.extend(secret_parts(template, value)),
                None => found.push(value.to_owned()),
            }
        }
        let mut needles: Vec<String> = found.iter().flat_map(|secret| spellings(secret)).collect();
        for address in std::iter::once(&resolved.url).chain(&resolved.proxy) {
            let Ok(url) = parse_url(address.expose_secret()) else { continue };
            found_in_user_info(&url, &found, &mut needles);
            let place = Place::of(&url, None);
            needles.retain(|needle| *needle != place.host && *needle != place.authority);
        }
        needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        needles.dedup();
        Redactor { needles: needles.into_iter().map(SecretString::from).collect() }
    }

    /// `text` on one line, without secrets, cut to what a receipt keeps.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        for needle in &self.needles {
            let needle = needle.expose_secret();
            if text.contains(needle) {
                text = text.replace(needle, HIDDEN);
            }
        }
        self.cut_begun_secret(&mut text);
        match text.char_indices().nth(MAX_DETAIL) {
            Some((at, _)) => text[..at].trim().to_owned(),
            None => text.trim().to_owned(),
        }
    }

    /// An answer is read up to a limit, which may fall into the middle of a secret.
    fn cut_begun_secret(&self, text: &mut String) {
        for needle in &self.needles {
            let needle = needle.expose_secret();
            let begun = (MIN_PIECE..needle.len()).rev().filter(|n| needle.is_char_boundary(*n));
            let mut begun = begun.filter(|n| text.ends_with(&needle[..*n]));
            if let Some(length) = begun.next() {
                text.truncate(text.len() - length);
                text.push_str(HIDDEN);
            }
        }
    }
}

/// What of `resolved` came from `${…}`. If the two do not fit together, all of it.
fn secret_parts(template: &Templated, resolved: &str) -> Vec<String> {
    split_by_literals(&template.parts, resolved).unwrap_or_else(|| vec![resolved.to_owned()])
}

fn split_by_literals(parts: &[Part], resolved: &str) -> Option<Vec<String>> {
    let (mut rest, mut open, mut found) = (resolved, false, Vec::new());
    for (i, part) in parts.iter().enumerate() {
        let Part::Literal(text) = part else {
            open = true;
            continue;
        };
        let at = if i + 1 == parts.len() {
            rest.strip_suffix(text.as_str())?.len()
        } else if open {
            rest.find(text.as_str())?
        } else {
            rest.starts_with(text.as_str()).then_some(0)?
        };
        if !open && at > 0 {
            return None;
        }
        found.push(rest[..at].to_owned());
        rest = &rest[at + text.len()..];
        open = false;
    }
    found.push(rest.to_owned());
    found.retain(|secret| !secret.is_empty());
    Some(found)
}

/// User name and password travel as the base64 form of both (RFC 7617), in which neither can be found alone.
fn found_in_user_info(url: &Url, secrets: &[String], needles: &mut Vec<String>) {
    let both = format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
    let is_secret = |secret: &String| both.contains(&decoded(secret));
    if both.len() > MIN_SECRET && secrets.iter().any(is_secret) {
        needles.push(STANDARD.encode(&both));
    }
}

/// How a secret may come back: as it is, percent-encoded or decoded, as the inside of a JSON string or an HTML page, in
/// base64, in pieces.
fn spellings(secret: &str) -> Vec<String> {
    let mut all = Vec::new();
    // In an address it is percent-encoded (`job::secrets`), and who echoes it has usually decoded it.
    for whole in [secret.trim().to_owned(), decoded(secret.trim())] {
        let pieces = whole.split(['/', '?', '&', '=', ' ', ':', '@']).filter(|piece| piece.len() >= MIN_PIECE);
        for text in std::iter::once(whole.as_str()).chain(pieces) {
            all.push(text.to_owned());
            all.push(decoded(text));
            let encoded = percent::encoded(text);
            all.push(lower_hex(&encoded));
            if let Ok(mut address) = url::Url::parse("http://host/") {
                address.set_path(text);
                all.push(address.path().trim_start_matches('/').to_owned());
            }
            let json = serde_json::Value::from(text).to_string();
            let json = json[1..json.len() - 1].to_owned();
            // Some libraries escape the slash too.
            all.push(json.replace('/', "\\/"));
            all.push(json);
            all.push(html(text));
            all.extend(in_base64(text));
            all.extend(in_base64(&encoded));
            all.push(encoded);
        }
    }
    all.retain(|text| text.len() >= MIN_SECRET);
    all
}

/// A percent-encoded text with its hexadecimal digits in lower case, as some libraries write them.
fn lower_hex(encoded: &str) -> String {
    let mut digits = 0;
    let lower = |c: char| {
        digits = if c == '%' { 3 } else { u8::saturating_sub(digits, 1) };
        if digits > 0 { c.to_ascii_lowercase() } else { c }
    };
    encoded.chars().map(lower).collect()
}

/// As the text of an HTML page.
fn html(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// What of the base64 form of a longer text shows that `text` stands in it, at any of the three offsets; in both
/// alphabets.
fn in_base64(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for offset in 0..3 {
        let bytes = [&vec![0; offset], text.as_bytes()].concat();
        // Characters that hold bits of what stands before or behind are not known.
        let (first, end) = ((offset * 8).div_ceil(6), bytes.len() * 8 / 6);
        for alphabet in [STANDARD, URL_SAFE] {
            all.push(alphabet.encode(&bytes)[first..end.max(first)].to_owned());
        }
    }
    all.retain(|piece| piece.len() >= MIN_PIECE);
    all
}

/// Without percent-encoding. A form's parser does it once the signs that mean something to it are encoded themselves.
fn decoded(text: &str) -> String {
    let plain = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(plain.as_bytes()).map(|(decoded, _)| decoded.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::spec::{Form, Retry};
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn templated(parts: &[Part]) -> Templated {
        Templated { written: String::new(), parts: parts.to_vec(), form: Form::Text }
    }

    fn literal(text: &str) -> Part {
        Part::Literal(text.to_owned())
    }

    fn env() -> Part {
        Part::Env("X".to_owned())
    }

    fn redactor(parts: &[Part], url: &str) -> Redactor {
        let destination = Destination {
            dead_letter_after: 5,
            url: templated(parts),
            secret: Some(templated(&[env()])),
            headers: BTreeMap::from([("authorization".to_owned(), templated(&[literal("Bearer "), env()]))]),
            rate: None,
            burst: None,
            concurrency: 1,
            retry: Retry { attempts: 1, base: Duration::ZERO, max: Duration::ZERO },
            timeout: Duration::from_secs(1),
            signing: vec![templated(&[env()])],
            ca_file: None,
            proxy: Some(templated(&[literal("http://me:"), env(), literal("@proxy:3128")])),
            allow_addresses: Vec::new(),
        };
        let resolved = Resolved {
            url: url.into(),
            secret: Some("s3cr\"t".into()),
            signing: vec!["whsec_planted/signature+key".into()],
            proxy: Some("http://me:p%2Fssword@proxy:3128".into()),
            headers: vec![("authorization".to_owned(), "Bearer planted-token".into())],
        };
        Redactor::new(&destination, &resolved)
    }

    #[test]
    fn only_what_came_from_outside_is_secret() {
        for (parts, resolved, expected) in [
            (vec![literal("https://a/"), env()], "https://a/KEY", vec!["KEY"]),
            (vec![literal("https://a/"), env(), literal("/b")], "https://a/KEY/b", vec!["KEY"]),
            (vec![env(), literal("/"), env()], "HOST/KEY", vec!["HOST", "KEY"]),
            (vec![env(), literal("/b")], "a/b/b", vec!["a/b"]),
            (vec![literal("plain")], "plain", vec![]),
            (vec![literal("a"), literal("b")], "ab", vec![]),
            (vec![literal("other"), env()], "https://a/KEY", vec!["https://a/KEY"]),
            (vec![literal("plain")], "more than plain", vec!["more than plain"]),
        ] {
            assert_eq!(secret_parts(&templated(&parts), resolved), expected, "{parts:?}");
        }
    }

    #[test]
    fn secrets_are_hidden_in_every_spelling() {
        let redactor =
            redactor(&[literal("https://acme.example/hook/"), env()], "https://acme.example/hook/planted key+1");
        for (text, expected) in [
            ("key planted key+1 is unknown", "key [redacted] is unknown"),
            ("path /hook/planted%20key+1", "path /hook/[redacted]"),
            ("Bearer planted-token", "Bearer [redacted]"),
            (r#"{"secret":"s3cr\"t"}"#, r#"{"secret":"[redacted]"}"#),
            ("cut in the planted ke", "cut in the [redacted]"),
            ("path /hook/planted%20key%2b1", "path /hook/[redacted]"),
            ("signed with whsec_planted/signature+key", "signed with [redacted]"),
            ("signed with planted/signature+key", "signed with [redacted]"),
            ("via http://me:p%2Fssword@proxy:3128", "via http://me:[redacted]@proxy:3128"),
            ("password p/ssword", "password [redacted]"),
            ("Basic bWU6cC9zc3dvcmQ=", "Basic [redacted]"),
            (r#"{"via":"p\/ssword"}"#, r#"{"via":"[redacted]"}"#),
            ("<p>s3cr&quot;t</p>", "<p>[redacted]</p>"),
            ("nothing\r\nto\u{1b}[31m hide", "nothing  to [31m hide"),
        ] {
            assert_eq!(redactor.clean(text), expected, "{text}");
        }
    }

    #[test]
    fn a_secret_is_found_in_base64_wherever_it_begins() {
        let redactor =
            redactor(&[literal("https://acme.example/hook/"), env()], "https://acme.example/hook/planted-key?>~");
        for before in ["", "a", "ab", "abc"] {
            for alphabet in [STANDARD, URL_SAFE] {
                let text = alphabet.encode(format!("{before}planted-key?>~ and more"));
                let cleaned = redactor.clean(&text);
                assert!(cleaned.contains(HIDDEN) && !cleaned.contains(&text[8..20]), "{before}: {text} {cleaned}");
            }
        }
    }

    #[test]
    fn an_address_that_is_secret_as_a_whole_is_hidden_in_pieces_but_for_its_host() {
        let redactor = redactor(&[env()], "https://hooks.example:8443/in/planted-piece-of-it");
        let cleaned = redactor.clean("planted-piece-of-it at hooks.example:8443: no");
        assert_eq!(cleaned, "[redacted] at hooks.example:8443: no");
    }

    #[test]
    fn a_secret_that_was_encoded_for_the_address_is_hidden_as_it_was_before() {
        let redactor = redactor(&[literal("https://a/"), env()], "https://a/plant%2Fed%3Fk%22y%20%251");
        for text in [r#"plant/ed?k"y %1"#, r#"plant/ed?k\"y %1"#, "plant%2Fed%3Fk%22y%20%251"] {
            assert_eq!(redactor.clean(&format!("<{text}>")), "<[redacted]>", "{text}");
        }
    }

    #[test]
    fn details_are_cut_at_a_character() {
        let redactor = redactor(&[literal("https://a/")], "https://a/");
        assert_eq!(redactor.clean(&"ä".repeat(700)), "ä".repeat(500));
        // A secret across the cut is replaced before anything is cut.
        let long = format!("{}planted-token", "x".repeat(495));
        assert_eq!(redactor.clean(&long), format!("{}[reda", "x".repeat(495)));
    }
}
