//! Alerts.

use crate::store::columns::Columns;
use crate::store::{AlertRecord, StoreError};

/// Of `alerts`.
pub(in crate::store) fn alert(row: &impl Columns) -> Result<AlertRecord, StoreError> {
    Ok(AlertRecord {
        job: row.text("job")?.to_owned(),
        kind: row.text("kind")?.to_owned(),
        about: row.text("about")?.to_owned(),
        place: row.text("place")?.to_owned(),
        since: row.time("since")?,
        ended_at: row.optional_time("ended_at")?,
        told: row.text("told")?.split_whitespace().map(str::to_owned).collect(),
    })
}
