//! What went wrong, in our words: the library's may quote addresses with what is secret in them.

use object_store::Error;
use std::error::Error as _;

/// The longest detail that is passed on.
const LONGEST: usize = 300;

/// Why something cannot be had or done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its kind.
    pub why: Why,
    /// What is wrong, without the object's name.
    pub message: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is not there.
    Missing,
    /// It is another than the one that was asked for, or is there already.
    Changed,
    /// Credentials.
    Denied,
    /// The connection or the server; it may go well another time.
    Passing,
    /// Anything else.
    Other,
}

pub(super) fn of(error: &Error, secrets: &[String]) -> Fault {
    const CREDENTIALS: &str = "check the credentials that nightmark is started with (AWS_*, GOOGLE_*, AZURE_*, or `options`) and that they \
                               may read and list here";
    let (why, message, hint) = match error {
        Error::NotFound { .. } => (Why::Missing, "is not there".to_owned(), None),
        Error::Precondition { .. } | Error::AlreadyExists { .. } | Error::NotModified { .. } => {
            (Why::Changed, "has changed".to_owned(), None)
        }
        Error::PermissionDenied { .. } => (Why::Denied, "access is denied (403)".to_owned(), Some(CREDENTIALS)),
        Error::Unauthenticated { .. } => {
            (Why::Denied, "the credentials are not accepted (401)".to_owned(), Some(CREDENTIALS))
        }
        Error::NotSupported { .. } => (Why::Other, "the server does not know this request".to_owned(), None),
        other => (kind(other), detail(other, secrets), None),
    };
    Fault { why, message, hint }
}

/// Whether a server has answered a request for a part with the whole.
pub(super) fn is_of_parts(error: &Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        // For most stores the library says it in words only.
        if error.to_string().contains("non-partial response") {
            return true;
        }
        next = error.source();
    }
    matches!(error, Error::NotSupported { .. })
}

/// Whether it may go well another time.
fn kind(error: &Error) -> Why {
    match error {
        Error::Generic { store, .. } if *store == "settings" => Why::Other,
        Error::Generic { .. } => Why::Passing,
        _ => Why::Other,
    }
}

/// The innermost words, which say most, without what is secret.
fn detail(error: &Error, secrets: &[String]) -> String {
    let mut words = Vec::new();
    let mut next: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(error) = next {
        words.push(error.to_string());
        next = error.source();
    }
    let outer = words.first().cloned().unwrap_or_else(|| error.to_string());
    let inner = words.last().filter(|inner| !outer.contains(inner.as_str()));
    let text = inner.map_or(outer.clone(), |inner| format!("{outer}: {inner}"));
    hushed(&text, secrets)
}

/// One line, without secrets, queries of addresses and what is too long.
fn hushed(text: &str, secrets: &[String]) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), "…");
    }
    let mut plain = String::new();
    for word in text.split(' ') {
        let cut = word.split_once('?').filter(|(before, _)| before.contains("://")).map(|(before, _)| before);
        plain.push_str(cut.unwrap_or(word));
        plain.push_str(if cut.is_some() { "?… " } else { " " });
    }
    let plain = plain.trim_end();
    match plain.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &plain[..end]),
        None => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_passed_on() {
        let source =
            "error sending request for url (https://h.example/orgs.csv?sig=planted-1&x=2): key planted-2 refused";
        let error = Error::Generic { store: "HTTP", source: source.into() };
        let fault = of(&error, &["planted-2".to_owned(), String::new()]);
        assert_eq!(fault.why, Why::Passing);
        assert_eq!(fault.message, "error sending request for url (https://h.example/orgs.csv?… key … refused");
    }

    #[test]
    fn details_are_one_line_and_short() {
        let error = Error::Generic { store: "S3", source: format!("a\n  b {}", "x".repeat(400)).into() };
        let fault = of(&error, &[]);
        assert!(fault.message.starts_with("a b xxx") && fault.message.chars().count() == LONGEST + 1, "{fault:?}");
    }
}
