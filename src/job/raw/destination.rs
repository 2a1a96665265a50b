//! `[destination]` as written. Nothing here has `Debug`: it may hold a secret that somebody wrote down and that is about
//! to be refused.

use crate::job::spec::DEAD_LETTER_AFTER;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where webhooks go.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RawDestination {
    /// TrailSpark's product org endpoint, or a receiver that speaks the same.
    Trailspark(RawTrailspark),
    /// Segment's HTTP API: group events.
    Segment(RawSegment),
    /// A RudderStack data plane: group events.
    Rudderstack(RawRudderstack),
    /// Any other HTTP endpoint.
    Http(RawHttp),
}

/// TrailSpark's product org endpoint, or a receiver that speaks the same.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTrailspark {
    /// Your organization's subdomain: `acme` of `https://acme.trailspark.ai`. Either this or `base_url`.
    #[schemars(length(min = 1))]
    pub subdomain: Option<String>,
    /// The address of a receiver of your own, without `/api/product-orgs/webhook/…`, such as `http://127.0.0.1:8080`.
    #[schemars(length(min = 1))]
    pub base_url: Option<String>,
    /// The API key, created with the endpoint type Product Org Updates: `${NAME}` or `${file:PATH}`, never the key itself.
    #[schemars(required)]
    pub key: Option<String>,
    /// The key's secret, if it has one, sent as `X-Api-Secret`: `${NAME}` or `${file:PATH}`.
    pub secret: Option<String>,
    /// How requests are made.
    #[serde(flatten)]
    pub sending: RawSending,
}

/// Segment's HTTP API: group events.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSegment {
    /// The source's write key: `${NAME}` or `${file:PATH}`, never the key itself.
    #[schemars(required)]
    pub write_key: Option<String>,
    /// Where the workspace is. Default: `us`.
    pub region: Option<RawRegion>,
    /// Another address than the region's, such as that of a proxy of your own, without `/v1/…`.
    #[schemars(length(min = 1))]
    pub base_url: Option<String>,
    /// One event a request, or as many as fit into one. Default: `single`.
    pub mode: Option<RawMode>,
    /// How requests are made.
    #[serde(flatten)]
    pub sending: RawSending,
}

/// A RudderStack data plane: group events.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRudderstack {
    /// The data plane's address, without `/v1/…`.
    #[schemars(required, length(min = 1))]
    pub data_plane_url: Option<String>,
    /// The source's write key: `${NAME}` or `${file:PATH}`, never the key itself.
    #[schemars(required)]
    pub write_key: Option<String>,
    /// One event a request, or as many as fit into one. Default: `single`.
    pub mode: Option<RawMode>,
    /// How requests are made.
    #[serde(flatten)]
    pub sending: RawSending,
}

/// Any HTTP endpoint.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawHttp {
    /// The address; secrets in it are written `${NAME}` (environment) or `${file:PATH}`.
    #[schemars(required, length(min = 1))]
    pub url: Option<String>,
    /// The method. Default: `POST`. `GET` and `DELETE` have no body.
    pub method: Option<RawMethod>,
    /// Sent as `X-Api-Secret`; `${NAME}` or `${file:PATH}`, never the secret itself.
    pub secret: Option<String>,
    /// User name and password of HTTP's Basic scheme.
    pub auth: Option<RawAuth>,
    /// How a body is written. Default: `json`.
    pub format: Option<RawBodyFormat>,
    /// Several rows in one request: a JSON list, or the lines of NDJSON. Default: one row a request.
    pub batch: Option<RawBatch>,
    /// How an org is sent that the destination does not have, if otherwise.
    pub added: Option<RawRoute>,
    /// How an org is sent whose compared columns differ, if otherwise.
    pub changed: Option<RawRoute>,
    /// How an org is sent that is gone from the extract, if otherwise.
    pub removed: Option<RawRoute>,
    /// How requests are made.
    #[serde(flatten)]
    pub sending: RawSending,
}

