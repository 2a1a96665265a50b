//! Where a connection is: what its next byte would belong to, and since when.

use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// Shared by a connection's socket, which sees bytes, and its requests' handler, which sees requests.
#[derive(Debug)]
pub(super) struct Progress(Mutex<Phase>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Opened then; nothing has come yet.
    Opened(Instant),
    /// The first byte of a request's head came then, and not all of it is there.
    Head(Instant),
    /// A request is being served.
    Request,
    /// The last request is answered. `unread`: of its body more may come, which nobody will read.
    Answered { unread: bool },
}

impl Progress {
    pub(super) fn new(now: Instant) -> Progress {
        Progress(Mutex::new(Phase::Opened(now)))
    }

    /// Bytes have come.
    pub(super) fn arrived(&self, now: Instant) {
        self.change(|phase| match phase {
            // What is left of a body that nobody read is thrown away with the answer, or ends the connection. So if this is not the
            // next head, nothing will follow it.
            Phase::Opened(_) | Phase::Answered { .. } => Phase::Head(now),
            other => other,
        });
    }

    /// Since when the client has owed the rest of a head; `None`: it owes none.
    pub(super) fn owed_since(&self) -> Option<Instant> {
        match self.get() {
            Phase::Opened(since) | Phase::Head(since) => Some(since),
            Phase::Request | Phase::Answered { .. } => None,
        }
    }

    /// A head is complete. Returns when its first byte came; of a request that came together with the one before it, when its turn came.
    pub(super) fn begin(&self, now: Instant) -> Instant {
        match self.change(|_| Phase::Request) {
            Phase::Head(since) => since,
            _ => now,
        }
    }

    /// The request has its answer.
    pub(super) fn end(&self, unread: bool) {
        self.change(|_| Phase::Answered { unread });
    }

    /// Whether a client may be in the middle of sending while the connection is closed.
    pub(super) fn is_midway(&self) -> bool {
        matches!(self.get(), Phase::Head(_) | Phase::Request | Phase::Answered { unread: true })
    }

    fn get(&self) -> Phase {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what it was.
    fn change(&self, to: impl FnOnce(Phase) -> Phase) -> Phase {
        let mut phase = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was = *phase;
        *phase = to(was);
        was
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_clock_starts_with_the_first_byte() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let progress = Progress::new(at(0));
        assert_eq!((progress.owed_since(), progress.is_midway()), (Some(at(0)), false));
        progress.arrived(at(1));
        progress.arrived(at(2));
        assert_eq!((progress.owed_since(), progress.is_midway()), (Some(at(1)), true));
        assert_eq!(progress.begin(at(3)), at(1));
        progress.arrived(at(4)); // of its body
        assert_eq!(progress.owed_since(), None);
        progress.end(false);
        assert_eq!((progress.owed_since(), progress.is_midway()), (None, false), "idle");
        assert_eq!(progress.begin(at(5)), at(5), "it came with the one before");
        progress.end(false);
        progress.arrived(at(9));
        assert_eq!(progress.begin(at(10)), at(9));
        progress.end(true);
        assert_eq!((progress.owed_since(), progress.is_midway()), (None, true));
        progress.arrived(at(11));
        assert_eq!(progress.owed_since(), Some(at(11)), "the next head, for all that is known");
    }
}
