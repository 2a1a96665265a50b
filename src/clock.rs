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
