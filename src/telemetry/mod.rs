//! Logs: where they go and what may stand in them.
//!
//! In: a filter and a format. Out: lines on stderr, so that stdout stays for results.
//! Always holds: no URL, header value or body is logged anywhere in the crate; what identifies a destination in a log is
//! the job's name.
//! Deliberately absent: metrics and traces.

use crate::config::{LogFormat, Settings};
use anyhow::Context as _;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging for the process. `filter` (`--log`, `NIGHTMARK_LOG`) wins over the settings' level.
///
/// # Errors
/// A filter that cannot be parsed, or logging that was started already.
pub fn init(filter: Option<&str>, settings: &Settings) -> anyhow::Result<()> {
    let wanted = filter.unwrap_or(&settings.log.level);
    let filter = EnvFilter::try_new(wanted)
        .with_context(|| format!("the log filter `{wanted}` is not one; try `info` or `nightmark=debug`"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.log.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|e| anyhow::anyhow!("logging could not be started: {e}"))
}
