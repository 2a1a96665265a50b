//! Time, ids and randomness, injected, so that a test decides what they are.
//!
//! Out: [`Clock`] with its real form [`SystemClock`]. Nothing else in the crate reads the system's time or draws ids.

use chrono::{DateTime, Utc};

/// Where time and fresh ids come from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present instant.
    fn now(&self) -> DateTime<Utc>;
    /// 128 unpredictable bits.
    fn random(&self) -> u128;

    /// A run's id: a ULID, sortable by time and unique over daemons and databases.
    fn run_id(&self) -> String {
        let millis = u64::try_from(self.now().timestamp_millis()).unwrap_or(0);
        ulid::Ulid::from_parts(millis, self.random()).to_string()
    }

    /// `run`, or another id that is later than `earlier` if it is not: that runs of a job are in the order of their ids must not hang on
    /// the clocks of the machines that they are on.
    fn run_id_after(&self, run: String, earlier: &str) -> String {
        match ulid::Ulid::from_string(earlier) {
            Ok(id) if run.as_str() <= earlier => {
                ulid::Ulid::from_parts(id.timestamp_ms() + 1, self.random()).to_string()
            }
            _ => run,
        }
    }
}

/// The machine's clock and its random source.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn random(&self) -> u128 {
        rand::random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_later_than_the_one_before_it_whatever_the_clock_says() {
        let (earlier, later) = ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAW");
        let after = |run: &str, earlier: &str| SystemClock.run_id_after(run.to_owned(), earlier);
        assert_eq!(after(later, earlier), later);
        for run in [earlier, "00ARZ3NDEKTSV4RRFFQ69G5FAV"] {
            let (one, other) = (after(run, earlier), after(run, earlier));
            assert!(one.as_str() > earlier && one.len() == 26, "{one}");
            assert_ne!(one, other, "two machines may be behind");
        }
        assert_eq!(after(earlier, "not of ours"), earlier);
    }
}
