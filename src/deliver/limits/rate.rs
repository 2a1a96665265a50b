//! So many requests in so much time, evenly. Pure.
//!
//! The generic cell rate algorithm (ITU-T I.371): requests that keep the rate have a due time each, one interval apart;
//! a burst lets one leave ahead of its due time by as many intervals. Nothing else is saved up, however long it was idle.

use crate::job::spec::Rate;
use std::time::Duration;

/// Timers are exact to about a millisecond. A burst of what the rate allows in this time keeps a high rate reachable
/// and leaves a low one (50/s) perfectly even.
const SMOOTHING: Duration = Duration::from_millis(10);

pub(super) struct Pace {
    interval: Duration,
    /// How far ahead of its due time a request may leave.
    ahead: Duration,
    /// When the next request is due.
    due: Duration,
}

impl Pace {
    /// `None`: more than one request a nanosecond is no limit. `burst`: so many at once after idle time; by default what
    /// the rate allows in 10 ms, at least 1.
    pub(super) fn new(rate: Rate, burst: Option<u32>) -> Option<Self> {
        let interval = rate.per / rate.quantity.max(1);
        let smooth = SMOOTHING.as_nanos().checked_div(interval.as_nanos())?;
        let burst = burst.unwrap_or(u32::try_from(smooth).unwrap_or(u32::MAX)).max(1);
        Some(Pace { interval, ahead: interval.saturating_mul(burst - 1), due: Duration::ZERO })
    }

    /// Lets a request leave at `now`, or says when to ask again.
    pub(super) fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        let earliest = self.due.saturating_sub(self.ahead);
        if now < earliest {
            return Err(earliest);
        }
        self.due = self.due.max(now).saturating_add(self.interval);
        Ok(())
    }

    /// How many leave in `time` at most, without a burst; at least 1.
    pub(super) fn within(&self, time: Duration) -> usize {
        let count = time.as_nanos() / self.interval.as_nanos().max(1);
        usize::try_from(count).unwrap_or(usize::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// When the last of `admissions` leaves, if each does as soon as it may.
    fn last(pace: &mut Pace, from: Duration, admissions: u32) -> Duration {
        let mut now = from;
        for _ in 0..admissions {
            while let Err(at) = pace.admit(now) {
                assert!(at > now, "to ask again at once would be a busy loop");
                now = at;
            }
        }
        now
    }

    #[test]
    fn rates_are_kept_evenly() {
        let ms = Duration::from_millis;
        for (quantity, per, burst, admissions, expected) in [
            // 51 need 50 intervals: nothing is saved up beforehand.
            (50, SECOND, None, 51, ms(1000)),
            (50, SECOND, None, 2, ms(20)),
            (60, SECOND * 60, None, 11, SECOND * 10),
            // A hundred at once, so that coarse timers do not slow a fast rate down.
            (10_000, SECOND, None, 100, ms(0)),
            (10_000, SECOND, None, 10_100, ms(1000)),
            (50, SECOND, Some(10), 10, ms(0)),
            (50, SECOND, Some(10), 60, ms(1000)),
            (50, SECOND, Some(0), 2, ms(20)),
        ] {
            let mut pace = Pace::new(Rate { quantity, per }, burst).unwrap();
            assert_eq!(last(&mut pace, Duration::ZERO, admissions), expected, "{admissions} at {quantity} in {per:?}");
        }
        assert!(Pace::new(Rate { quantity: u32::MAX, per: ms(1) }, None).is_none());
    }

    #[test]
    fn after_idle_time_only_the_burst_is_there() {
        let mut pace = Pace::new(Rate { quantity: 10, per: SECOND }, Some(5)).unwrap();
        last(&mut pace, Duration::ZERO, 1);
        let from = SECOND * 3600;
        assert_eq!(last(&mut pace, from, 5), from);
        assert_eq!(last(&mut pace, from, 1), from + SECOND / 10);
    }

    #[test]
    fn what_leaves_in_a_while() {
        for (quantity, time, expected) in [(50, 100, 5), (1, 100, 1), (10_000, 100, 1000)] {
            let pace = Pace::new(Rate { quantity, per: SECOND }, None).unwrap();
            assert_eq!(pace.within(Duration::from_millis(time)), expected, "{quantity}/s");
        }
    }

    proptest! {
        #[test]
        fn no_span_lets_more_leave_than_rate_and_burst(
            quantity in 1u32..2000, burst in 1u32..50, asks in prop::collection::vec(0u64..20_000, 1..300)
        ) {
            let mut pace = Pace::new(Rate { quantity, per: SECOND }, Some(burst)).unwrap();
            let interval = SECOND / quantity;
            let (mut now, mut left) = (Duration::ZERO, Vec::new());
            for ask in asks {
                now += Duration::from_micros(ask);
                if pace.admit(now).is_ok() {
                    left.push(now);
                }
            }
            for (i, from) in left.iter().enumerate() {
                for (n, to) in left[i..].iter().enumerate() {
                    let most = (*to - *from).as_nanos() / interval.as_nanos() + u128::from(burst);
                    prop_assert!((n as u128) < most + 1, "{} in {:?}", n + 1, *to - *from);
                }
            }
        }
    }
}
