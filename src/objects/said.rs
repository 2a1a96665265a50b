//! What the library's errors say, taken apart: their own text has addresses, times and whole answers in it.

use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error;
use std::fmt;
use std::io;

/// The longest detail that is passed on.
const LONGEST: usize = 300;
/// Where machines ask for the credentials of their role.
const ROLES: [&str; 4] = ["169.254.169.254", "169.254.170.2", "169.254.170.23", "metadata.google.internal"];

/// What an error says.
pub(super) enum Said {
    /// None are set, and the machine has no role that gives some.
    NoCredentials,
    /// The server has answered.
    Answer(Answer),
    /// There was no answer.
    Unreached(Unreached),
    /// Anything else, in the library's innermost words.
    Words(String),
}

/// An answer that is no success.
pub(super) struct Answer {
    pub(super) status: u16,
    reason: String,
    /// The store's own code, such as `NoSuchBucket`; or empty.
    pub(super) code: String,
    detail: String,
}

/// Why there was no answer, with the host.
pub(super) enum Unreached {
    Refused {
        host: String,
    },
    Unknown {
        host: String,
    },
    Certificate {
        host: String,
        said: String,
    },
    NoTls {
        host: String,
    },
    Silent {
        host: String,
    },
    Closed {
        host: String,
    },
    /// The proxy has made no way there.
    Proxy {
        said: String,
    },
    Other {
        host: String,
        said: String,
    },
}

impl Said {
    pub(super) fn of(error: &(dyn Error + 'static), secrets: &[String]) -> Said {
        let chain = chain(error);
        let texts: Vec<String> = chain.iter().map(ToString::to_string).collect();
        let host = texts.iter().find_map(|text| host(text)).unwrap_or_else(|| "the server".to_owned());
        if ROLES.iter().any(|role| host == *role) {
            return Said::NoCredentials;
        }
        if let Some(answer) = texts.iter().rev().find_map(|text| Answer::of(text, secrets)) {
            return Said::Answer(answer);
        }
        match chain.iter().find_map(|error| error.downcast_ref::<HttpError>()) {
            Some(error) => Said::Unreached(Unreached::of(error, host, secrets)),
            None => Said::Words(innermost(&texts, secrets)),
        }
    }
}

impl Answer {
    /// From the words that `object_store` has for an answer.
    fn of(text: &str, secrets: &[String]) -> Option<Answer> {
        if text.contains("Received redirect without LOCATION") {
            let reason = "Moved Permanently".to_owned();
            return Some(Answer { status: 301, reason, code: String::new(), detail: String::new() });
        }
        let (status, body) = match text.split_once("Server returned non-2xx status code: ") {
            Some((_, answer)) => answer.split_once(':').unwrap_or((answer, "")),
            // S3 has errors in answers that began as a success.
            None => ("200 OK", text.split_once("Server returned error response: ")?.1),
        };
        let (status, reason) = status.split_once(' ').unwrap_or((status, ""));
        let (code, detail) = body_of(body);
        Some(Answer {
            status: status.parse().ok()?,
            reason: reason.to_owned(),
            code: hushed(code, secrets),
            detail: hushed(detail.trim(), secrets),
        })
    }

    /// `403 AccessDenied`
    pub(super) fn short(&self) -> String {
        format!("{} {}", self.status, self.code).trim_end().to_owned()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", format!("{} {}", self.status, self.reason).trim_end())?;
        match (self.code.as_str(), self.detail.as_str()) {
            ("", "") => Ok(()),
            ("", detail) => write!(f, " ({detail})"),
            (code, "") => write!(f, " ({code})"),
            (code, detail) => write!(f, " ({code}: {detail})"),
        }
    }
}

/// Code and message of an answer's body: of XML, as S3 and Azure have it, or of JSON, as Google has it. A page says nothing.
fn body_of(body: &str) -> (&str, &str) {
    fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
        text.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map_or("", |(inside, _)| inside)
    }
    if body.contains("<Error>") {
        return (between(body, "<Code>", "</Code>"), between(body, "<Message>", "</Message>"));
    }
    match body.trim_start().chars().next() {
        Some('{' | '[') => ("", body.split_once("\"message\"").map_or("", |(_, rest)| between(rest, "\"", "\""))),
        Some('<') | None => ("", ""),
        Some(_) => ("", body),
    }
}

