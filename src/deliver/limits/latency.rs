//! How long answers take: a histogram of a fixed size. Pure.

use std::time::Duration;

/// Buckets for each doubling: a percentile is at most a sixteenth too high.
const PER_DOUBLING: u32 = 16;
const BUCKETS: usize = 40 * PER_DOUBLING as usize;

/// Of microseconds, up to 2⁴⁰ (12 days).
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: Duration,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Histogram { counts: vec![0; BUCKETS], total: 0, max: Duration::ZERO }
    }

    pub(super) fn add(&mut self, latency: Duration) {
        self.counts[bucket(latency)] += 1;
        self.total += 1;
        self.max = self.max.max(latency);
    }

    pub(super) fn max(&self) -> Duration {
        self.max
    }

    /// The latency that `percent` of all do not exceed; zero if there are none.
    pub(super) fn percentile(&self, percent: u64) -> Duration {
        let rank = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        found.map_or(Duration::ZERO, |bucket| upper(bucket).min(self.max))
    }
}

/// Below 16 µs a bucket is a microsecond, above a sixteenth of a doubling.
fn bucket(latency: Duration) -> usize {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1);
    let doubling = micros.ilog2();
    let shift = doubling.saturating_sub(PER_DOUBLING.ilog2());
    let within = (micros >> shift) as usize;
    (shift as usize * PER_DOUBLING as usize + within).min(BUCKETS - 1)
}

/// The end of a bucket.
fn upper(bucket: usize) -> Duration {
    let per = PER_DOUBLING as usize;
    let shift = (bucket / per).saturating_sub(1);
    let within = (bucket - shift * per) as u64;
    Duration::from_micros(((within + 1) << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles() {
        let mut histogram = Histogram::new();
        assert_eq!((histogram.percentile(50), histogram.max()), (Duration::ZERO, Duration::ZERO));
        (1..=100).for_each(|n| histogram.add(Duration::from_millis(n)));
        let found = [50, 95, 100].map(|p| histogram.percentile(p).as_millis());
        assert_eq!(found, [51, 98, 100]);
        assert_eq!(histogram.max(), Duration::from_millis(100));
        histogram.add(Duration::MAX);
        assert!(histogram.percentile(100) > Duration::from_secs(1_000_000));
    }

    proptest! {
        #[test]
        fn a_bucket_ends_at_most_a_sixteenth_above_what_is_in_it(micros in 1u64..(1 << 39)) {
            let end = upper(bucket(Duration::from_micros(micros))).as_micros();
            let micros = u128::from(micros);
            prop_assert!(end >= micros && end <= micros + micros / 16, "{micros} {end}");
        }
    }
}
