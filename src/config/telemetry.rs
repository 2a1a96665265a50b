//! `[telemetry]`

use crate::job::document::Document;
use crate::job::problem::Fault;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// Where a collector listens for traces, below its address.
const TRACES: &str = "/v1/traces";

/// `[telemetry]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetrySettings {
    /// Where traces go, with the path; `None`: nowhere.
    pub otlp: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTelemetry {
    otlp: String,
}

impl RawTelemetry {
    /// `None`: something was reported.
    pub(super) fn check(&self, doc: &mut Document<'_>) -> Option<TelemetrySettings> {
        Some(TelemetrySettings { otlp: doc.accept("telemetry.otlp", collector(&self.otlp))? })
    }
}

fn collector(written: &str) -> Result<Option<String>, Fault> {
    if written.is_empty() {
        return Ok(None);
    }
    let fault =
        |words: &str| Fault::new(words.to_owned()).hint("write the collector's address, such as http://127.0.0.1:4318");
    let mut url = Url::parse(written).map_err(|_| fault("this is no address"))?;
    if url.scheme() == "https" {
        return Err(Fault::new("traces are sent without TLS".to_owned())
            .hint("run a collector beside nightmark, which sends them on: http://127.0.0.1:4318"));
    }
    if url.scheme() != "http" || url.host().is_none() {
        return Err(fault("a collector's address begins with http://"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(fault("a collector's address has no user, query or fragment: they could be secrets"));
    }
    if !url.path().ends_with(TRACES) {
        url.set_path(&format!("{}{TRACES}", url.path().trim_end_matches('/')));
    }
    Ok(Some(url.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_an_address_without_secrets() {
        for (written, sent) in [
            ("", None),
            ("http://127.0.0.1:4318", Some("http://127.0.0.1:4318/v1/traces")),
            ("http://collector:4318/", Some("http://collector:4318/v1/traces")),
            ("http://collector/otlp/", Some("http://collector/otlp/v1/traces")),
            ("http://collector:4318/v1/traces", Some("http://collector:4318/v1/traces")),
        ] {
            assert_eq!(collector(written).unwrap_or_else(|_| panic!("{written}")).as_deref(), sent);
        }
        for written in [
            "collector:4318",
            "ftp://a",
            "https://collector",
            "http://",
            "http://u:p@a/",
            "http://a/?key=1",
            "http://a/#b",
        ] {
            assert!(collector(written).is_err(), "{written}");
        }
    }
}
