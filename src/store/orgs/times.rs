//! When the values of an org's fields happened.
//!
//! Most orgs have one time for all of their fields, that of their newest event (`OrgRecord::event_at`). So only what differs from it
//! is kept: a field with a value and no entry here is of the newest event, a field without a value and without an entry has no time.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The times of fields that are not what the org's newest event would let expect; `None`: no time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldTimes(BTreeMap<String, Option<DateTime<Utc>>>);

impl FieldTimes {
    /// When a field's value happened.
    pub(super) fn of(&self, field: &str, has_value: bool, newest: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        let expected = if has_value { newest } else { None };
        match self.0.is_empty() {
            true => expected,
            false => self.0.get(field).copied().unwrap_or(expected),
        }
    }

    /// Notes when it happened.
    pub(super) fn set(
        &mut self,
        field: &str,
        time: Option<DateTime<Utc>>,
        has_value: bool,
        newest: Option<DateTime<Utc>>,
    ) {
        let expected = if has_value { newest } else { None };
        match time == expected {
            true if self.0.is_empty() => {}
            true => drop(self.0.remove(field)),
            false => drop(self.0.insert(field.to_owned(), time)),
        }
    }

    /// The same for a field that keeps its time while another event becomes the newest.
    pub(super) fn keep(&mut self, field: &str, newest_was: Option<DateTime<Utc>>) {
        if !self.0.contains_key(field) {
            self.0.insert(field.to_owned(), newest_was);
        }
    }

    /// As JSON, microseconds since 1970 by field; `None` if there is nothing to keep, as with most orgs.
    pub fn to_text(&self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let micros = |time: &Option<DateTime<Utc>>| Value::from(time.map(|time| time.timestamp_micros()));
        let times: Map<String, Value> = self.0.iter().map(|(field, time)| (field.clone(), micros(time))).collect();
        Some(Value::Object(times).to_string())
    }

    /// The reverse of [`to_text`](Self::to_text).
    ///
    /// # Errors
    /// What it is not.
    pub fn from_text(text: Option<&str>) -> Result<FieldTimes, String> {
        let Some(text) = text else { return Ok(FieldTimes::default()) };
        let micros: BTreeMap<String, Option<i64>> =
            serde_json::from_str(text).map_err(|error| format!("the times of its fields ({error})"))?;
        let time = |(field, micros): (String, Option<i64>)| match micros.map(DateTime::from_timestamp_micros) {
            Some(None) => Err(format!("the time of its field {field}")),
            time => Ok((field, time.flatten())),
        };
        micros.into_iter().map(time).collect::<Result<_, _>>().map(FieldTimes)
    }
}
