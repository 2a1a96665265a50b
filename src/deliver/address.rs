//! Where requests go: what of an address may be shown, and whether it is one. Pure.

use super::DeliverError;
use url::Url;

/// Where connections go, which is no secret; the path and the query are.
pub(super) struct Place {
    /// The host's name or address.
    pub(super) host: String,
    /// The same with the port.
    pub(super) authority: String,
}

impl Place {
    pub(super) fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().map_or_else(String::new, |port| format!(":{port}"));
        Place { authority: format!("{host}{port}"), host }
    }
}

pub(super) fn parse_url(text: &str) -> Result<Url, DeliverError> {
    let url = Url::parse(text).map_err(|error| DeliverError::Url(error.to_string()))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(DeliverError::Url("it begins with neither http:// nor https://".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_judged_without_being_shown() {
        for (url, problem) in [
            ("ftp://planted/", "neither http:// nor https://"),
            ("planted", "relative URL without a base"),
            ("http://", "empty host"),
            ("https://planted:port/", "invalid port number"),
        ] {
            let error = parse_url(url).unwrap_err().to_string();
            assert!(error.contains(problem) && !error.contains("planted"), "{url}: {error}");
        }
        assert!(parse_url("https://example.org/hook/KEY?a=b").is_ok());
    }
}
