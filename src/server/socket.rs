//! A connection's socket with the bounds that hyper does not keep: how long a head may take, how long an answer may be left unread, and
//! a close that lets the client read the answer first.
//!
//! hyper's own bound on heads starts to run when the last request has ended, so it is the bound on idle connections; here the clock starts with
//! the first byte.

use super::progress::Progress;
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
    /// Since when a write has waited for the client to read.
    stalled: Option<Instant>,
    /// Until when a close lingers, and for how many bytes.
    lingering: Option<(Instant, usize)>,
    /// Made when it is first needed.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Socket<S> {
    /// `head`, `unread`: how long each may take.
    pub(super) fn new(inner: S, progress: Arc<Progress>, head: Duration, unread: Duration) -> Socket<S> {
        Socket { inner, progress, head, unread, stalled: None, lingering: None, timer: None }
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

    /// What a write came to. One that waits is bounded.
    fn written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
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
        let written = Pin::new(&mut self.inner).poll_flush(cx);
        self.written(cx, written)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
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
