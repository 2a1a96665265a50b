//! How fast and how many at once: the limits of one destination, shared by all its rows.
//!
//! In: the job's rate and concurrency, and pauses that the destination asked for. Out: a [`Permit`] per attempt.
//! Always holds: permits are handed out in the order in which they were asked for; none while the destination is paused.
//! Deliberately absent: what a pause or a failure means (`verdict`), waits of single rows (`retry`).

use crate::job::spec::Rate;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

/// Timers are exact to about a millisecond. A burst of what the rate allows in this time keeps a high rate reachable
/// and leaves a low one (50/s) perfectly even.
const SMOOTHING: Duration = Duration::from_millis(10);

/// The right to make one attempt; held until its answer is read.
pub(super) struct Permit {
    _slot: OwnedSemaphorePermit,
}

pub(super) struct Limits {
    slots: Arc<Semaphore>,
    /// Behind a queue, so that at any time one waiter sleeps for the next slot and not a thousand.
    rate: Option<Mutex<Limiter>>,
    paused_until: SyncMutex<Option<Instant>>,
}

impl Limits {
    pub(super) fn new(concurrency: usize, rate: Option<Rate>) -> Self {
        Limits {
            slots: Arc::new(Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS))),
            rate: rate.and_then(quota).map(|q| Mutex::new(RateLimiter::direct_with_clock(q, TokioClock::new()))),
            paused_until: SyncMutex::new(None),
        }
    }

    /// Waits until one more attempt may be made. Cancel-safe.
    pub(super) async fn admit(&self) -> Permit {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        // The semaphore is never closed; were it, waiting for ever would be the safe end.
        let Ok(slot) = slot else { return std::future::pending().await };
        self.turn().await;
        Permit { _slot: slot }
    }

    async fn turn(&self) {
        let Some(rate) = &self.rate else { return self.pause_over().await };
        let limiter = rate.lock().await;
        loop {
            self.pause_over().await;
            match limiter.check() {
                Ok(()) => return,
                // The pause is looked at again after this sleep.
                Err(early) => sleep(early.wait_time_from(limiter.clock().now())).await,
            }
        }
    }

    /// Lets nothing leave for `time` from now. Never shortens a longer pause.
    pub(super) fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut paused = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        *paused = Some(paused.map_or(until, |earlier| earlier.max(until)));
    }

    async fn pause_over(&self) {
        loop {
            let until = *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
            match until {
                Some(until) if until > Instant::now() => sleep_until(until).await,
                _ => return,
            }
        }
    }
}

/// `None`: more than one request a nanosecond is no limit.
fn quota(rate: Rate) -> Option<Quota> {
    let interval = rate.per / rate.quantity.max(1);
    let burst = SMOOTHING.as_nanos().checked_div(interval.as_nanos())?;
    let burst = NonZeroU32::new(u32::try_from(burst).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
    Some(Quota::with_period(interval)?.allow_burst(burst))
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Nanos>>;

/// The limiter reads the same time that its sleeps are measured in.
#[derive(Debug, Clone)]
struct TokioClock {
    start: Instant,
}

impl TokioClock {
    fn new() -> Self {
        TokioClock { start: Instant::now() }
    }
}

impl Clock for TokioClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.start.elapsed().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check_rate(quantity: u32, per: Duration, admissions: u32, least: Duration, most: Duration) {
        let limits = Limits::new(1, Some(Rate { quantity, per }));
        let start = Instant::now();
        for _ in 0..admissions {
            drop(limits.admit().await);
        }
        let took = start.elapsed();
        assert!(took >= least && took <= most, "{admissions} at {quantity} in {per:?} took {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn rates_are_kept_evenly() {
        let second = Duration::from_secs(1);
        let ms = Duration::from_millis;
        // 51 need 50 intervals: nothing is saved up beforehand.
        check_rate(50, second, 51, ms(1000), ms(1100)).await;
        check_rate(50, second, 2, ms(20), ms(22)).await;
        check_rate(60, second * 60, 11, second * 10, second * 11).await;
        // A fast rate is reached although timers are coarse.
        check_rate(10_000, second, 10_001, ms(980), ms(1150)).await;
        check_rate(u32::MAX, ms(1), 1000, ms(0), ms(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_everyone_and_is_never_shortened() {
        for rate in [None, Some(Rate { quantity: 1000, per: Duration::from_secs(1) })] {
            let limits = Limits::new(4, rate);
            let start = Instant::now();
            limits.pause(Duration::from_secs(30));
            limits.pause(Duration::from_secs(5));
            let (a, b) = tokio::join!(limits.admit(), limits.admit());
            assert!(start.elapsed() >= Duration::from_secs(30), "{:?}", start.elapsed());
            drop((a, b));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slots_bound_what_is_in_flight() {
        let limits = Limits::new(2, None);
        let first = limits.admit().await;
        let _second = limits.admit().await;
        let waited = tokio::time::timeout(Duration::from_secs(60), limits.admit()).await;
        assert!(waited.is_err());
        drop(first);
        let _third = limits.admit().await;
    }
}
