//! `[fleet]`: daemons that take turns.

use super::snapshots::SnapshotsSettings;
use super::store::StoreSettings;
use crate::job::document::Document;
use crate::job::problem::Fault;
use schemars::JsonSchema;
use serde::Deserialize;

/// `[fleet]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetSettings {
    /// Daemons of the same name and store take turns; `None`: this one is alone.
    pub name: Option<String>,
    /// Deliveries of so many rows are shared, …
    pub share_from: u64,
    /// … so many at a time.
    pub chunk_rows: u64,
}

/// As written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFleet {
    #[schemars(length(max = 63))]
    name: String,
    #[schemars(range(min = 1))]
    share_from: u64,
    #[schemars(range(min = 1, max = 1_000_000))]
    chunk_rows: u64,
}

/// `store`, `snapshots`: as far as they are sound.
pub(super) fn check(
    doc: &mut Document<'_>,
    raw: &RawFleet,
    store: Option<&StoreSettings>,
    snapshots: Option<&SnapshotsSettings>,
) -> Option<FleetSettings> {
    let of = |name| FleetSettings { name, share_from: raw.share_from, chunk_rows: raw.chunk_rows };
    if raw.name.is_empty() {
        return Some(of(None));
    }
    let name = doc.accept("fleet.name", name(&raw.name));
    let mut fits = true;
    if store.is_some_and(|store| store.url.written.starts_with("sqlite:")) {
        let fault = Fault::new("a fleet needs a state store that machines share, and this one is a file");
        doc.report("fleet.name", fault.hint("set [store] url to a Postgres database (docs/STORE.md)"));
        fits = false;
    }
    if snapshots.is_some_and(|snapshots| snapshots.shared.is_none()) {
        let fault = Fault::new("a fleet needs snapshots that machines share");
        doc.report("fleet.name", fault.hint("set [snapshots] url to a folder of an object store (docs/SNAPSHOT.md)"));
        fits = false;
    }
    name.filter(|_| fits).map(|name| of(Some(name)))
}

fn name(written: &str) -> Result<String, Fault> {
    let is_name = written.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    let wrong =
        || Fault::new(format!("`{written}` is not a name")).hint("letters, digits, `-`, `_` and `.`: `nightly`");
    is_name.then(|| written.to_owned()).ok_or_else(wrong)
}
