//! When a row is tried again: backoff with full jitter. Pure.
//!
//! The wait before attempt n + 1 is drawn evenly from `[0, min(max, base × 2^(n-1))]`, so that rows which failed together
//! do not return together (AWS Architecture Blog, "Exponential Backoff And Jitter").

use crate::job::spec::Retry;
use std::time::Duration;

/// How long to wait before the next attempt, after `made` of them; `None`: the row is given up in this run.
///
/// `after` is the least that the destination asked for; one beyond `policy.max` is left to the next run. `random` is any
/// 128 random bits.
pub fn next_wait(policy: &Retry, made: u32, after: Option<Duration>, random: u128) -> Option<Duration> {
    let floor = after.unwrap_or(Duration::ZERO);
    if made >= policy.attempts || floor > policy.max {
        return None;
    }
    Some(jittered(ceiling(policy, made), random).max(floor))
}

fn ceiling(policy: &Retry, made: u32) -> Duration {
    let doublings = made.saturating_sub(1);
    let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
    policy.base.saturating_mul(factor).min(policy.max)
}

/// An even draw from `[0, ceiling]`.
fn jittered(ceiling: Duration, random: u128) -> Duration {
    let steps = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
    // The upper 64 bits as a fraction of 1, times the number of steps: no modulo, no bias worth the name, no overflow.
    let fraction = random >> 64;
    let drawn = (fraction * (u128::from(steps) + 1)) >> 64;
    Duration::from_nanos(u64::try_from(drawn).unwrap_or(steps))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: Retry = Retry { attempts: 5, base: Duration::from_secs(1), max: Duration::from_secs(6) };

    #[test]
    fn the_ceiling_doubles_up_to_the_maximum() {
        for (made, seconds) in [(1, 1), (2, 2), (3, 4), (4, 6)] {
            let longest = next_wait(&POLICY, made, None, u128::MAX);
            assert_eq!(longest, Some(Duration::from_secs(seconds)), "after {made}");
            assert_eq!(next_wait(&POLICY, made, None, 0), Some(Duration::ZERO), "after {made}");
        }
    }

    #[test]
    fn attempts_end() {
        assert_eq!(next_wait(&POLICY, 5, None, 0), None);
        assert_eq!(next_wait(&POLICY, u32::MAX, None, 0), None);
        assert_eq!(next_wait(&Retry { attempts: 1, ..POLICY }, 1, None, 0), None);
    }

    #[test]
    fn retry_after_is_a_floor_and_too_long_a_one_is_left_to_the_next_run() {
        let seconds = |s| Some(Duration::from_secs(s));
        assert_eq!(next_wait(&POLICY, 1, seconds(3), 0), seconds(3));
        assert_eq!(next_wait(&POLICY, 4, seconds(3), u128::MAX), seconds(6));
        assert_eq!(next_wait(&POLICY, 1, seconds(6), 0), seconds(6));
        assert_eq!(next_wait(&POLICY, 1, seconds(7), 0), None);
    }

    proptest! {
        #[test]
        fn never_beyond_the_maximum_and_never_a_panic(
            base in any::<u64>(), max in any::<u64>(), made in any::<u32>(), random in any::<u128>()
        ) {
            let policy = Retry { attempts: u32::MAX, base: Duration::from_secs(base), max: Duration::from_secs(max) };
            if let Some(wait) = next_wait(&policy, made, None, random) {
                prop_assert!(wait <= policy.max);
            }
        }
    }
}
