//! How many at once: as many as the destination takes well. Pure.
//!
//! Additive increase, multiplicative decrease, as TCP does it (RFC 5681): one more for each round of answers while all
//! places are taken and answers stay about as fast as the fastest seen lately; half after trouble, once a round. Until the
//! first trouble every answer adds a place, so that a healthy destination has its maximum after a few rounds.
//!
//! Answers that are good and slow take a place for each round whose median is well above that of the best round lately, as
//! TCP Vegas does it: a queue grows at the destination. Between "fast" and "slow" the limit stays. A destination that has
//! become slower for another reason is measured anew once the better rounds are forgotten.

use std::time::Duration;

/// Where it starts, if the maximum allows: the default of `destination.concurrency`.
const START: usize = 8;
/// An answer counts as fast within twice the fastest and this: what a busy machine of our own adds is no sign of trouble.
const SLACK: Duration = Duration::from_millis(10);
/// A round is slow whose median is above so many times that of the best round and twice the slack.
const SLOW: u32 = 3;
/// A round is as many answers as there are places, and at least so many: fewer have no median worth the name.
const MIN_ROUND: usize = 8;
/// How long the fastest answer and the best round are remembered: this long to twice as long.
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
    /// How long the good answers of this round took.
    round: Vec<Duration>,
    best_round: Fastest,
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
            round: Vec::new(),
            best_round: Fastest::default(),
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
        self.watch(latency, now);
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

    /// Takes a place if a round is over and was slow.
    fn watch(&mut self, latency: Duration, now: Duration) {
        self.round.push(latency);
        if self.round.len() < self.limit.max(MIN_ROUND) {
            return;
        }
        let middle = (self.round.len() - 1) / 2;
        let (_, median, _) = self.round.select_nth_unstable(middle);
        let median = *median;
        self.round.clear();
        let best = self.best_round.with(median, now);
        if median > best.saturating_mul(SLOW).saturating_add(SLACK * 2) {
            self.limit = (self.limit - 1).max(1);
            self.smallest = self.smallest.min(self.limit);
            (self.fresh, self.good) = (false, 0);
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
    fn slow_rounds_take_a_place_each() {
        for (fast, slow, shrinks) in
            [(2, 600, true), (2, 27, true), (2, 25, false), (100, 321, true), (100, 319, false)]
        {
            let (mut limit, mut now) = (Adaptive::new(16), Duration::ZERO);
            (0..3).for_each(|_| round(&mut limit, &mut now, MS * fast, true));
            assert_eq!(limit.limit(), 16);
            // A round may have begun with fast answers.
            round(&mut limit, &mut now, MS * slow, true);
            let first = limit.limit();
            for number in 1..8 {
                round(&mut limit, &mut now, MS * slow, true);
                let expected = if shrinks { first - number } else { 16 };
                assert_eq!(limit.limit(), expected, "{fast} ms, then {slow} ms, round {number}");
            }
        }
    }

    #[test]
    fn however_slow_one_place_is_left_and_a_lasting_slowness_is_got_used_to() {
        let (mut limit, mut now) = (Adaptive::new(16), Duration::ZERO);
        (0..3).for_each(|_| round(&mut limit, &mut now, MS * 2, true));
        while now < MEMORY {
            round(&mut limit, &mut now, MS * 600, true);
        }
        assert_eq!((limit.limit(), limit.smallest()), (1, 1));
        while now < MEMORY * 4 {
            round(&mut limit, &mut now, MS * 600, true);
        }
        assert_eq!(limit.limit(), 16, "as many as before");
    }

    #[test]
    fn a_minority_of_slow_answers_takes_nothing() {
        let (mut limit, mut now) = (Adaptive::new(8), Duration::ZERO);
        for number in 0..1000 {
            let began = now;
            now += if number % 5 < 2 { MS * 600 } else { MS };
            limit.succeeded(began, now);
        }
        assert_eq!(limit.smallest(), 8);
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
                prop_assert!(after <= before + usize::from(well) && (!well || after + 1 >= before));
                prop_assert!(limit.smallest() <= limit.limit());
            }
        }
    }
}
