//! Where a connection is: what its next byte would belong to, and since when.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// Shared by a connection's socket, which sees bytes, and its requests' handler, which sees requests.
#[derive(Debug)]
pub(super) struct Progress(Mutex<State>);

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    /// Something was written that may not have left yet.
    unflushed: bool,
    /// The close has begun.
    closing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Opened then; nothing has come yet.
    Opened(Instant),
    /// The first byte of a request's head came then, and not all of it is there.
    Head(Instant),
    /// A request is being served.
    Request,
    /// The last request was answered then. `unread`: of its body more may come, which nobody will read.
    Answered { since: Instant, unread: bool },
}

impl Progress {
    pub(super) fn new(now: Instant) -> Progress {
        Progress(Mutex::new(State { phase: Phase::Opened(now), unflushed: false, closing: false }))
    }

    /// Bytes have come.
    pub(super) fn arrived(&self, now: Instant) {
        let mut state = self.lock();
        // What is left of a body that nobody read is thrown away with the answer, or ends the connection. So if this is not the
        // next head, nothing will follow it.
        if matches!(state.phase, Phase::Opened(_) | Phase::Answered { .. }) {
            state.phase = Phase::Head(now);
        }
    }

    /// A part of the next head had come with the request before it, whose answer was given at `since`: from then on it was owed.
    pub(super) fn found(&self, since: Instant) {
        self.lock().phase = Phase::Head(since);
    }

    /// Since when the client has owed the rest of a head; `None`: it owes none.
    pub(super) fn owed_since(&self) -> Option<Instant> {
        match self.lock().phase {
            Phase::Opened(since) | Phase::Head(since) => Some(since),
            Phase::Request | Phase::Answered { .. } => None,
        }
    }

    /// Whether a part of a head has come.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.lock().phase, Phase::Head(_))
    }

    /// Since when the last request has been answered, if all of its answer has left and nothing has come since.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        match *self.lock() {
            State { phase: Phase::Answered { since, .. }, unflushed: false, closing: false } => Some(since),
            _ => None,
        }
    }

    /// A head is complete. Returns when its first byte came; of a request that came together with the one before it, when its turn came.
    pub(super) fn begin(&self, now: Instant) -> Instant {
        match std::mem::replace(&mut self.lock().phase, Phase::Request) {
            Phase::Head(since) => since,
            _ => now,
        }
    }

    /// The request has its answer.
    pub(super) fn end(&self, now: Instant, unread: bool) {
        self.lock().phase = Phase::Answered { since: now, unread };
    }

    /// A part of an answer was written.
    pub(super) fn wrote(&self) {
        self.lock().unflushed = true;
    }

    /// All that was written has left.
    pub(super) fn flushed(&self) {
        self.lock().unflushed = false;
    }

    /// The connection is being closed.
    pub(super) fn closes(&self) {
        self.lock().closing = true;
    }

    /// Whether a client may be in the middle of sending while the connection is closed.
    pub(super) fn is_midway(&self) -> bool {
        matches!(self.lock().phase, Phase::Head(_) | Phase::Request | Phase::Answered { unread: true, .. })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        progress.end(at(4), false);
        assert_eq!((progress.owed_since(), progress.is_midway()), (None, false), "idle");
        assert_eq!(progress.begin(at(5)), at(5), "it came with the one before");
        progress.end(at(6), false);
        progress.arrived(at(9));
        assert_eq!(progress.begin(at(10)), at(9));
        progress.end(at(10), true);
        assert_eq!((progress.owed_since(), progress.is_midway()), (None, true));
        progress.arrived(at(11));
        assert_eq!(progress.owed_since(), Some(at(11)), "the next head, for all that is known");
        progress.begin(at(12));
        progress.end(at(13), false);
        progress.found(at(13));
        assert_eq!(progress.owed_since(), Some(at(13)), "it had come with the one before");
    }

    #[test]
    fn it_is_idle_once_the_answer_has_left() {
        let now = Instant::now();
        let progress = Progress::new(now);
        assert_eq!((progress.idle_since(), progress.is_in_head()), (None, false));
        progress.arrived(now);
        assert_eq!((progress.idle_since(), progress.is_in_head()), (None, true));
        progress.begin(now);
        assert_eq!((progress.idle_since(), progress.is_in_head()), (None, false));
        progress.end(now, false);
        progress.wrote();
        assert_eq!(progress.idle_since(), None, "the answer is on its way");
        progress.flushed();
        assert_eq!(progress.idle_since(), Some(now));
        progress.closes();
        assert_eq!(progress.idle_since(), None);
    }
}
