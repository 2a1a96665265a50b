//! How many of the attempts may be retries. Pure.
//!
//! A destination in trouble gets each row several times, just when it can do with it least. Retries are therefore held to a
//! share of the first attempts and a small constant, over a sliding window (Finagle's `RetryBudget`). A row that finds no
//! budget waits for it; it is never given up for that.

use super::window::Window;
use std::time::Duration;

/// Over so much time …
const SPAN: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(100);
/// … one retry for so many first attempts, …
const FIRSTS_PER_RETRY: u64 = 5;
/// … and these, which are 10 a second.
const RESERVE: u64 = 100;

pub(super) struct Budget {
    /// First attempts and retries.
    window: Window,
    refused_at: Option<Duration>,
}

impl Budget {
    pub(super) fn new() -> Self {
        Budget { window: Window::new(SPAN, STEP), refused_at: None }
    }

    /// A first attempt is made.
    pub(super) fn first(&mut self, now: Duration) {
        self.window.add(now, [1, 0]);
    }

    /// Whether a retry may be made now, or when to ask again.
    pub(super) fn check(&mut self, now: Duration) -> Result<(), Duration> {
        let [firsts, retries] = self.window.sums(now);
        if retries < RESERVE + firsts / FIRSTS_PER_RETRY {
            return Ok(());
        }
        self.refused_at = Some(now);
        Err(self.window.next_step(now))
    }

    /// A retry that was due at `due` is made. Returns whether it had to wait for the budget.
    pub(super) fn retry(&mut self, due: Duration, now: Duration) -> bool {
        self.window.add(now, [0, 1]);
        self.refused_at.is_some_and(|at| at >= due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many retries may be made at once at `now`.
    fn spend(budget: &mut Budget, now: Duration) -> usize {
        std::iter::from_fn(|| budget.check(now).is_ok().then(|| budget.retry(now, now))).count()
    }

    #[test]
    fn a_fifth_of_the_first_attempts_and_ten_a_second() {
        for (firsts, expected) in [(0, 100), (4, 100), (5, 101), (1000, 300)] {
            let mut budget = Budget::new();
            (0..firsts).for_each(|_| budget.first(SECOND));
            assert_eq!(spend(&mut budget, SECOND), expected, "after {firsts}");
            assert_eq!(budget.check(SECOND), Err(SECOND + STEP), "asked again with the next step");
            assert_eq!(spend(&mut budget, SECOND * 10), 0, "not before they are out of the window");
            assert_eq!(spend(&mut budget, SECOND * 11), 100);
        }
    }

    #[test]
    fn who_waited_is_known() {
        let mut budget = Budget::new();
        assert!(!budget.retry(Duration::ZERO, SECOND), "late, but not for the budget");
        spend(&mut budget, SECOND);
        assert!(budget.retry(SECOND, SECOND * 12));
        assert!(!budget.retry(SECOND * 12, SECOND * 12));
    }

    proptest! {
        #[test]
        fn never_more_than_the_share_and_never_for_ever(asks in prop::collection::vec((0u64..300, any::<bool>()), 0..500)) {
            let mut budget = Budget::new();
            let (mut now, mut made) = (Duration::ZERO, Vec::new());
            for (millis, retry) in asks {
                now += Duration::from_millis(millis);
                if !retry {
                    budget.first(now);
                    made.push((now, false));
                } else if let Err(at) = budget.check(now) {
                    prop_assert!(at > now && at <= now + STEP);
                    prop_assert!(budget.check(now + SPAN).is_ok());
                } else {
                    budget.retry(now, now);
                    made.push((now, true));
                    let step = |time: Duration| time.as_millis() / 100;
                    let recent = made.iter().filter(|(at, _)| step(*at) + 100 > step(now));
                    let (retries, all) = (recent.clone().filter(|(_, retry)| *retry).count(), recent.count());
                    prop_assert!(retries <= 100 + (all - retries) / 5, "{retries} of {all}");
                }
            }
        }
    }
}
