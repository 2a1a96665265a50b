//! A request's body on its way in: counted, and held to the request's time.

use axum::body::{Body, Bytes};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
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
    deadline: Instant,
    /// Made when the body first waits: most are there with their head.
    timer: Option<Pin<Box<Sleep>>>,
    meter: Arc<Meter>,
}

/// The body, and where it is counted.
pub(super) fn metered(inner: Incoming, deadline: Instant) -> (Body, Arc<Meter>) {
    let meter = Arc::new(Meter { bytes: AtomicU64::new(0), ended: AtomicBool::new(inner.is_end_stream()) });
    let body = Metered { inner, deadline, timer: None, meter: Arc::clone(&meter) };
    (Body::new(body), meter)
}

impl hyper::body::Body for Metered {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
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
            Poll::Pending => {
                let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(this.deadline)));
                timer.as_mut().poll(cx).map(|()| Some(Err(Late.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