/// How requests are made: the same for every kind.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct RawSending {
    /// Signs every request by Standard Webhooks: `${NAME}` or `${file:PATH}` of a `whsec_…` secret. While a secret is
    /// being replaced, a list: the newest first.
    pub signing: Option<RawSigning>,
    /// Further headers. Secrets in them are written `${NAME}` or `${file:PATH}`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// At most so many requests in a second, minute or hour: `50/s`, `600/m`, `1000/h`. Default: no limit.
    #[schemars(regex(pattern = r"^[1-9][0-9]*/[smh]$"))]
    pub rate: Option<String>,
    /// So many requests of `rate` may leave at once after idle time. Default: what the rate allows in 10 ms, at least 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: Option<u32>,
    /// Requests in flight at most; fewer while the destination has trouble.
    #[serde(default = "eight")]
    #[schemars(range(min = 1, max = 1024))]
    pub concurrency: u32,
    /// Retries within a run; what is left is sent by the next run.
    #[serde(default)]
    pub retry: RawRetry,
    /// A row that was refused in so many runs with the same content is set aside until its value changes; 0: never.
    #[serde(default = "dead_letter_after")]
    pub dead_letter_after: u32,
    /// The longest that one request may take, answer included.
    #[serde(default = "thirty_seconds")]
    #[schemars(regex(pattern = r"^[0-9]+(ms|s|m|h)$"))]
    pub timeout: String,
    /// A PEM file of certificates that are trusted besides those of this machine; relative to the home folder.
    #[schemars(length(min = 1))]
    pub ca_file: Option<String>,
    /// The HTTP proxy to go through, such as `http://proxy.example:3128`. Those of the environment are never taken.
    #[schemars(length(min = 1))]
    pub proxy: Option<String>,
    /// Networks that may be connected to although they are link-local, metadata or otherwise refused addresses, such as
    /// `169.254.10.0/24`.
    #[serde(default)]
    pub allow_addresses: Vec<String>,
}

/// Where a Segment workspace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawRegion {
    /// `https://api.segment.io`
    #[default]
    Us,
    /// `https://events.eu1.segmentapis.com`
    Eu,
}

/// How many events a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawMode {
    /// One: `/v1/group`.
    #[default]
    Single,
    /// As many as the API takes: `/v1/batch`.
    Batch,
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RawMethod {
    /// The default.
    Post,
    /// Replaces what is at the address.
    Put,
    /// Changes what is at the address.
    Patch,
    /// Takes away what is at the address; without a body unless the payload has one for this operation.
    Delete,
    /// Without a body.
    Get,
}

/// User name and password of HTTP's Basic scheme.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAuth {
    /// The user name. Without a password it is taken for a key and must be `${NAME}` or `${file:PATH}`.
    #[schemars(required, length(min = 1))]
    pub user: Option<String>,
    /// The password: `${NAME}` or `${file:PATH}`, never the password itself.
    pub password: Option<String>,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawBodyFormat {
    /// JSON; of several rows a list.
    #[default]
    Json,
    /// The members of the JSON object as fields of a form.
    Form,
    /// One line of JSON for each row.
    Ndjson,
}

/// How many rows one request carries. A request that is refused is halved until each row has its own answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawBatch {
    /// Rows at most.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1, max = 10_000))]
    pub rows: u32,
    /// Bytes of the body at most.
    #[serde(default = "million")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub bytes: u32,
}

/// How one kind of difference is sent.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRoute {
    /// Its method. Default: that of [destination].
    pub method: Option<RawMethod>,
    /// Its address. Default: that of [destination].
    #[schemars(length(min = 1))]
    pub url: Option<String>,
}

/// One signing secret, or the newest and those that it replaces.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawSigning {
    /// The only secret.
    One(#[schemars(length(min = 1))] String),
    /// Several, the newest first.
    Many(#[schemars(length(min = 1))] Vec<String>),
}

/// Retries within a run, with exponential backoff and full jitter.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRetry {
    /// Attempts in all, the first included.
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// The longest wait before the second attempt; doubled for each further one.
    #[schemars(regex(pattern = r"^[0-9]+(ms|s|m|h)$"))]
    pub base: String,
    /// The longest wait before any attempt.
    #[schemars(regex(pattern = r"^[0-9]+(ms|s|m|h)$"))]
    pub max: String,
}

impl Default for RawRetry {
    fn default() -> Self {
        RawRetry { attempts: 5, base: "1s".to_owned(), max: "5m".to_owned() }
    }
}

fn eight() -> u32 {
    8
}

fn hundred() -> u32 {
    100
}

fn million() -> u32 {
    1_000_000
}

fn dead_letter_after() -> u32 {
    DEAD_LETTER_AFTER
}

fn thirty_seconds() -> String {
    "30s".to_owned()
}