impl Unreached {
    fn of(error: &HttpError, host: String, secrets: &[String]) -> Unreached {
        let chain = chain(error);
        let said = chain.iter().map(ToString::to_string).collect::<Vec<_>>().join(": ");
        let kinds = chain.iter().filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind);
        let kinds: Vec<io::ErrorKind> = kinds.collect();
        let last = || hushed(&chain.last().map(ToString::to_string).unwrap_or_default(), secrets);
        match () {
            () if kinds.contains(&io::ErrorKind::ConnectionRefused) => Unreached::Refused { host },
            () if said.contains("tunnel error") => Unreached::Proxy { said: last() },
            () if said.contains("lookup address") || said.contains("dns error") => Unreached::Unknown { host },
            () if said.contains("certificate") => Unreached::Certificate { host, said: last() },
            () if said.contains("InvalidContentType") => Unreached::NoTls { host },
            () if error.kind() == HttpErrorKind::Timeout => Unreached::Silent { host },
            () if error.kind() == HttpErrorKind::Request || kinds.contains(&io::ErrorKind::ConnectionReset) => {
                Unreached::Closed { host }
            }
            () => Unreached::Other { host, said: last() },
        }
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreached::Refused { host } => write!(f, "nothing listens there ({host})"),
            Unreached::Unknown { host } => write!(f, "the host is not known ({host})"),
            Unreached::Certificate { host, said } => write!(f, "the certificate of {host} is not trusted: {said}"),
            Unreached::NoTls { host } => write!(f, "what listens there does not speak TLS ({host})"),
            Unreached::Silent { host } => write!(f, "the server does not answer in time ({host})"),
            Unreached::Proxy { said } => write!(f, "the proxy of `proxy_url` makes no connection: {said}"),
            Unreached::Closed { host } => write!(f, "the server has closed the connection ({host})"),
            Unreached::Other { host, said } => write!(f, "the server cannot be reached ({host}): {said}"),
        }
    }
}

/// An error and what it comes from, the outermost first.
fn chain<'e>(error: &'e (dyn Error + 'static)) -> Vec<&'e (dyn Error + 'static)> {
    let mut chain = vec![error];
    let mut next = error.source();
    while let Some(error) = next {
        chain.push(error);
        next = error.source();
    }
    chain
}

/// Host and port of the address that an error says was asked, without what may stand before an `@`.
fn host(text: &str) -> Option<String> {
    let (before, rest) = text.split_once("://")?;
    // As the library writes it: `Error performing GET http://host/path in 1ms`.
    before.contains("Error performing ").then_some(())?;
    let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
    Some(authority.rsplit('@').next().unwrap_or_default().to_owned()).filter(|host| !host.is_empty())
}

/// The innermost words, which say most, without what is secret.
fn innermost(texts: &[String], secrets: &[String]) -> String {
    // The outermost only says what the others say.
    let texts = texts.get(1..).filter(|inner| !inner.is_empty()).unwrap_or(texts);
    let outer = texts.first().cloned().unwrap_or_default();
    let inner = texts.last().filter(|inner| !outer.contains(inner.as_str()));
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

    fn words(text: &str, secrets: &[String]) -> String {
        let source: Box<dyn Error + Send + Sync> = text.to_owned().into();
        match Said::of(&object_store::Error::Generic { store: "HTTP", source }, secrets) {
            Said::Words(words) => words,
            Said::Answer(answer) => answer.to_string(),
            Said::Unreached(unreached) => unreached.to_string(),
            Said::NoCredentials => "no credentials".to_owned(),
        }
    }

    #[test]
    fn nothing_secret_is_passed_on() {
        let source =
            "error sending request for url (https://h.example/orgs.csv?sig=planted-1&x=2): key planted-2 refused";
        assert_eq!(
            words(source, &["planted-2".to_owned(), String::new()]),
            "error sending request for url (https://h.example/orgs.csv?… key … refused"
        );
        let answer = "Server returned non-2xx status code: 400 Bad Request: no planted-2 here";
        assert_eq!(words(answer, &["planted-2".to_owned()]), "400 Bad Request (no … here)");
    }

    #[test]
    fn details_are_one_line_and_short() {
        let said = words(&format!("a\n  b {}", "x".repeat(400)), &[]);
        assert!(said.starts_with("a b xxx") && said.chars().count() == LONGEST + 1, "{said}");
    }

    #[test]
    fn an_error_without_an_answer_has_the_host() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        for (inner, kind, expected) in [
            (refused, HttpErrorKind::Connect, "nothing listens there (the server)"),
            (
                io::Error::other("dns error: failed to lookup address information"),
                HttpErrorKind::Connect,
                "the host is not known (the server)",
            ),
            (
                io::Error::other("received corrupt message of type InvalidContentType"),
                HttpErrorKind::Connect,
                "what listens there does not speak TLS (the server)",
            ),
            (
                io::Error::other("invalid peer certificate: UnknownIssuer"),
                HttpErrorKind::Connect,
                "the certificate of the server is not trusted: invalid peer certificate: UnknownIssuer",
            ),
            (io::Error::other("late"), HttpErrorKind::Timeout, "the server does not answer in time (the server)"),
            (io::Error::other("end"), HttpErrorKind::Request, "the server has closed the connection (the server)"),
            (io::Error::other("odd"), HttpErrorKind::Unknown, "the server cannot be reached (the server): odd"),
        ] {
            let source = Box::new(HttpError::new(kind, inner));
            let error = object_store::Error::Generic { store: "HTTP", source };
            match Said::of(&error, &[]) {
                Said::Unreached(unreached) => assert_eq!(unreached.to_string(), expected),
                _ => panic!("{expected}"),
            }
        }
        let asked = "Error performing GET http://u:planted@h.example:9000/lake?sig=planted in 5ms, after 4 retries";
        assert_eq!(host(asked).as_deref(), Some("h.example:9000"));
        assert_eq!(host("https://h.example/x"), None);
    }
}
