//! How many rows may be attempted ahead of their receipts. Pure.
//!
//! Whatever is granted and has no receipt counts as unknown after a crash and is sent again: grants are as small as can be
//! without anybody waiting for a durable write. A grant that is used up quickly doubles the next, one that lasts halves it.

use std::time::Duration;

pub(super) struct GrantSize {
    size: usize,
    /// Used up within this time, the next one doubles; after more than twice as much, it is halved.
    interval: Duration,
}

impl GrantSize {
    pub(super) fn new(first: usize, interval: Duration) -> Self {
        GrantSize { size: first.max(1), interval }
    }

    /// The next grant is asked for when so many of those before are left.
    pub(super) fn low(&self) -> usize {
        self.size / 2
    }

    /// The size of the next grant, `most` at most. `lasted`: how long the one before did.
    pub(super) fn next(&mut self, lasted: Option<Duration>, most: usize) -> usize {
        match lasted {
            Some(time) if time <= self.interval => self.size = self.size.saturating_mul(2),
            Some(time) if time > self.interval * 2 => self.size /= 2,
            _ => {}
        }
        self.size = self.size.clamp(1, most.max(1));
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn grants_follow_what_can_leave_soon() {
        let mut size = GrantSize::new(8, Duration::from_millis(100));
        for (lasted, most, expected) in [
            (None, 256, 8),
            (Some(5), 256, 16),
            (Some(100), 256, 32),
            (Some(150), 256, 32),
            (Some(201), 256, 16),
            (Some(1), 20, 20),
            (Some(1), 0, 1),
            (Some(60_000), 256, 1),
        ] {
            let lasted = lasted.map(Duration::from_millis);
            assert_eq!(size.next(lasted, most), expected, "after {lasted:?}, {most} at most");
        }
        assert_eq!(size.low(), 0, "a single row is asked for when there is none");
    }

    proptest! {
        #[test]
        fn never_none_and_never_beyond_what_is_allowed(
            first in any::<usize>(), grants in prop::collection::vec((any::<u32>(), any::<usize>()), 0..50)
        ) {
            let mut size = GrantSize::new(first, Duration::from_millis(100));
            for (millis, most) in grants {
                let next = size.next(Some(Duration::from_millis(millis.into())), most);
                prop_assert!((1..=most.max(1)).contains(&next) && size.low() < next);
            }
        }
    }
}
