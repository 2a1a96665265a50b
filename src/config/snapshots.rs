//! `[snapshots]`: where snapshots are shared.

use crate::job::bucket;
use crate::job::document::Document;
use crate::job::spec::Remote;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `[snapshots]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotsSettings {
    /// A folder of an object store that has the snapshots of all jobs; `None`: they are in the home folder alone.
    pub shared: Option<Remote>,
}

/// As written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSnapshots {
    url: String,
    options: BTreeMap<String, String>,
}

pub(super) fn check(doc: &mut Document<'_>, raw: &RawSnapshots) -> Option<SnapshotsSettings> {
    if raw.url.is_empty() {
        return Some(SnapshotsSettings { shared: None });
    }
    let options = ("snapshots.options", raw.options.clone());
    Some(SnapshotsSettings { shared: Some(bucket(doc, "snapshots.url", &raw.url, options)?) })
}
