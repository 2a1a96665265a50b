//! Shared deliveries.

use crate::store::columns::Columns;
use crate::store::{Offer, StoreError};

/// Of `shares`.
pub(in crate::store) fn offer(row: &impl Columns) -> Result<Offer, StoreError> {
    Ok(Offer {
        run: row.text("run_id")?.to_owned(),
        job: row.text("job")?.to_owned(),
        fleet: row.text("fleet")?.to_owned(),
        epoch: row.number("epoch")?,
        rows: row.number("total")?,
        chunk_rows: row.number("chunk_rows")?,
        places: row.number("places")?,
        plan: row.text("plan")?.to_owned(),
        at: row.time("at")?,
    })
}
