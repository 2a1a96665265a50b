//! Keeps secrets out of what others say: a destination, a database's driver. Pure.
//!
//! Whoever is called with a secret may well echo it, and those words go into receipts, reports and logs. Only what came from
//! `${…}` is secret; the literal parts of the job file may be shown.

use super::percent;
use super::spec::{Part, Templated};
use super::spell::{Spelled, in_base64, percent_encoded, spelled};
use secrecy::{ExposeSecret, SecretString};

/// Shorter values than this cannot be told from ordinary text.
const MIN_SECRET: usize = 4;
/// A secret that is a whole address or header is also hidden in pieces of at least this length.
const MIN_PIECE: usize = 8;
/// Characters of a detail that are kept.
const MAX_DETAIL: usize = 500;
const HIDDEN: &str = "[redacted]";

/// Replaces secrets.
pub(crate) struct Redactor {
    /// Longest first, so that no part of a longer one is left over. Looked for in every spelling.
    texts: Vec<SecretString>,
    /// The same in base64.
    codes: Vec<SecretString>,
}

impl Redactor {
    /// `found`: the secrets. `codes`: what else is to be hidden, as it is. `open`: what may be shown, even if it is one of the pieces of a
    /// secret.
    pub(crate) fn new(found: &[String], mut codes: Vec<String>, open: &[String]) -> Self {
        let mut texts: Vec<String> = found.iter().flat_map(|secret| texts(secret)).collect();
        texts.retain(|text| !open.contains(text));
        for text in &texts {
            codes.extend(
                [text.clone(), percent::encoded(text), percent_encoded(text)].iter().flat_map(|t| in_base64(t)),
            );
        }
        codes.retain(|code| code.len() >= MIN_PIECE);
        Redactor { texts: longest_first(texts), codes: longest_first(codes) }
    }

    /// `text` on one line, without secrets, cut to what a receipt keeps.
    pub(crate) fn clean(&self, text: &str) -> String {
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
pub(crate) fn secret_parts(template: &Templated, resolved: &str) -> Vec<String> {
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
pub(crate) fn decoded(text: &str) -> String {
    let plain = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(plain.as_bytes()).map(|(decoded, _)| decoded.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::spec::Form;

    fn literal(text: &str) -> Part {
        Part::Literal(text.to_owned())
    }

    fn env() -> Part {
        Part::Env("X".to_owned())
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
            assert_eq!(
                secret_parts(&Templated { written: String::new(), parts: parts.clone(), form: Form::Text }, resolved),
                expected,
                "{parts:?}"
            );
        }
    }
}
