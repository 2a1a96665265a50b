//! Takes connections in, as many as there may be, until told to stop; then sees them off.

use super::client::{block, is_trusted};
use super::connection::Accepted;
use super::options::Options;
use super::service::Shared;
use super::slots::{Full, Slots};
use super::stop::{Phase, Seen};
use super::tls::Tls;
use crate::clock::Clock;
use crate::metrics::Metrics;
use axum::Router;
use futures_util::FutureExt as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

/// After an accept that failed for want of something, such as file descriptors: what is missing does not come back at once.
const PAUSE: Duration = Duration::from_millis(100);
/// Refusals under way at most; beyond it connections are closed without a word.
const REFUSALS: usize = 64;
/// How long a refused client may take to read why.
const REFUSAL: Duration = Duration::from_secs(1);
/// Refusals are logged no more often.
const SELDOM: Duration = Duration::from_secs(10);

const REFUSED: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
                       connection: close\r\ncontent-length: 74\r\n\r\n\
                       {\"success\":false,\"error\":\"There are too many connections; send it again\"}\n";

/// A server over one listener.
pub struct Server {
    shared: Arc<Shared>,
    tls: Option<Arc<Tls>>,
    slots: Arc<Slots>,
    refusals: Arc<Semaphore>,
    refused: u64,
    refusals_logged: Option<Instant>,
    phases: watch::Sender<Phase>,
}

impl Server {
    /// What is asked of `router`'s routes, in the clear.
    pub fn new(router: Router, options: Options, clock: Arc<dyn Clock>) -> Server {
        let slots = Slots::new(options.connections, options.connections_per_address);
        Server {
            shared: Arc::new(Shared { router, options, clock, name: "", metrics: Arc::new(()) }),
            tls: None,
            slots,
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            refused: 0,
            refusals_logged: None,
            phases: watch::Sender::new(Phase::Running),
        }
    }

    /// The same, with what comes of requests told under this name.
    #[must_use]
    pub fn with_metrics(mut self, name: &'static str, metrics: Arc<dyn Metrics>) -> Server {
        // Nobody shares it yet: the server has not run.
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            (shared.name, shared.metrics) = (name, metrics);
        }
        self
    }

    /// The same by TLS alone.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<Arc<Tls>>) -> Server {
        self.tls = tls;
        self
    }

    /// Serves until `stop` says true or its sender is gone; then no connection is taken in any more, and requests that were begun are
    /// finished, within [`Options::grace`].
    pub async fn run(mut self, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    failing = false;
                    self.take(stream, peer);
                }
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(event = "accept_failed", %error, "connections cannot be accepted for now");
                    }
                    tokio::select! { () = sleep(PAUSE) => {}, () = stopped(&mut stop) => break }
                }
            }
        }
        self.end(listener).await;
    }

    fn take(&mut self, stream: TcpStream, peer: SocketAddr) {
        let peer = peer.ip().to_canonical();
        let is_proxy = is_trusted(peer, &self.shared.options.trusted_proxies);
        let slot = match self.slots.take((!is_proxy).then(|| block(peer))) {
            Ok(slot) => slot,
            Err(full) => return self.refuse(stream, full),
        };
        let stop = Seen(self.phases.subscribe());
        let accepted = Accepted { stream, peer, slot, shared: Arc::clone(&self.shared), stop };
        tokio::spawn(accepted.run(self.tls.as_ref().map(|tls| tls.acceptor())));
    }

    /// Cheaply: at most a line is written, and only for a few at a time. Inside TLS it would take a handshake to say anything.
    fn refuse(&mut self, mut stream: TcpStream, full: Full) {
        self.refused += 1;
        let now = Instant::now();
        if self.refusals_logged.is_none_or(|last| now.duration_since(last) >= SELDOM) {
            tracing::warn!(
                event = "connections_refused",
                refused = self.refused,
                ?full,
                "connections are refused: there are as many as may be"
            );
            self.refusals_logged = Some(now);
        }
        let (None, Ok(permit)) = (&self.tls, Arc::clone(&self.refusals).try_acquire_owned()) else { return };
        tokio::spawn(async move {
            let _permit = permit;
            let say = async {
                stream.write_all(REFUSED.as_bytes()).await?;
                stream.shutdown().await?;
                // Closed with bytes unread, it would be reset, and the client might not see why.
                let mut rest = [0; 4096];
                while stream.read(&mut rest).await? > 0 {}
                io::Result::Ok(())
            };
            // Who does not take it does without.
            let _ = timeout(REFUSAL, say).await;
        });
    }

    async fn end(mut self, listener: TcpListener) {
        let since = Instant::now();
        self.phases.send_replace(Phase::Stopping(since));
        // What the system has accepted for us already is told as well.
        while let Some(Ok((stream, peer))) = listener.accept().now_or_never() {
            self.take(stream, peer);
        }
        drop(listener);
        let Options { notice, grace, .. } = self.shared.options;
        // Closed: no connection watches it any more.
        if timeout(notice, self.phases.closed()).await.is_ok() {
            return;
        }
        self.phases.send_replace(Phase::Closing(since));
        if timeout(grace.saturating_sub(notice), self.phases.closed()).await.is_err() {
            self.phases.send_replace(Phase::Cut(since));
            self.phases.closed().await;
        }
    }
}

/// What is wrong with one connection and not with accepting.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error: the sender is gone, which nobody can take back: the same as true.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_whole() {
        let (head, body) = REFUSED.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head} {}", body.len());
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }
}
