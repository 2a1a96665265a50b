//! Fires of jobs.

use crate::store::columns::Columns;
use crate::store::{FireCause, FireRecord, FireState, StoreError};

/// Of `fires`.
pub(in crate::store) fn fire(row: &impl Columns) -> Result<FireRecord, StoreError> {
    Ok(FireRecord {
        job: row.text("job")?.to_owned(),
        due: row.time("due")?,
        state: state(row.text("state")?)?,
        holder: row.text("holder")?.to_owned(),
        claimed_at: row.time("claimed_at")?,
        ended_at: row.optional_time("ended_at")?,
        collapsed: row.number("collapsed")?,
        reason: row.optional_text("reason")?.map(str::to_owned),
        cause: cause(row.text("cause")?)?,
        origin: row.optional_text("origin")?.map(str::to_owned),
        seen: row.optional_text("seen")?.map(str::to_owned),
    })
}

fn state(text: &str) -> Result<FireState, StoreError> {
    FireState::ALL
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| StoreError::Corrupt(format!("the state of a fire `{text}`")))
}

fn cause(text: &str) -> Result<FireCause, StoreError> {
    FireCause::ALL
        .into_iter()
        .find(|cause| cause.as_str() == text)
        .ok_or_else(|| StoreError::Corrupt(format!("the cause of a fire `{text}`")))
}
