//! Counts over a sliding span of time, in steps. Pure.

use std::collections::VecDeque;
use std::time::Duration;

/// Two counters over the last `span`, exact to one `step`.
pub(super) struct Window {
    step: Duration,
    steps: u128,
    /// Steps with something in them, oldest first: their number and their counts.
    counts: VecDeque<(u128, [u64; 2])>,
    sums: [u64; 2],
}

impl Window {
    pub(super) fn new(span: Duration, step: Duration) -> Self {
        let step = step.max(Duration::from_nanos(1));
        Window { step, steps: span.as_nanos() / step.as_nanos(), counts: VecDeque::new(), sums: [0; 2] }
    }

    /// Adds to both counters at `now`, which never goes back.
    pub(super) fn add(&mut self, now: Duration, more: [u64; 2]) {
        self.sums(now);
        let number = self.number(now);
        match self.counts.back_mut().filter(|(last, _)| *last == number) {
            Some((_, counts)) => (0..2).for_each(|i| counts[i] += more[i]),
            None => self.counts.push_back((number, more)),
        }
        (0..2).for_each(|i| self.sums[i] += more[i]);
    }

    /// What both counters come to at `now`.
    pub(super) fn sums(&mut self, now: Duration) -> [u64; 2] {
        let number = self.number(now);
        while let Some((_, counts)) = self.counts.pop_front_if(|(old, _)| *old + self.steps <= number) {
            (0..2).for_each(|i| self.sums[i] -= counts[i]);
        }
        self.sums
    }

    /// When the next step begins: the first time at which a sum may be smaller.
    pub(super) fn next_step(&self, now: Duration) -> Duration {
        let nanos = (self.number(now) + 1).saturating_mul(self.step.as_nanos());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    pub(super) fn clear(&mut self) {
        self.counts.clear();
        self.sums = [0; 2];
    }

    fn number(&self, now: Duration) -> u128 {
        now.as_nanos() / self.step.as_nanos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_sums_are_those_of_a_list(adds in prop::collection::vec((0u64..40, 0u64..5, 0u64..5), 0..200)) {
            let second = Duration::from_secs;
            let mut window = Window::new(second(60), second(5));
            let (mut now, mut all) = (0, Vec::new());
            for (passed, a, b) in adds {
                now += passed;
                window.add(second(now), [a, b]);
                all.push((now, [a, b]));
                let within = all.iter().filter(|(at, _)| at / 5 + 12 > now / 5);
                let expected = within.fold([0, 0], |sum, (_, more)| [sum[0] + more[0], sum[1] + more[1]]);
                prop_assert_eq!(window.sums(second(now)), expected);
                prop_assert_eq!(window.next_step(second(now)), second((now / 5 + 1) * 5));
            }
        }
    }
}
