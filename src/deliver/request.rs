//! What stands in a request besides its body. No IO.
//!
//! Always holds: every header value is marked sensitive unless it is ours to show, so that neither a debug print nor an
//! HTTP library's trace shows it.

use super::sign::Signer;
use super::{DeliverError, Parcel, Resolved};
use crate::job::spec::{Auth, BodyFormat, Destination, RESERVED_HEADERS};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use secrecy::{ExposeSecret, SecretString};

const AGENT: &str = concat!("nightmark/", env!("CARGO_PKG_VERSION"));
const API_SECRET: HeaderName = HeaderName::from_static("x-api-secret");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const OPERATION: HeaderName = HeaderName::from_static("nightmark-operation");

/// The headers that are the same for every request of a destination.
pub(super) fn fixed_headers(destination: &Destination, resolved: &Resolved) -> Result<HeaderMap, DeliverError> {
    let mut headers = HeaderMap::new();
    let content = match destination.format {
        BodyFormat::Json => "application/json",
        BodyFormat::Form => "application/x-www-form-urlencoded",
        BodyFormat::Ndjson => "application/x-ndjson",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    for (name, value) in &resolved.headers {
        let field = format!("destination.headers.{name}");
        let header: HeaderName = name
            .parse()
            .map_err(|_| DeliverError::Header { field: field.clone(), problem: "is not the name of a header" })?;
        if RESERVED_HEADERS.contains(&header.as_str()) {
            return Err(DeliverError::Header { field, problem: "names a header that is set by Nightmark itself" });
        }
        headers.insert(header, sensitive(&field, value)?);
    }
    if let Some((user, password)) = &resolved.auth {
        let both = format!("{}:{}", user.expose_secret(), password.expose_secret());
        let basic = SecretString::from(format!("Basic {}", STANDARD.encode(both)));
        headers.insert(AUTHORIZATION, sensitive(Auth::PASSWORD, &basic)?);
    }
    if let Some(secret) = &resolved.secret {
        headers.insert(API_SECRET, sensitive("destination.secret", secret)?);
    }
    Ok(headers)
}

fn sensitive(field: &str, value: &SecretString) -> Result<HeaderValue, DeliverError> {
    let mut header = HeaderValue::from_str(value.expose_secret()).map_err(|_| DeliverError::Header {
        field: field.to_owned(),
        problem: "resolves to a value that a header cannot carry, such as one with a line break",
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// `fixed` and what belongs to this attempt at this parcel, whose body is `body`.
///
/// # Errors
/// What cannot stand in a header.
pub(super) fn attempt_headers(
    fixed: &HeaderMap,
    signer: &Signer,
    parcel: &Parcel,
    body: &[u8],
    now: DateTime<Utc>,
) -> Result<HeaderMap, String> {
    let bad_id = |_| "the row's id cannot stand in a header".to_owned();
    let id = HeaderValue::from_str(parcel.id()).map_err(bad_id)?;
    let timestamp = now.timestamp();
    let mut headers = fixed.clone();
    if body.is_empty() {
        headers.remove(CONTENT_TYPE);
    }
    headers.insert(WEBHOOK_ID, id.clone());
    headers.insert(IDEMPOTENCY_KEY, id);
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp));
    if let Some(signature) = signer.sign(parcel.id(), timestamp, body) {
        headers.insert(WEBHOOK_SIGNATURE, HeaderValue::try_from(signature).map_err(|error| error.to_string())?);
    }
    headers.insert(OPERATION, HeaderValue::from_static(parcel.operation()));
    for (name, value) in parcel.aside().into_iter().flat_map(|aside| &aside.headers) {
        let problem = || format!("the row's value of the header {name} cannot stand in a header");
        let header: HeaderName = name.parse().map_err(|_| problem())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| problem())?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::Message;
    use crate::job::spec::Templated;
    use chrono::TimeZone;

    fn fixed_headers(resolved: &Resolved) -> Result<HeaderMap, DeliverError> {
        super::fixed_headers(&Destination::plain(Templated::parse("").unwrap()), resolved)
    }

    fn resolved(headers: &[(&str, &str)], secret: Option<&str>) -> Resolved {
        Resolved {
            secret: secret.map(Into::into),
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), SecretString::from(*v))).collect(),
            ..Resolved::of("http://localhost/")
        }
    }

    fn parcel(id: &str) -> Parcel {
        Parcel::single(Message {
            seq: 0,
            key: "a".into(),
            id: id.into(),
            version: String::new(),
            operation: "added",
            body: "{}".into(),
            part: None,
            aside: None,
        })
    }

    #[test]
    fn a_request_carries_what_the_contract_says() {
        let fixed = fixed_headers(&resolved(&[("X-Team", "growth")], Some("planted"))).unwrap();
        let now = Utc.timestamp_opt(1_700_000_000, 0).unwrap();
        let signer = Signer::new(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()]).unwrap();
        let headers = attempt_headers(&fixed, &signer, &parcel("msg_1"), b"{}", now).unwrap();
        let mut lines: Vec<String> = headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        lines.sort();
        let signature = format!("webhook-signature: {}", signer.sign("msg_1", 1_700_000_000, b"{}").unwrap());
        let agent = format!("user-agent: {AGENT}");
        let expected = [
            "content-type: application/json",
            "idempotency-key: msg_1",
            "nightmark-operation: added",
            agent.as_str(),
            "webhook-id: msg_1",
            signature.as_str(),
            "webhook-timestamp: 1700000000",
            "x-api-secret: planted",
            "x-team: growth",
        ];
        assert_eq!(lines, expected);
        let shown = format!("{headers:?}");
        assert!(!shown.contains("planted") && !shown.contains("growth"), "{shown}");
    }

    #[test]
    fn headers_that_cannot_be_are_refused_by_name() {
        for (name, value, problem) in [
            ("Host", "example.org", "set by Nightmark itself"),
            ("webhook-id", "1", "set by Nightmark itself"),
            ("no good", "1", "not the name of a header"),
            ("x-token", "planted\n", "cannot carry"),
        ] {
            let error = fixed_headers(&resolved(&[(name, value)], None)).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains(name) && !error.contains("planted"), "{error}");
        }
        let error = fixed_headers(&resolved(&[], Some("planted\n"))).unwrap_err().to_string();
        assert!(error.starts_with("destination.secret resolves"), "{error}");
    }

    #[test]
    fn an_id_that_is_no_header_value_makes_no_request() {
        let fixed = fixed_headers(&resolved(&[], None)).unwrap();
        let signer = Signer::new(&[]).unwrap();
        assert!(attempt_headers(&fixed, &signer, &parcel("a\nb"), b"{}", Utc::now()).is_err());
        let headers = attempt_headers(&fixed, &signer, &parcel("a"), b"{}", Utc::now()).unwrap();
        assert!(!headers.contains_key(WEBHOOK_SIGNATURE));
    }
}
