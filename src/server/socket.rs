//! A connection's socket with the bounds that hyper does not keep: how long a head may take, how long an answer may be left unread, and
//! a close that lets the client read the answer first.
//!
//! hyper's own bound on heads starts to run when the last request has ended, so it is the bound on idle connections; here the clock starts with
//! the first byte.
//!
//! An answer has its time as a whole, from when a write first has to wait until all of it has left: a client that reads a byte now and then
//! gains nothing by it.

use super::progress::Progress;
use axum::body::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long a client may go on sending what nobody reads, once it has its answer. A socket that is closed with bytes unread is
/// reset, and a reset can overtake the answer.
const LINGER: Duration = Duration::from_secs(2);
/// How much of it.
const LINGER_BYTES: usize = 1024 * 1024;

pub(super) struct Socket<S> {
    inner: S,
    progress: Arc<Progress>,
    head: Duration,
    unread: Duration,
    /// To be read before whatever comes.
    given_back: Bytes,
    /// Since when the answer under way has waited for the client to read.
    stalled: Option<Instant>,
    /// Until when a close lingers, and for how many bytes.
    lingering: Option<(Instant, usize)>,
    /// Made when it is first needed.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Socket<S> {
    /// `head`, `unread`: how long each may take.
    pub(super) fn new(inner: S, progress: Arc<Progress>, head: Duration, unread: Duration) -> Socket<S> {
        Socket { inner, progress, head, unread, given_back: Bytes::new(), stalled: None, lingering: None, timer: None }
    }

    /// What was read of it and not used, to be read again.
    pub(super) fn give_back(&mut self, bytes: Bytes) {
        self.given_back = bytes;
    }

    /// Ready once it is too late. Reads and writes wait at once, so the timer is set to what is nearest.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Instant, other: Option<Instant>) -> Poll<()> {
        if deadline <= Instant::now() {
            return Poll::Ready(());
        }
        let nearest = other.map_or(deadline, |other| deadline.min(other));
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(nearest)));
        if timer.deadline() != nearest {
            timer.as_mut().reset(nearest);
        }
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) if deadline <= Instant::now() => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    fn head_deadline(&self) -> Option<Instant> {
        self.progress.owed_since().map(|since| since + self.head)
    }

    /// What a write came to. An answer that waits is bounded; one that goes on is not over.
    fn written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.progress.wrote();
            return written;
        }
        let since = *self.stalled.get_or_insert_with(Instant::now);
        let other = self.head_deadline();
        ready!(self.poll_deadline(cx, since + self.unread, other));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.given_back.is_empty() {
            let length = this.given_back.len().min(buf.remaining());
            buf.put_slice(&this.given_back.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.inner).poll_read(cx, buf) {
            if buf.filled().len() > before {
                this.progress.arrived(Instant::now());
            }
            return Poll::Ready(read);
        }
        let Some(deadline) = this.head_deadline() else { return Poll::Pending };
        let other = this.stalled.map(|since| since + this.unread);
        ready!(this.poll_deadline(cx, deadline, other));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the request's head did not arrive in time")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        if flushed.is_pending() {
            return self.written(cx, flushed);
        }
        // hyper asks for it once it has written all that it has.
        self.stalled = None;
        self.progress.flushed();
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.progress.closes();
        if this.lingering.is_none() {
            let shut = Pin::new(&mut this.inner).poll_shutdown(cx);
            ready!(this.written(cx, shut))?;
            if !this.progress.is_midway() {
                return Poll::Ready(Ok(()));
            }
        }
        let (until, mut left) = *this.lingering.get_or_insert_with(|| (Instant::now() + LINGER, LINGER_BYTES));
        let mut bytes = [0; 8 * 1024];
        loop {
            let mut buf = ReadBuf::new(&mut bytes);
            match Pin::new(&mut this.inner).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() && left > buf.filled().len() => {
                    left -= buf.filled().len();
                    this.lingering = Some((until, left));
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    ready!(this.poll_deadline(cx, until, None));
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const UNREAD: Duration = Duration::from_secs(10);

    /// A socket over a line that holds 16 bytes, and its other end.
    fn narrow() -> (Socket<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (inner, other) = tokio::io::duplex(16);
        let progress = Arc::new(Progress::new(Instant::now()));
        (Socket::new(inner, progress, Duration::from_secs(5), UNREAD), other)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_its_time_as_a_whole() {
        let (mut socket, mut client) = narrow();
        let begun = Instant::now();
        let trickle = async {
            // Each read lets a write go on; all of the answer would take 100 s.
            while client.read_u8().await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let answer = async {
            let error = socket.write_all(&[0; 100]).await.expect_err("it is cut");
            drop(socket);
            (error.kind(), begun.elapsed())
        };
        let ((kind, after), ()) = tokio::join!(answer, trickle);
        assert_eq!(kind, io::ErrorKind::TimedOut);
        assert!(after >= UNREAD && after < 2 * UNREAD, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn each_answer_has_a_time_of_its_own() {
        let (mut socket, mut client) = narrow();
        let begun = Instant::now();
        let read = async {
            let mut bytes = [0; 10];
            while client.read_exact(&mut bytes).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let answers = async {
            for _ in 0..10 {
                socket.write_all(&[0; 60]).await.expect("it is read in time");
                socket.flush().await.expect("flushed");
            }
            drop(socket);
            begun.elapsed()
        };
        let (after, ()) = tokio::join!(answers, read);
        assert!(after > 4 * UNREAD, "{after:?}: together they take longer than one may");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_given_back_is_read_first() {
        let (mut socket, mut client) = narrow();
        client.write_all(b"new").await.expect("room");
        drop(client);
        socket.give_back(Bytes::from_static(b"old, "));
        let (mut start, mut rest) = ([0; 2], String::new());
        socket.read_exact(&mut start).await.expect("read");
        socket.read_to_string(&mut rest).await.expect("read");
        assert_eq!((&start, rest.as_str()), (b"ol", "d, new"));
    }
}
