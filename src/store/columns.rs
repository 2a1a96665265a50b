//! A row of a result, read by the names of its columns: so what is read back is made into records once for every database.

use super::StoreError;
use chrono::{DateTime, Utc};

/// One row. A column that is not there, or is of another type, is an error.
pub(super) trait Columns {
    /// A text, or NULL.
    fn optional_text(&self, column: &str) -> Result<Option<&str>, StoreError>;
    /// An integer, or NULL.
    fn optional_integer(&self, column: &str) -> Result<Option<i64>, StoreError>;
    /// Bytes, or NULL.
    fn optional_bytes(&self, column: &str) -> Result<Option<&[u8]>, StoreError>;
    /// A time, or NULL.
    fn optional_time(&self, column: &str) -> Result<Option<DateTime<Utc>>, StoreError>;
    /// A yes or no.
    fn flag(&self, column: &str) -> Result<bool, StoreError>;

    /// A text.
    fn text(&self, column: &str) -> Result<&str, StoreError> {
        self.optional_text(column)?.ok_or_else(|| missing(column))
    }

    /// A time.
    fn time(&self, column: &str) -> Result<DateTime<Utc>, StoreError> {
        self.optional_time(column)?.ok_or_else(|| missing(column))
    }

    /// An integer of a narrower type, or NULL.
    fn optional_number<T: TryFrom<i64>>(&self, column: &str) -> Result<Option<T>, StoreError>
    where
        Self: Sized,
    {
        let narrow = |found: i64| T::try_from(found).map_err(|_| StoreError::Corrupt(format!("the {column} {found}")));
        self.optional_integer(column)?.map(narrow).transpose()
    }

    /// An integer of a narrower type.
    fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T, StoreError>
    where
        Self: Sized,
    {
        self.optional_number(column)?.ok_or_else(|| missing(column))
    }
}

fn missing(column: &str) -> StoreError {
    StoreError::Corrupt(format!("a record without its {column}"))
}

/// Microseconds since 1970.
pub(super) fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

/// The reverse of [`micros`].
pub(super) fn time(micros: i64) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| StoreError::Corrupt(format!("the time {micros}")))
}

/// A count as a database keeps it: its integers have a sign.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
