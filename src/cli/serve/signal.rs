//! The signals that `serve` knows.

use crate::server::Tls;
use std::sync::Arc;

/// SIGTERM or SIGINT, caught from the moment this is made.
pub(super) struct Signal {
    #[cfg(unix)]
    term: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signal {
    #[cfg(unix)]
    pub(super) fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signal { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    #[cfg(unix)]
    pub(super) async fn wait(mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Signal {})
    }

    #[cfg(not(unix))]
    pub(super) async fn wait(self) {
        // Without a signal to wait for, the process runs until it is ended.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Reads the certificate again on each SIGHUP. Without TLS, SIGHUP ends the process as ever.
///
/// # Errors
/// A signal that cannot be caught.
#[cfg(unix)]
pub(super) fn reload_on_hangup(tls: Arc<Tls>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let tls = Arc::clone(&tls);
            match tokio::task::spawn_blocking(move || tls.reload()).await {
                Ok(Ok(())) => tracing::info!("SIGHUP: the certificate was read again and is in use"),
                Ok(Err(error)) => tracing::error!(%error, "SIGHUP: the certificate in use stays in use"),
                Err(error) => tracing::error!(%error, "SIGHUP"),
            }
        }
    });
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn reload_on_hangup(_: Arc<Tls>) -> std::io::Result<()> {
    Ok(())
}
