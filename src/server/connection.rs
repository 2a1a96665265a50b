//! One connection: its handshake if there is one, and its requests one after the other.

use super::options::{HEADER_BYTES, HEADER_LINES, Options, READ_AHEAD};
use super::progress::Progress;
use super::service::{Connection, Shared};
use super::slots::Slot;
use super::socket::Socket;
use super::stop::Seen;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, Parts};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

/// HTTP over a connection's socket.
type Http<S, H> = http1::Connection<TokioIo<Socket<S>>, H>;

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
            tracing::debug!(event = "nodelay_failed", %error, "TCP_NODELAY");
        }
        let Some(tls) = tls else { return serve(stream, (peer, false), shared, stop).await };
        match timeout(shared.options.head, tls.accept(stream)).await {
            Ok(Ok(stream)) => serve(stream, (peer, true), shared, stop).await,
            Ok(Err(error)) => {
                tracing::debug!(event = "tls_handshake_failed", client = %peer, %error, "no TLS handshake")
            }
            Err(_) => tracing::debug!(event = "tls_handshake_overdue", client = %peer, "no TLS handshake in time"),
        }
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    (peer, is_tls): (IpAddr, bool),
    shared: Arc<Shared>,
    mut stop: Seen,
) {
    let progress = Arc::new(Progress::new(Instant::now()));
    let options = &Arc::clone(&shared).options;
    let socket = Socket::new(stream, Arc::clone(&progress), options.head, options.request);
    let context = Arc::new(Connection { shared, peer, is_tls, progress: Arc::clone(&progress), stop: stop.clone() });
    let service = service_fn(move |request| {
        let context = Arc::clone(&context);
        async move { Ok::<_, Infallible>(context.serve(request).await) }
    });
    let served = http(options.idle).serve_connection(TokioIo::new(socket), service);
    let ended = match until_closing(served, &progress, options, &mut stop).await {
        Ended::Itself(ended) => ended,
        Ended::ToClose(mut http) => {
            // A head under way has its time still. hyper would take a kept connection for idle; the answer closes it all the same.
            if !progress.is_in_head() {
                Pin::new(&mut http).graceful_shutdown();
            }
            tokio::select! {
                ended = http => ended,
                () = stop.cut() => return tracing::warn!(event = "connection_cut", client = %peer, "a connection was cut: its request took too long"),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(event = "connection_ended_early", client = %peer, %error, "a connection ended early");
    }
}

enum Ended<H> {
    Itself(hyper::Result<()>),
    /// The server ends, and idle connections are to be closed.
    ToClose(H),
}

/// Serves, and looks after `Options::head` of idleness whether that is what it is.
async fn until_closing<S, H>(
    mut http: Http<S, H>,
    progress: &Progress,
    options: &Options,
    stop: &mut Seen,
) -> Ended<Http<S, H>>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Unpin,
{
    let (mut look, mut looked) = (Instant::now() + options.head, None);
    loop {
        let closing = tokio::select! {
            // What has come is read before it is asked whether anything has.
            biased;
            ended = &mut http => return Ended::Itself(ended),
            () = stop.closing() => true,
            () = sleep_until(look) => false,
        };
        let (now, idle) = (Instant::now(), progress.idle_since());
        look = now + options.head;
        match idle {
            Some(since) if !closing && since + options.head > now => look = since + options.head,
            // Once for each time that it is idle.
            Some(since) if looked != idle => {
                let left = (since + options.idle).saturating_duration_since(now);
                http = taken_apart(http, since, progress, left);
                looked = idle;
            }
            _ => {}
        }
        if closing {
            return Ended::ToClose(http);
        }
    }
}

/// `idle`: how long a connection is kept from its last answer on.
fn http(idle: Duration) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // Starts to run when the last request has ended; `Socket` bounds heads.
        .header_read_timeout(idle)
        .max_headers(HEADER_LINES)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(READ_AHEAD)
        // A client that has sent all it has may shut its side and still wants its answer.
        .half_close(true);
    http
}

/// Looks whether a part of the next head came together with the request that was answered at `since`. The socket cannot know: hyper
/// has read it, and where a request ends is known to hyper alone. It tells what it has read and not used when a connection
/// is taken apart, which loses nothing while it is idle; and with that, it goes on as before.
fn taken_apart<S, H>(http: Http<S, H>, since: Instant, progress: &Progress, idle: Duration) -> Http<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Unpin,
{
    let Parts { io, read_buf, service, .. } = http.into_parts();
    let mut socket = io.into_inner();
    // Line ends between requests are nothing (RFC 9112, 2.2); old clients send some.
    if read_buf.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
        progress.found(since);
        socket.give_back(read_buf);
    }
    self::http(idle).serve_connection(TokioIo::new(socket), service)
}
