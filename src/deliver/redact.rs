//! Keeps secrets out of what a destination says about us. Pure.
//!
//! A destination may well echo the API key ("key … is not known"), and its words go into receipts, reports and logs. Only
//! what came from `${…}` is secret; the literal parts of the job file may be shown. So may the host and the port, even of
//! an address that is secret as a whole: whoever mends a connection needs them.

use super::Resolved;
use super::address::{Place, parse_url};
use crate::job::percent;
use crate::job::spec::{Destination, Part, Templated};
use secrecy::{ExposeSecret, SecretString};

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
        for (name, value) in &resolved.headers {
            let value = value.expose_secret();
            match destination.headers.get(name) {
                Some(template) => found.extend(secret_parts(template, value)),
                None => found.push(value.to_owned()),
            }
        }
        let mut needles: Vec<String> = found.iter().flat_map(|secret| spellings(secret)).collect();
        if let Ok(url) = parse_url(resolved.url.expose_secret()) {
            let place = Place::of(&url);
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

/// How a secret may come back: as it is, percent-encoded or decoded, as the inside of a JSON string, in pieces.
fn spellings(secret: &str) -> Vec<String> {
    let mut all = Vec::new();
    // In an address it is percent-encoded (`job::secrets`), and who echoes it has usually decoded it.
    for whole in [secret.trim().to_owned(), decoded(secret.trim())] {
        let pieces = whole.split(['/', '?', '&', '=', ' ', ':', '@']).filter(|piece| piece.len() >= MIN_PIECE);
        for text in std::iter::once(whole.as_str()).chain(pieces) {
            all.push(text.to_owned());
            all.push(decoded(text));
            all.push(percent::encoded(text));
            if let Ok(mut address) = url::Url::parse("http://host/") {
                address.set_path(text);
                all.push(address.path().trim_start_matches('/').to_owned());
            }
            let json = serde_json::Value::from(text).to_string();
            all.push(json.trim_matches('"').to_owned());
        }
    }
    all.retain(|text| text.len() >= MIN_SECRET);
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
        };
        let resolved = Resolved {
            url: url.into(),
            secret: Some("s3cr\"t".into()),
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
            ("nothing\r\nto\u{1b}[31m hide", "nothing  to [31m hide"),
        ] {
            assert_eq!(redactor.clean(text), expected, "{text}");
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
