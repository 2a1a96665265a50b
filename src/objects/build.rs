//! The store of an address.

use super::client::{Discreet, proxy};
use super::time::ServerTime;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::ReqwestConnector;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, Error, ObjectStore, RetryConfig};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// So long a server may say nothing.
pub(super) const SILENCE: Duration = Duration::from_secs(60);
pub(super) const CONNECT: Duration = Duration::from_secs(10);

pub(super) type Settings = BTreeMap<String, String>;

/// A store and where in it the address points.
pub(super) struct Built {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) root: String,
    pub(super) path: String,
    pub(super) is_http: bool,
    pub(super) time: ServerTime,
}

pub(super) fn store(address: &str, settings: &Settings) -> Result<Built, Error> {
    // The library takes the process's choice of cryptography; another part of the program may have made it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    proxy(settings)?;
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let root = format!("{scheme}://{authority}");
    let time = ServerTime::default();
    let store: Arc<dyn ObjectStore> = match scheme {
        "s3" | "s3a" => s3(&root, settings, &time)?,
        "gs" => google(&root, settings, &time)?,
        "az" | "abfs" | "abfss" => azure(&root, settings, &time)?,
        "http" | "https" => http(&root, path, settings, &time)?,
        other => return Err(unfit(format!("`{other}://` is not the address of an object store"))),
    };
    let is_http = matches!(scheme, "http" | "https");
    // The library encodes the path itself.
    let path = match is_http {
        true => Path::from_url_path(path.split(['?', '#']).next().unwrap_or(path))?.as_ref().to_owned(),
        false => path.to_owned(),
    };
    Ok(Built { store, root, path, is_http, time })
}

fn s3(root: &str, settings: &Settings, time: &ServerTime) -> Result<Arc<dyn ObjectStore>, Error> {
    let mut builder = AmazonS3Builder::from_env().with_url(root);
    for (name, value) in own(settings) {
        builder = builder.with_config(name.parse()?, value);
    }
    let endpoint = [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint];
    let plain =
        endpoint.iter().filter_map(|key| builder.get_config_value(key)).map(|url| is_plain("aws_endpoint", &url));
    let plain = plain.collect::<Result<Vec<_>, _>>()?.contains(&true);
    let builder = builder.with_http_connector(time.noting(ReqwestConnector::default()));
    Ok(Arc::new(builder.with_client_options(client(settings, plain)).with_retry(retry()).build()?))
}

fn google(root: &str, settings: &Settings, time: &ServerTime) -> Result<Arc<dyn ObjectStore>, Error> {
    let mut builder = GoogleCloudStorageBuilder::from_env().with_url(root);
    for (name, value) in own(settings) {
        builder = builder.with_config(name.parse()?, value);
    }
    let base = builder.get_config_value(&GoogleConfigKey::BaseUrl);
    let plain = base.map_or(Ok(false), |url| is_plain("google_base_url", &url))?;
    let builder = builder.with_http_connector(time.noting(ReqwestConnector::default()));
    Ok(Arc::new(builder.with_client_options(client(settings, plain)).with_retry(retry()).build()?))
}

fn azure(root: &str, settings: &Settings, time: &ServerTime) -> Result<Arc<dyn ObjectStore>, Error> {
    let mut builder = MicrosoftAzureBuilder::from_env().with_url(root);
    for (name, value) in own(settings) {
        builder = builder.with_config(name.parse()?, value);
    }
    let emulator = builder.get_config_value(&AzureConfigKey::UseEmulator).is_some_and(|value| value == "true");
    let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
    let plain = endpoint.map_or(Ok(false), |url| is_plain("azure_endpoint", &url))? || emulator;
    // `abfss://container@account…` names it.
    if !emulator && !root.contains('@') && builder.get_config_value(&AzureConfigKey::AccountName).is_none() {
        return Err(unfit(
            "the storage account is not named: set azure_storage_account_name, or AZURE_STORAGE_ACCOUNT_NAME in the environment",
        ));
    }
    let builder = builder.with_http_connector(time.noting(ReqwestConnector::default()));
    let built = builder.with_client_options(client(settings, plain)).with_retry(retry()).build();
    Ok(Arc::new(built.map_err(|error| match error.to_string().contains("Invalid Access Key") {
        // What is wrong with it would be a part of it.
        true => unfit("the value of azure_storage_account_key is no key of an account: it is not base64"),
        false => error,
    })?))
}

fn http(root: &str, path: &str, settings: &Settings, time: &ServerTime) -> Result<Arc<dyn ObjectStore>, Error> {
    let client = Discreet::new(settings, root.starts_with("http:"))?;
    // The query belongs to every request; the path is each request's own.
    let query = path.split('#').next().and_then(|path| path.split_once('?')).map(|(_, query)| format!("/?{query}"));
    let url = format!("{root}{}", query.unwrap_or_default());
    Ok(Arc::new(HttpBuilder::new().with_url(url).with_http_connector(time.noting(client)).with_retry(retry()).build()?))
}

/// The settings that are a store's and not the client's.
fn own(settings: &BTreeMap<String, String>) -> impl Iterator<Item = (&String, &String)> {
    settings.iter().filter(|(name, _)| *name != "proxy_url")
}

fn client(settings: &BTreeMap<String, String>, plain: bool) -> ClientOptions {
    // A large object takes as long as it takes; what must not last is silence.
    let options = ClientOptions::new()
        .with_allow_http(plain)
        .with_timeout_disabled()
        .with_read_timeout(SILENCE)
        .with_connect_timeout(CONNECT);
    match settings.get("proxy_url") {
        Some(url) => options.with_config(ClientConfigKey::ProxyUrl, url),
        None => options,
    }
}

fn retry() -> RetryConfig {
    // Longer than the silence after which a try counts as failed: else none would be tried again.
    // Who waits for a server that is not there waits for seconds, not for minutes.
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(3), ..BackoffConfig::default() };
    RetryConfig { max_retries: 4, retry_timeout: SILENCE * 3, backoff }
}

/// Whether an address that a setting has is one without TLS.
///
/// # Errors
/// It is none: the library would take it apart, and panic.
fn is_plain(setting: &str, url: &str) -> Result<bool, Error> {
    let scheme = Url::parse(url).ok().filter(Url::has_host).map(|url| url.scheme().to_owned());
    match scheme.as_deref() {
        Some("http") => Ok(true),
        Some("https") => Ok(false),
        _ => Err(unfit(format!("the value of {setting} is not an address: it begins with https:// or http://"))),
    }
}

pub(super) fn unfit(message: impl Into<String>) -> Error {
    Error::Generic { store: "settings", source: message.into().into() }
}
