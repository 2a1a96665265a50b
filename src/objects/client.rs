//! The client of HTTP. The library's own tells a server that it is sent on to where it comes from, with the query, which may be a secret.

use super::build::{CONNECT, SILENCE, Settings, unfit};
use object_store::client::{HttpClient, HttpConnector};
use object_store::{ClientOptions, Error, HeaderMap, HeaderValue};

/// Makes clients that carry `authorization` to one server only, and the address to none but that one.
#[derive(Debug)]
pub(super) struct Discreet {
    headers: HeaderMap,
    proxy: Option<reqwest::Proxy>,
    plain: bool,
}

impl Discreet {
    /// `plain`: without TLS. One that begins with TLS is not sent on to one without.
    pub(super) fn new(settings: &Settings, plain: bool) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        if let Some(value) = settings.get("authorization") {
            let mut value =
                HeaderValue::from_str(value).map_err(|_| unfit("`authorization` is not the value of a header"))?;
            value.set_sensitive(true);
            headers.insert("authorization", value);
        }
        Ok(Discreet { headers, proxy: proxy(settings)?, plain })
    }
}

/// `proxy_url`, if it is an address: the library would say only that something is wrong with one.
pub(super) fn proxy(settings: &Settings) -> Result<Option<reqwest::Proxy>, Error> {
    let proxy = settings.get("proxy_url").map(reqwest::Proxy::all).transpose();
    proxy.map_err(|_| unfit("`proxy_url` is not an address, such as `http://${USER}:${PASSWORD}@proxy.example:3128`"))
}

impl HttpConnector for Discreet {
    fn connect(&self, _: &ClientOptions) -> Result<HttpClient, Error> {
        let mut builder = reqwest::Client::builder()
            .default_headers(self.headers.clone())
            .referer(false)
            .https_only(!self.plain)
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .user_agent(concat!("nightmark/", env!("CARGO_PKG_VERSION")))
            // The length that is said has to be that of the file.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate();
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.clone());
        }
        let client = builder.build().map_err(|error| unfit(error.without_url().to_string()))?;
        Ok(HttpClient::new(client))
    }
}
