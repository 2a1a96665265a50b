//! Logs: where they go, in which form.

use crate::config::{LogFormat, Settings};
use crate::spans;
use anyhow::Context as _;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

/// Starts logging for the process. `filter` (`--log`, `NIGHTMARK_LOG`) wins over the settings' level, `format` (`--log-format`) over theirs.
///
/// # Errors
/// A filter that cannot be parsed, or logging that was started already.
pub fn init(filter: Option<&str>, format: Option<LogFormat>, settings: &Settings) -> anyhow::Result<()> {
    let wanted = filter.unwrap_or(&settings.log.level);
    let filter = EnvFilter::try_new(wanted)
        .with_context(|| format!("the log filter `{wanted}` is not one; try `info` or `nightmark=debug`"))?;
    // Whose a line is stands in spans, which no filter is to take away.
    let spans: Directive = format!("{}=error", spans::TARGET).parse()?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter.add_directive(spans)).with_writer(std::io::stderr);
    let started = match format.unwrap_or(settings.log.format) {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().with_current_span(false).try_init(),
    };
    started.map_err(|e| anyhow::anyhow!("logging could not be started: {e}"))
}
