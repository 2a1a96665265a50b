//! How fast and how many at once: the limits of one destination, shared by all its rows and runs.
//!
//! In: the job's rate and concurrency, and pauses that the destination asked for. Out: a [`Permit`] per attempt.
//! Always holds: nothing is let through while the destination is paused.
//! Deliberately absent: what a pause or a failure means (`verdict`), waits of single rows (`retry`), who waits (`desk`).

mod rate;

use crate::job::spec::Destination;
use rate::Pace;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Whether an attempt may be made.
pub(super) enum Admission {
    /// Now.
    Go(Permit),
    /// Not before then.
    At(Instant),
    /// Not before one of those in flight has ended.
    Full,
}

/// The right to make one attempt; held until its answer is read.
pub(super) struct Permit {
    limits: Arc<Limits>,
}

pub(super) struct Limits {
    /// The limiters know time as what has passed since then.
    start: Instant,
    state: Mutex<State>,
}

struct State {
    pace: Option<Pace>,
    concurrency: usize,
    in_flight: usize,
    paused_until: Duration,
}

impl Limits {
    pub(super) fn new(destination: &Destination) -> Arc<Self> {
        let state = State {
            pace: destination.rate.and_then(|rate| Pace::new(rate, None)),
            concurrency: destination.concurrency.max(1),
            in_flight: 0,
            paused_until: Duration::ZERO,
        };
        Arc::new(Limits { start: Instant::now(), state: Mutex::new(state) })
    }

    /// Asks for one more attempt now.
    pub(super) fn admit(self: &Arc<Self>) -> Admission {
        let now = self.start.elapsed();
        let mut state = self.lock();
        if state.in_flight >= state.concurrency {
            return Admission::Full;
        }
        if state.paused_until > now {
            return Admission::At(self.start + state.paused_until);
        }
        if let Some(Err(at)) = state.pace.as_mut().map(|pace| pace.admit(now)) {
            return Admission::At(self.start + at);
        }
        state.in_flight += 1;
        Admission::Go(Permit { limits: Arc::clone(self) })
    }

    /// Lets nothing leave for `time` from now. Never shortens a longer pause.
    pub(super) fn pause(&self, time: Duration) {
        let until = self.start.elapsed().saturating_add(time);
        let mut state = self.lock();
        state.paused_until = state.paused_until.max(until);
    }

    /// How many attempts may be in flight now.
    pub(super) fn concurrency(&self) -> usize {
        self.lock().concurrency
    }

    /// How many attempts the rate lets out in `time`.
    pub(super) fn within(&self, time: Duration) -> usize {
        self.lock().pace.as_ref().map_or(usize::MAX, |pace| pace.within(time))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limits.lock().in_flight -= 1;
    }
}
