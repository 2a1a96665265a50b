//! The signals that `serve` knows.

use crate::server::Tls;
use std::sync::Arc;
use tokio::sync::Notify;

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

/// SIGHUP, caught from the moment this is made: what is told to all daemons must not end this one.
pub(super) struct Hangup {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
}

impl Hangup {
    /// # Errors
    /// A signal that cannot be caught.
    #[cfg(unix)]
    pub(super) fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Hangup { signal: signal(SignalKind::hangup())? })
    }

    /// On each, for ever: has the job files read again, and the certificate, if there is one.
    #[cfg(unix)]
    pub(super) async fn follow(mut self, jobs: Arc<Notify>, certificates: Vec<Arc<Tls>>) {
        while self.signal.recv().await.is_some() {
            jobs.notify_one();
            if certificates.is_empty() {
                tracing::info!(
                    event = "hangup_without_certificate",
                    "SIGHUP: there is nothing to read again besides the job files; settings are read at the start, and there is no certificate"
                );
            }
            for tls in &certificates {
                let tls = Arc::clone(tls);
                match tokio::task::spawn_blocking(move || tls.reload()).await {
                    Ok(Ok(())) => {
                        tracing::info!(
                            event = "certificate_taken",
                            "SIGHUP: the certificate was read again and is in use"
                        )
                    }
                    Ok(Err(error)) => {
                        tracing::error!(event = "certificate_unusable", %error, "SIGHUP: the certificate in use stays in use")
                    }
                    Err(error) => tracing::error!(event = "certificate_not_read", %error, "SIGHUP"),
                }
            }
        }
    }

    #[cfg(not(unix))]
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Hangup {})
    }

    #[cfg(not(unix))]
    pub(super) async fn follow(self, _: Arc<Notify>, _: Vec<Arc<Tls>>) {}
}
