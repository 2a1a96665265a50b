//! Leases.

use crate::store::columns::Columns;
use crate::store::{LeaseRecord, StoreError};

/// Of `leases`.
pub(in crate::store) fn lease(row: &impl Columns) -> Result<LeaseRecord, StoreError> {
    Ok(LeaseRecord {
        name: row.text("name")?.to_owned(),
        holder: row.text("holder")?.to_owned(),
        what: row.text("what")?.to_owned(),
        epoch: row.number("epoch")?,
        taken_at: row.time("taken_at")?,
        until: row.time("until")?,
    })
}
