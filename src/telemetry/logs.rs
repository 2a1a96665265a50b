//! Logs: where they go, in which form.

use super::traces::Traces;
use crate::config::{LogFormat, Settings};
use crate::spans;
use anyhow::Context as _;
use std::io::IsTerminal;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// Starts logging for the process, and traces where the settings say so; what is returned is to be ended. `filter` (`--log`, `NIGHTMARK_LOG`) wins
/// over the settings' level, `format` (`--log-format`) over theirs. To be called within a tokio runtime.
///
/// # Errors
/// A filter that cannot be parsed, or logging that was started already.
pub fn init(filter: Option<&str>, format: Option<LogFormat>, settings: &Settings) -> anyhow::Result<Option<Traces>> {
    let wanted = filter.unwrap_or(&settings.log.level);
    let filter = EnvFilter::try_new(wanted)
        .with_context(|| format!("the log filter `{wanted}` is not one; try `info` or `nightmark=debug`"))?;
    // Whose a line is stands in spans, which no filter is to take away.
    let spans: Directive = format!("{}=error", spans::TARGET).parse()?;
    let filter = filter.add_directive(spans);
    let traces = settings.telemetry.otlp.as_deref().map(Traces::begin).transpose()?;
    let (registry, lines) = (tracing_subscriber::registry(), fmt::layer().with_writer(std::io::stderr));
    let started = match format.unwrap_or(settings.log.format) {
        LogFormat::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal()).with_filter(filter);
            registry.with(lines).with(traces.as_ref().map(Traces::layer)).try_init()
        }
        LogFormat::Json => {
            let lines = lines.json().with_current_span(false).with_filter(filter);
            registry.with(lines).with(traces.as_ref().map(Traces::layer)).try_init()
        }
    };
    started.map_err(|e| anyhow::anyhow!("logging could not be started: {e}"))?;
    Ok(traces)
}
