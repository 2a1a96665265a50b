//! What a job's scheduler has seen of what begins runs besides the clock. It stands in the job's fires: with the fire that it leads to it is
//! written in one go, so that a daemon which is killed neither forgets nor repeats.

use crate::store::FireRecord;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// The extract that the last run has read, or a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) files: Option<String>,
    /// When the last success ended that has begun a run, by job.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) after: BTreeMap<String, DateTime<Utc>>,
}

impl Seen {
    /// What stands in the fire that was written last.
    pub(super) fn of(known: &[FireRecord]) -> Self {
        let written = known.iter().filter_map(|fire| Some(((fire.claimed_at, fire.due), fire.seen.as_deref()?)));
        let last = written.max_by_key(|(at, _)| *at);
        // What a later version has written, and this one cannot read, is as if nothing had been seen: a run too many, that finds nothing to send.
        last.and_then(|(_, text)| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// As it is kept; `None`: there is nothing to keep.
    pub(super) fn text(&self) -> Option<String> {
        if *self == Seen::default() { None } else { serde_json::to_string(self).ok() }
    }
}
