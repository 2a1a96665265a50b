//! Traces of runs, sent by OTLP over HTTP as JSON (`[telemetry] otlp`).
//!
//! A run is a trace: its span, and one for each of its stages. Parcels and events are none of it: a night has millions of them. What a collector
//! does not take is lost, and no run waits for it.

use crate::spans;
use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// The longest that a collector may take for a batch of spans, and that the end of the process waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is to be sent before the process ends.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send to the collector at `url`, to be called within a tokio runtime.
    ///
    /// # Errors
    /// A client that cannot be set up.
    pub(super) fn begin(url: &str) -> anyhow::Result<Traces> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender::new()?)
            .with_protocol(Protocol::HttpJson)
            .with_endpoint(url)
            .with_timeout(PATIENCE)
            .build()
            .context("[telemetry] otlp")?;
        let resource = Resource::builder()
            .with_service_name("nightmark")
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Traces(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build()))
    }

    /// What turns spans of ours into theirs.
    pub(super) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        let tracer = self.0.tracer("nightmark");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
        layer.with_filter(filter_fn(|of| of.is_span() && of.target() == spans::TARGET && of.name() != spans::PARCEL))
    }

    /// Sends what is left. Blocks, for [`PATIENCE`] at most.
    pub fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(PATIENCE) {
            tracing::warn!(event = "traces_not_sent", %error, "traces of the last runs could not be sent");
        }
    }
}

/// The client, whose requests are made on the process's runtime: the exporter calls from a thread of its own.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: Handle,
}

impl Sender {
    fn new() -> anyhow::Result<Sender> {
        // A second call finds the provider in place, which is what it wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("nightmark/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("[telemetry] otlp")?;
        Ok(Sender { client, runtime: Handle::current() })
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let answer = client.execute(request.try_into()?).await?;
            let mut response = Response::builder().status(answer.status());
            if let Some(headers) = response.headers_mut() {
                headers.clone_from(answer.headers());
            }
            Ok::<_, HttpError>(response.body(answer.bytes().await?)?)
        });
        sent.await?
    }
}
