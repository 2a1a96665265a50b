//! A request's body on its way in: counted, and held to the request's time.
//!
//! Only the time in which the client is waited for counts. What we do before or between (looking a key up in a database that is slow) is
//! no reason for a 408, which tells the client that it was too slow.

use axum::body::{Body, Bytes};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// The body did not arrive in the time that a request has. To be answered 408.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request did not arrive in time")]
pub struct Late;

impl Late {
    /// Whether this is why a body's next bytes could not be had.
    pub fn is_cause_of(error: &(dyn std::error::Error + 'static)) -> bool {
        let causes = std::iter::successors(Some(error), |error| error.source());
        causes.into_iter().any(|cause| cause.is::<Late>())
    }
}

/// What came of a body.
#[derive(Debug, Default)]
pub(super) struct Meter {
    bytes: AtomicU64,
    ended: AtomicBool,
}

impl Meter {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether its end was seen, so that whatever comes next is another request.
    pub(super) fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

struct Metered {
    inner: Incoming,
    patience: Patience,
    meter: Arc<Meter>,
}

/// The body, and where it is counted. `left`: how long its bytes may be waited for, all together.
pub(super) fn metered(inner: Incoming, left: Duration) -> (Body, Arc<Meter>) {
    let meter = Arc::new(Meter { bytes: AtomicU64::new(0), ended: AtomicBool::new(inner.is_end_stream()) });
    let patience = Patience { left, waiting: None, timer: None };
    let body = Metered { inner, patience, meter: Arc::clone(&meter) };
    (Body::new(body), meter)
}

/// How long something may still be waited for.
struct Patience {
    left: Duration,
    /// Since when it is.
    waiting: Option<Instant>,
    /// Made when it is first waited for: most bodies are there with their head.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// Ready once it is over.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting.is_none() {
            let now = Instant::now();
            self.waiting = Some(now);
            let until = now + self.left;
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(until),
                None => self.timer = Some(Box::pin(tokio::time::sleep_until(until))),
            }
        }
        self.timer.as_mut().map_or(Poll::Pending, |timer| timer.as_mut().poll(cx))
    }

    /// It has come.
    fn pause(&mut self) {
        if let Some(since) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
    }
}

impl hyper::body::Body for Metered {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        let frame = Pin::new(&mut this.inner).poll_frame(cx);
        if frame.is_ready() {
            this.patience.pause();
        }
        match frame {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                this.meter.bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
                this.meter.ended.store(this.inner.is_end_stream(), Ordering::Relaxed);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.meter.ended.store(true, Ordering::Relaxed);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Pending => this.patience.poll_over(cx).map(|()| Some(Err(Late.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::time::{advance, timeout};

    #[tokio::test(start_paused = true)]
    async fn only_waiting_counts() {
        let second = Duration::from_secs(1);
        let mut patience = Patience { left: 10 * second, waiting: None, timer: None };
        advance(60 * second).await;
        for _ in 0..3 {
            let waited = timeout(3 * second, poll_fn(|cx| patience.poll_over(cx))).await;
            assert!(waited.is_err(), "9 s of 10");
            patience.pause();
            // Whatever we do with what has come.
            advance(60 * second).await;
        }
        let since = Instant::now();
        poll_fn(|cx| patience.poll_over(cx)).await;
        let waited = since.elapsed();
        assert!(waited >= second && waited < 2 * second, "{waited:?}");
    }
}
