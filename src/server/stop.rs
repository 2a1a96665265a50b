//! How a server ends, step by step.
//!
//! Running → Stopping (no new connections; what is asked for from now on is answered 503 and told to close) → Closing (idle connections are closed, each
//! other after the request that it is at) → Cut. A client that is just about to ask on a kept connection is so told to ask elsewhere, instead of
//! finding it closed.

use tokio::sync::watch;
use tokio::time::Instant;

/// In the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Running,
    /// Since then.
    Stopping(Instant),
    Closing(Instant),
    Cut(Instant),
}

/// What a connection sees of it. As long as one is there, the server is not at its end.
#[derive(Debug, Clone)]
pub(super) struct Seen(pub(super) watch::Receiver<Phase>);

impl Seen {
    /// Whether a request whose first byte came at `began` is to go elsewhere.
    pub(super) fn turns_away(&self, began: Instant) -> bool {
        self.stopping_since().is_some_and(|since| began > since)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping_since().is_some()
    }

    fn stopping_since(&self) -> Option<Instant> {
        match *self.0.borrow() {
            Phase::Running => None,
            Phase::Stopping(since) | Phase::Closing(since) | Phase::Cut(since) => Some(since),
        }
    }

    /// Waits for idle connections to be closed.
    pub(super) async fn closing(&mut self) {
        // An error: the server is gone, which closes everything.
        let _ = self.0.wait_for(|phase| matches!(phase, Phase::Closing(_) | Phase::Cut(_))).await;
    }

    /// Waits for the end of all patience.
    pub(super) async fn cut(&mut self) {
        let _ = self.0.wait_for(|phase| matches!(phase, Phase::Cut(_))).await;
    }
}
