//! How many at once: as many as the destination takes well. Pure.
//!
//! Additive increase, multiplicative decrease, as TCP does it (RFC 5681): one more for each round of answers while all
//! places are taken and answers stay about as fast as the fastest seen lately; half after trouble, once a round. Until the
//! first trouble every answer adds a place, so that a healthy destination has its maximum after a few rounds.

use std::time::Duration;

/// Where it starts, if the maximum allows: the default of `destination.concurrency`.
const START: usize = 8;
/// An answer counts as fast within twice the fastest and this: what a busy machine of our own adds is no sign of trouble.
const SLACK: Duration = Duration::from_millis(10);
/// How long the fastest answer is remembered: this long to twice as long.
const MEMORY: Duration = Duration::from_secs(60);

pub(super) struct Adaptive {
    limit: usize,
    max: usize,
    smallest: usize,
    /// No trouble yet.
    fresh: bool,
    /// Good answers since the limit last changed.
    good: usize,
    full_at: Option<Duration>,
    shrunk_at: Option<Duration>,
    fastest: Fastest,
}

impl Adaptive {
    pub(super) fn new(max: usize) -> Self {
        let max = max.max(1);
        let limit = max.min(START);
        Adaptive {
            limit,
            max,
            smallest: limit,
            fresh: true,
            good: 0,
            full_at: None,
            shrunk_at: None,
            fastest: Fastest::default(),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// The smallest limit since it was last forgotten.
    pub(super) fn smallest(&self) -> usize {
        self.smallest
    }

    pub(super) fn forget_smallest(&mut self) {
        self.smallest = self.limit;
    }

    /// Somebody waits for a place.
    pub(super) fn full(&mut self, now: Duration) {
        self.full_at = Some(now);
    }

    /// An attempt that began at `began` was answered at `now`, well.
    pub(super) fn succeeded(&mut self, began: Duration, now: Duration) {
        let latency = now.saturating_sub(began);
        let fastest = self.fastest.with(latency, now);
        let fast = latency <= fastest.saturating_mul(2).saturating_add(SLACK);
        let needed = self.full_at.is_some_and(|at| at >= began);
        if !fast || !needed || self.limit == self.max {
            return;
        }
        self.good += 1;
        if self.fresh || self.good >= self.limit {
            self.limit += 1;
            self.good = 0;
        }
    }

    /// An attempt that began at `began` met trouble: too busy, a server's fault, no connection, no answer in time.
    pub(super) fn failed(&mut self, began: Duration, now: Duration) {
        self.fresh = false;
        self.good = 0;
        // What was in flight already when it was halved last says nothing about how it is since.
        if self.shrunk_at.is_none_or(|at| began >= at) {
            self.limit = (self.limit / 2).max(1);
            self.smallest = self.smallest.min(self.limit);
            self.shrunk_at = Some(now);
        }
    }
}

/// The least of two spans of time, of which the older one is dropped when the newer one is over.
#[derive(Default)]
struct Fastest {
    since: Duration,
    current: Option<Duration>,
    before: Option<Duration>,
}

impl Fastest {
    /// Takes `latency` in; the fastest, itself included.
    fn with(&mut self, latency: Duration, now: Duration) -> Duration {
        if now.saturating_sub(self.since) >= MEMORY {
            (self.since, self.before) = (now, self.current.take());
        }
        let current = self.current.map_or(latency, |known| known.min(latency));
        self.current = Some(current);
        self.before.map_or(current, |before| before.min(current))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    /// A round: as many attempts as are allowed begin and end together, `latency` apart.
    fn round(limit: &mut Adaptive, now: &mut Duration, latency: Duration, well: bool) {
        let (began, in_flight) = (*now, limit.limit());
        limit.full(began);
        *now += latency;
        for _ in 0..in_flight {
            if well { limit.succeeded(began, *now) } else { limit.failed(began, *now) }
        }
    }

    #[test]
    fn rounds() {
        for (max, rounds, expected) in [
            // (milliseconds, well): the limit after each round.
            (64, &[(1, true), (1, true), (1, true), (1, true)][..], &[16, 32, 64, 64][..]),
            (4, &[(1, true)], &[4]),
            (1, &[(1, true), (1, false)], &[1, 1]),
            // Half after a bad round, and one more for each good one.
            (64, &[(1, true), (1, false), (1, true), (1, true)], &[16, 8, 9, 10]),
            (8, &[(1, false), (1, false), (1, false), (1, false), (1, true)], &[4, 2, 1, 1, 2]),
            // Answers that take much longer than the fastest hold it where it is.
            (64, &[(50, true), (111, true), (110, true)], &[16, 16, 32]),
        ] {
            let (mut limit, mut now) = (Adaptive::new(max), Duration::ZERO);
            for ((millis, well), expected) in rounds.iter().zip(expected) {
                round(&mut limit, &mut now, MS * *millis, *well);
                assert_eq!(limit.limit(), *expected, "at most {max}, {rounds:?}");
            }
        }
    }

    #[test]
    fn places_that_nobody_needs_are_not_added() {
        let mut limit = Adaptive::new(64);
        limit.full(Duration::ZERO);
        (1..100).for_each(|n| limit.succeeded(MS * n, MS * (n + 1)));
        assert_eq!(limit.limit(), 8);
    }

    #[test]
    fn a_destination_that_has_become_slower_for_good_is_measured_anew() {
        let (mut limit, mut now) = (Adaptive::new(64), Duration::ZERO);
        limit.succeeded(now, now + MS);
        now += MEMORY;
        limit.succeeded(now, now + MS * 100);
        now += MEMORY;
        limit.full(now);
        limit.succeeded(now, now + MS * 100);
        assert_eq!(limit.limit(), 9);
    }

    proptest! {
        #[test]
        fn always_between_one_and_the_maximum(
            max in 0usize..2000, ends in prop::collection::vec((any::<bool>(), 0u32..500, 0u32..500, any::<bool>()), 0..300)
        ) {
            let mut limit = Adaptive::new(max);
            let mut now = Duration::ZERO;
            for (well, passed, latency, full) in ends {
                now += MS * passed;
                if full {
                    limit.full(now);
                }
                let began = now.saturating_sub(MS * latency);
                let before = limit.limit();
                if well { limit.succeeded(began, now) } else { limit.failed(began, now) }
                prop_assert!((1..=max.max(1)).contains(&limit.limit()));
                let after = limit.limit();
                prop_assert!(after <= before + usize::from(well) && (!well || after >= before));
                prop_assert!(limit.smallest() <= limit.limit());
            }
        }
    }
}
