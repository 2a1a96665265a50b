//! Keeps secrets out of what a destination says about us. Pure.
//!
//! A destination may well echo the API key ("key … is not known"), and its words go into receipts, reports and logs. Only
//! what came from `${…}` is secret; the literal parts of the job file may be shown. So may the host and the port, even of
//! an address that is secret as a whole: whoever mends a connection needs them.

use super::Resolved;
use super::address::{Place, parse_url};
use super::spell::{Spelled, in_base64, percent_encoded, spelled};
use crate::job::percent;
use crate::job::spec::{Destination, Part, Templated};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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
    /// Longest first, so that no part of a longer one is left over. Looked for in every spelling.
    texts: Vec<SecretString>,
    /// The same in base64.
    codes: Vec<SecretString>,
}

impl Redactor {
    pub(super) fn new(destination: &Destination, resolved: &Resolved) -> Self {
        let mut found = secret_parts(&destination.url, resolved.url.expose_secret());
        for (name, route) in destination.routes.iter() {
            if let (Some(template), Some(url)) = (&route.url, resolved.routes.get(name)) {
                found.extend(secret_parts(template, url.expose_secret()));
            }
        }
        let mut codes = Vec::new();
        if let (Some(auth), Some((user, password))) = (&destination.auth, &resolved.auth) {
            let (user, password) = (user.expose_secret(), password.expose_secret());
            found.extend(secret_parts(&auth.user, user));
            found.extend(auth.password.iter().flat_map(|template| secret_parts(template, password)));
            codes.push(STANDARD.encode(format!("{user}:{password}")));
        }
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
        let mut texts: Vec<String> = found.iter().flat_map(|secret| texts(secret)).collect();
        let routes = resolved.routes.iter().filter_map(|(_, url)| url.as_ref());
        for address in std::iter::once(&resolved.url).chain(routes).chain(&resolved.proxy) {
            let Ok(url) = parse_url(address.expose_secret()) else { continue };
            codes.extend(user_info(&url, &found));
            let place = Place::of(&url, None);
            texts.retain(|text| *text != place.host && *text != place.authority);
        }
        for text in &texts {
            codes.extend(
                [text.clone(), percent::encoded(text), percent_encoded(text)].iter().flat_map(|t| in_base64(t)),
            );
        }
        codes.retain(|code| code.len() >= MIN_PIECE);
        Redactor { texts: longest_first(texts), codes: longest_first(codes) }
    }

    /// `text` on one line, without secrets, cut to what a receipt keeps.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        for secret in &self.texts {
            text = without(&text, secret.expose_secret());
        }
        for code in &self.codes {
            text = text.replace(code.expose_secret(), HIDDEN);
        }
        self.cut_begun_code(&mut text);
        match text.char_indices().nth(MAX_DETAIL) {
            Some((at, _)) => text[..at].trim().to_owned(),
            None => text.trim().to_owned(),
        }
    }

    /// An answer is read up to a limit, which may fall into the middle of a secret.
    fn cut_begun_code(&self, text: &mut String) {
        for code in &self.codes {
            let code = code.expose_secret();
            if let Some(length) = (MIN_PIECE..code.len()).rev().find(|n| text.ends_with(&code[..*n])) {
                text.truncate(text.len() - length);
                text.push_str(HIDDEN);
            }
        }
    }
}

/// `text` without `secret` in any spelling, and without a good part of it at the end.
fn without(text: &str, secret: &str) -> String {
    let first = secret.as_bytes().first().copied().unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // A secret begins with its first sign, or with one that escapes it.
    while let Some(at) = rest.bytes().position(|b| b == first || matches!(b, b'%' | b'\\' | b'&' | b'+')) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match spelled(rest, secret) {
            Spelled::Whole(length) => {
                out.push_str(HIDDEN);
                rest = &rest[length..];
            }
            Spelled::Begun(signs) if signs >= MIN_PIECE => {
                out.push_str(HIDDEN);
                return out;
            }
            Spelled::Begun(_) | Spelled::Not => {
                let sign = rest.chars().next().map_or(0, char::len_utf8);
                out.push_str(&rest[..sign]);
                rest = &rest[sign..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn longest_first(mut needles: Vec<String>) -> Vec<SecretString> {
    needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    needles.dedup();
    needles.into_iter().map(SecretString::from).collect()
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

/// User name and password travel as the base64 form of both (RFC 7617), in which short ones cannot be found alone.
fn user_info(url: &Url, secrets: &[String]) -> Option<String> {
    let both = format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
    secrets.iter().any(|secret| both.contains(&decoded(secret))).then(|| STANDARD.encode(both))
}

/// The secret itself, as it was before it was encoded for an address (and who echoes it has usually decoded it), and
/// pieces of it that tell enough.
fn texts(secret: &str) -> Vec<String> {
    let mut all = Vec::new();
    for whole in [secret.trim().to_owned(), decoded(secret.trim())] {
        let pieces = whole.split(['/', '?', '&', '=', ' ', ':', '@']).filter(|piece| piece.len() >= MIN_PIECE);
        for text in std::iter::once(whole.as_str()).chain(pieces) {
            all.push(text.to_owned());
            all.push(decoded(text));
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
    use crate::job::spec::Form;
    use base64::engine::general_purpose::URL_SAFE;
    use std::collections::BTreeMap;

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
            secret: Some(templated(&[env()])),
            headers: BTreeMap::from([("authorization".to_owned(), templated(&[literal("Bearer "), env()]))]),
            signing: vec![templated(&[env()])],
            proxy: Some(templated(&[literal("http://me:"), env(), literal("@proxy:3128")])),
            ..Destination::plain(templated(parts))
        };
        let resolved = Resolved {
            secret: Some("s3cr\"t".into()),
            signing: vec!["whsec_planted/signature+key".into()],
            proxy: Some("http://me:p%2Fssword@proxy:3128".into()),
            headers: vec![("authorization".to_owned(), "Bearer planted-token".into())],
            ..Resolved::of(url)
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
            ("cut in the planted%20key%2", "cut in the [redacted]"),
            ("cut in base64: cGxhbnRlZCB", "cut in base64: [redacted]"),
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
