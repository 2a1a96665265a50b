//! How fast and how many at once: the limits of one destination, shared by all its rows and runs.
//!
//! In: the job's rate and concurrency, how each attempt ended, and pauses that the destination asked for. Out: a [`Permit`]
//! per attempt, and a [`LimitsReport`].
//! Always holds: nothing is let through while the destination is paused or its breaker is open; no more are in flight than
//! is allowed, and no more than the rate lets out; an attempt takes of a limit only when all of them let it pass.
//! Deliberately absent: what a pause or a failure means (`verdict`), waits of single rows (`retry`), who waits (`desk`).
//!
//! Each limit is a pure state machine in a file of its own, to which time is what has passed since a start.

mod breaker;
mod budget;
mod concurrency;
mod latency;
mod rate;
mod report;
#[cfg(test)]
mod tests;
mod window;

pub(super) use breaker::Opened;
pub use report::{AttemptsReport, BreakerReport, ConcurrencyReport, LatencyReport, LimitsReport};

use super::verdict::{Attempt, FaultKind, Verdict};
use crate::job::spec::{Destination, Rate};
use crate::metrics::LimitsNow;
use breaker::{Breaker, Pass};
use budget::Budget;
use concurrency::Adaptive;
use latency::Histogram;
use rate::Pace;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What an attempt is to its row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    /// Its first.
    First,
    /// A further one, due since then.
    Retry(Instant),
}

/// What the breaker has seen of the destination in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing that would have opened it.
    Well,
    /// It has been open, and is closed again.
    Recovered,
    /// It is not closed.
    Down,
}

/// Whether an attempt may be made.
pub(super) enum Admission {
    /// Now.
    Go(Permit),
    /// Not before then.
    At(Instant),
    /// Not before one of those in flight has ended.
    Full,
    /// No retry before then; first attempts are another matter.
    NoBudget(Instant),
}

/// The right to make one attempt; held until its answer is read.
pub(super) struct Permit {
    limits: Arc<Limits>,
    began: Duration,
    era: u64,
    ended: bool,
}

pub(super) struct Limits {
    /// The limiters know time as what has passed since then.
    start: Instant,
    rate: Option<Rate>,
    /// How long the breaker may stay open within a run: `retry.max`.
    patience: Duration,
    state: Mutex<State>,
}

struct State {
    pace: Option<Pace>,
    concurrency: Adaptive,
    budget: Budget,
    breaker: Breaker,
    in_flight: usize,
    paused_until: Duration,
    seen: Seen,
}

/// What goes into the report, since the run began.
struct Seen {
    paused: Duration,
    opened_before: u64,
    retries: u64,
    retries_held: u64,
    attempts: AttemptsReport,
    latency: Histogram,
}

impl Seen {
    fn since(opened_before: u64) -> Self {
        Seen {
            paused: Duration::ZERO,
            opened_before,
            retries: 0,
            retries_held: 0,
            attempts: AttemptsReport::default(),
            latency: Histogram::new(),
        }
    }
}

impl Limits {
    pub(super) fn new(destination: &Destination) -> Arc<Self> {
        let state = State {
            pace: destination.rate.and_then(|rate| Pace::new(rate, destination.burst)),
            concurrency: Adaptive::new(destination.concurrency),
            budget: Budget::new(),
            breaker: Breaker::new(),
            in_flight: 0,
            paused_until: Duration::ZERO,
            seen: Seen::since(0),
        };
        let (rate, patience) = (destination.rate, destination.retry.max);
        Arc::new(Limits { start: Instant::now(), rate, patience, state: Mutex::new(state) })
    }

    /// A run begins: what is reported is reported from here on.
    pub(super) fn begin(&self) {
        let mut state = self.lock();
        state.seen = Seen::since(state.breaker.opened());
        state.concurrency.forget_smallest();
    }

    /// Asks for one more attempt now.
    pub(super) fn admit(self: &Arc<Self>, turn: Turn) -> Admission {
        let now = self.start.elapsed();
        let mut state = self.lock();
        if state.in_flight >= state.concurrency.limit() {
            state.concurrency.full(now);
            return Admission::Full;
        }
        if state.paused_until > now {
            return Admission::At(self.at(state.paused_until));
        }
        match state.breaker.check(now) {
            Pass::Go(_) => {}
            Pass::At(at) => return Admission::At(self.at(at)),
            Pass::Probing => return Admission::Full,
        }
        if let (Turn::Retry(_), Err(at)) = (turn, state.budget.check(now)) {
            return Admission::NoBudget(self.at(at));
        }
        if let Some(Err(at)) = state.pace.as_mut().map(|pace| pace.admit(now)) {
            return Admission::At(self.at(at));
        }
        let Pass::Go(era) = state.breaker.admit(now) else { return Admission::Full };
        match turn {
            Turn::First => state.budget.first(now),
            Turn::Retry(due) => {
                let held = state.budget.retry(due.saturating_duration_since(self.start), now);
                state.seen.retries += 1;
                state.seen.retries_held += u64::from(held);
            }
        }
        state.in_flight += 1;
        Admission::Go(Permit { limits: Arc::clone(self), began: now, era, ended: false })
    }

