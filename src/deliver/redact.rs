//! What is secret of a destination. Pure.
//!
//! A destination may well echo the API key ("key … is not known"). [`Redactor`] hides what came from `${…}`, but not the host and the port, even
//! of an address that is secret as a whole: whoever mends a connection needs them.

use super::Resolved;
use super::address::{Place, parse_url};
use crate::job::redact::{Redactor, decoded, secret_parts};
use crate::job::spec::Destination;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use url::Url;

/// Replaces the secrets of one destination.
pub(super) fn redactor(destination: &Destination, resolved: &Resolved) -> Redactor {
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
    let mut open = Vec::new();
    let routes = resolved.routes.iter().filter_map(|(_, url)| url.as_ref());
    for address in std::iter::once(&resolved.url).chain(routes).chain(&resolved.proxy) {
        let Ok(url) = parse_url(address.expose_secret()) else { continue };
        codes.extend(user_info(&url, &found));
        let place = Place::of(&url, None);
        open.extend([place.host, place.authority]);
    }
    Redactor::new(&found, codes, &open)
}

/// User name and password travel as the base64 form of both (RFC 7617), in which short ones cannot be found alone.
fn user_info(url: &Url, secrets: &[String]) -> Option<String> {
    let both = format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
    secrets.iter().any(|secret| both.contains(&decoded(secret))).then(|| STANDARD.encode(both))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::spec::{Form, Part, Templated};
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

    fn redactor_of(parts: &[Part], url: &str) -> Redactor {
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
        redactor(&destination, &resolved)
    }

    #[test]
    fn secrets_are_hidden_in_every_spelling() {
        let redactor =
            redactor_of(&[literal("https://acme.example/hook/"), env()], "https://acme.example/hook/planted key+1");
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
            redactor_of(&[literal("https://acme.example/hook/"), env()], "https://acme.example/hook/planted-key?>~");
        for before in ["", "a", "ab", "abc"] {
            for alphabet in [STANDARD, URL_SAFE] {
                let text = alphabet.encode(format!("{before}planted-key?>~ and more"));
                let cleaned = redactor.clean(&text);
                assert!(
                    cleaned.contains("[redacted]") && !cleaned.contains(&text[8..20]),
                    "{before}: {text} {cleaned}"
                );
            }
        }
    }

    #[test]
    fn an_address_that_is_secret_as_a_whole_is_hidden_in_pieces_but_for_its_host() {
        let redactor = redactor_of(&[env()], "https://hooks.example:8443/in/planted-piece-of-it");
        let cleaned = redactor.clean("planted-piece-of-it at hooks.example:8443: no");
        assert_eq!(cleaned, "[redacted] at hooks.example:8443: no");
    }

    #[test]
    fn a_secret_that_was_encoded_for_the_address_is_hidden_as_it_was_before() {
        let redactor = redactor_of(&[literal("https://a/"), env()], "https://a/plant%2Fed%3Fk%22y%20%251");
        for text in [r#"plant/ed?k"y %1"#, r#"plant/ed?k\"y %1"#, "plant%2Fed%3Fk%22y%20%251"] {
            assert_eq!(redactor.clean(&format!("<{text}>")), "<[redacted]>", "{text}");
        }
    }

    #[test]
    fn details_are_cut_at_a_character() {
        let redactor = redactor_of(&[literal("https://a/")], "https://a/");
        assert_eq!(redactor.clean(&"ä".repeat(700)), "ä".repeat(500));
        // A secret across the cut is replaced before anything is cut.
        let long = format!("{}planted-token", "x".repeat(495));
        assert_eq!(redactor.clean(&long), format!("{}[reda", "x".repeat(495)));
    }
}
