//! One connection: its handshake if there is one, and its requests one after the other.

use super::options::{HEADER_BYTES, HEADER_LINES, READ_AHEAD};
use super::progress::Progress;
use super::service::{Connection, Shared};
use super::slots::Slot;
use super::socket::Socket;
use super::stop::Seen;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

/// A connection that has its place.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: IpAddr,
    pub(super) slot: Slot,
    pub(super) shared: Arc<Shared>,
    pub(super) stop: Seen,
}

impl Accepted {
    /// Runs until it is closed.
    pub(super) async fn run(self, tls: Option<TlsAcceptor>) {
        let Accepted { stream, peer, slot, shared, stop } = self;
        // Held to the end, the handshake included.
        let _slot = slot;
        // Answers are small, and would otherwise wait for the client's acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let Some(tls) = tls else { return serve(stream, peer, shared, stop).await };
        match timeout(shared.options.head, tls.accept(stream)).await {
            Ok(Ok(stream)) => serve(stream, peer, shared, stop).await,
            Ok(Err(error)) => tracing::debug!(client = %peer, %error, "no TLS handshake"),
            Err(_) => tracing::debug!(client = %peer, "no TLS handshake in time"),
        }
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, peer: IpAddr, shared: Arc<Shared>, mut stop: Seen) {
    let progress = Arc::new(Progress::new(Instant::now()));
    let options = &shared.options;
    let socket = Socket::new(stream, Arc::clone(&progress), options.head, options.request);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // Starts to run when the last request has ended; `Socket` bounds heads.
        .header_read_timeout(options.idle)
        .max_headers(HEADER_LINES)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(READ_AHEAD)
        // A client that has sent all it has may shut its side and still wants its answer.
        .half_close(true);
    let context = Arc::new(Connection { shared: Arc::clone(&shared), peer, progress, stop: stop.clone() });
    let service = service_fn(move |request| {
        let context = Arc::clone(&context);
        async move { Ok::<_, Infallible>(context.serve(request).await) }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(socket), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.closing() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cut() => return tracing::warn!(client = %peer, "a connection was cut: its request took too long"),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(client = %peer, %error, "a connection ended early");
    }
}