    /// Lets nothing leave for `time` from now. Never shortens a longer pause.
    pub(super) fn pause(&self, time: Duration) {
        let now = self.start.elapsed();
        let until = now.saturating_add(time);
        let mut state = self.lock();
        let more = until.saturating_sub(state.paused_until.max(now));
        state.seen.paused += more;
        state.paused_until = state.paused_until.max(until);
    }

    /// How the destination stands with the breaker.
    pub(super) fn standing(&self) -> Standing {
        let state = self.lock();
        match state.breaker.is_closed() {
            false => Standing::Down,
            true if state.breaker.opened() > state.seen.opened_before => Standing::Recovered,
            true => Standing::Well,
        }
    }

    /// How many attempts may be in flight now.
    pub(super) fn concurrency(&self) -> usize {
        self.lock().concurrency.limit()
    }

    /// How many attempts the rate lets out in `time`.
    pub(super) fn within(&self, time: Duration) -> usize {
        self.lock().pace.as_ref().map_or(usize::MAX, |pace| pace.within(time))
    }

    /// As they are at this moment.
    pub(super) fn now(&self) -> LimitsNow {
        let state = self.lock();
        LimitsNow { breaker: state.breaker.state(), concurrency: state.concurrency.limit(), in_flight: state.in_flight }
    }

    /// What happened since the run began.
    pub(super) fn report(&self) -> LimitsReport {
        let now = self.start.elapsed();
        let state = self.lock();
        let (seen, concurrency) = (&state.seen, &state.concurrency);
        let paused = seen.paused.saturating_sub(state.paused_until.saturating_sub(now));
        LimitsReport {
            rate: self.rate.map(|rate| f64::from(rate.quantity) / rate.per.as_secs_f64()),
            concurrency: ConcurrencyReport {
                now: concurrency.limit(),
                max: concurrency.max(),
                smallest: concurrency.smallest(),
            },
            breaker: BreakerReport {
                state: state.breaker.state().to_owned(),
                opened: state.breaker.opened() - seen.opened_before,
            },
            paused_seconds: paused.as_secs_f64(),
            retries: seen.retries,
            retries_held: seen.retries_held,
            attempts: seen.attempts,
            latency_ms: LatencyReport::of(&seen.latency),
        }
    }

    fn at(&self, time: Duration) -> Instant {
        // A time that the clock cannot hold is as good as never.
        self.start.checked_add(time).unwrap_or_else(|| self.start + Duration::from_secs(1 << 30))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The attempt has ended. Returns whether that opened the breaker. `random`: any 128 random bits.
    pub(super) fn ended(mut self, attempt: &Attempt, verdict: &Verdict, random: u128) -> Option<Opened> {
        self.ended = true;
        let now = self.limits.start.elapsed();
        let mut guard = self.limits.lock();
        let state = &mut *guard;
        state.seen.attempts.count(verdict);
        state.in_flight -= 1;
        let health = Health::of(attempt);
        match health {
            // It has not come near the destination.
            Health::Unsent => {
                state.breaker.abandoned(self.era, now);
                return None;
            }
            Health::Well => state.concurrency.succeeded(self.began, now),
            Health::Busy | Health::Failing => state.concurrency.failed(self.began, now),
        }
        state.seen.latency.add(now - self.began);
        state.breaker.ended(self.era, health == Health::Failing, now, self.limits.patience, random)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.ended {
            let now = self.limits.start.elapsed();
            let mut state = self.limits.lock();
            state.in_flight -= 1;
            state.breaker.abandoned(self.era, now);
        }
    }
}

/// What an attempt says of how the destination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    /// Nothing.
    Unsent,
    Well,
    /// Up, and too busy.
    Busy,
    /// Down, or as good as.
    Failing,
}

impl Health {
    fn of(attempt: &Attempt) -> Self {
        match attempt {
            Attempt::Failed(fault) if fault.kind == FaultKind::Invalid => Health::Unsent,
            Attempt::Failed(_) => Health::Failing,
            Attempt::Answered(answer) if answer.broken.is_some() || answer.status >= 500 => Health::Failing,
            Attempt::Answered(answer) if answer.status == 429 => Health::Busy,
            Attempt::Answered(_) => Health::Well,
        }
    }
}
