//! Records of what is read back, and the words that are stored for what is a closed set. The columns have the same names in
//! every database.

mod admin;
mod alerts;
mod fires;
mod keys;
mod leases;
mod orgs;
mod shares;

pub(super) use admin::{audit, token};
pub(super) use alerts::alert;
pub(super) use fires::fire;
pub(super) use keys::key;
pub(super) use leases::lease;
pub(super) use orgs::{change, org};
pub(super) use shares::offer;

use super::columns::Columns;
use super::{
    DestinationRecord, DestinationState, FailedReceipt, Refusal, RunEvent, RunKind, RunRecord, RunState, StoreError,
};
use crate::receipt::{FailureKind, Outcome};

/// Of `runs`.
pub(super) fn run(row: &impl Columns) -> Result<RunRecord, StoreError> {
    let id = row.text("id")?;
    let json = |error, what: &str| StoreError::Corrupt(format!("the {what} of run {id}: {error}"));
    let counts = serde_json::from_str(row.text("counts")?).map_err(|error| json(error, "counts"))?;
    let report = row.optional_text("report")?.map(serde_json::from_str).transpose();
    Ok(RunRecord {
        id: id.to_owned(),
        job: row.text("job")?.to_owned(),
        kind: run_kind(row.text("kind")?)?,
        state: run_state(row.text("state")?)?,
        started_at: row.time("started_at")?,
        finished_at: row.optional_time("finished_at")?,
        counts,
        reason: row.optional_text("reason")?.map(str::to_owned),
        report: report.map_err(|error| json(error, "report"))?,
    })
}

fn run_kind(text: &str) -> Result<RunKind, StoreError> {
    RunKind::parse(text).ok_or_else(|| StoreError::Corrupt(format!("the kind of run `{text}`")))
}

/// Of `run_events`.
pub(super) fn event(row: &impl Columns) -> Result<RunEvent, StoreError> {
    Ok(RunEvent {
        at: row.time("at")?,
        state: run_state(row.text("state")?)?,
        reason: row.optional_text("reason")?.map(str::to_owned),
    })
}

/// Of `receipts`.
pub(super) fn failure(row: &impl Columns) -> Result<FailedReceipt, StoreError> {
    let kind = match row.optional_text("kind")? {
        Some(kind) => failure_kind(kind)?,
        // As an earlier version has stored it.
        None if outcome(row.text("outcome")?)? == Outcome::Unknown => FailureKind::Unknown,
        None => FailureKind::Refused,
    };
    Ok(FailedReceipt {
        seq: row.number("seq")?,
        key: row.optional_text("key")?.unwrap_or_default().to_owned(),
        kind,
        status: row.optional_number("status")?,
        attempts: row.number("attempts")?,
        detail: row.optional_text("detail")?.map(str::to_owned),
        at: row.time("at")?,
    })
}

/// Of `refusals`.
pub(super) fn refusal(row: &impl Columns) -> Result<Refusal, StoreError> {
    Ok(Refusal {
        job: row.text("job")?.to_owned(),
        webhook_id: row.text("webhook_id")?.to_owned(),
        key: row.text("key")?.to_owned(),
        count: row.number("count")?,
        status: row.optional_number("status")?,
        detail: row.optional_text("detail")?.map(str::to_owned),
        first_at: row.time("first_at")?,
        last_at: row.time("last_at")?,
        run: row.text("run_id")?.to_owned(),
        dropped: row.flag("dropped")?,
    })
}

/// Of `destinations`.
pub(super) fn destination(row: &impl Columns) -> Result<DestinationRecord, StoreError> {
    Ok(DestinationRecord {
        job: row.text("job")?.to_owned(),
        address: row.text("address")?.to_owned(),
        state: destination_state(row.text("state")?)?,
        reason: row.text("reason")?.to_owned(),
        remedy: row.text("remedy")?.to_owned(),
        since: row.time("since")?,
        paused_until: row.optional_time("paused_until")?,
        run: row.text("run_id")?.to_owned(),
    })
}

/// The reverse of [`RunState::as_str`].
pub(super) fn run_state(text: &str) -> Result<RunState, StoreError> {
    RunState::parse(text).ok_or_else(|| StoreError::Corrupt(format!("the run state `{text}`")))
}

/// As it is stored.
pub(super) fn failure_kind_text(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::NotDelivered => "not_delivered",
        FailureKind::Refused => "refused",
        FailureKind::Unknown => "unknown",
    }
}

fn failure_kind(text: &str) -> Result<FailureKind, StoreError> {
    [FailureKind::NotDelivered, FailureKind::Refused, FailureKind::Unknown]
        .into_iter()
        .find(|kind| failure_kind_text(*kind) == text)
        .ok_or_else(|| StoreError::Corrupt(format!("the kind of failure `{text}`")))
}

/// As it is stored.
pub(super) fn outcome_text(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Acknowledged => "acknowledged",
        Outcome::Refused => "refused",
        Outcome::Unknown => "unknown",
    }
}

/// The reverse of [`outcome_text`].
pub(super) fn outcome(text: &str) -> Result<Outcome, StoreError> {
    [Outcome::Acknowledged, Outcome::Refused, Outcome::Unknown]
        .into_iter()
        .find(|outcome| outcome_text(*outcome) == text)
        .ok_or_else(|| StoreError::Corrupt(format!("the outcome `{text}`")))
}

/// As it is stored.
pub(super) fn destination_state_text(state: DestinationState) -> &'static str {
    match state {
        DestinationState::Paused => "paused",
        DestinationState::Disabled => "disabled",
    }
}

fn destination_state(text: &str) -> Result<DestinationState, StoreError> {
    [DestinationState::Paused, DestinationState::Disabled]
        .into_iter()
        .find(|state| destination_state_text(*state) == text)
        .ok_or_else(|| StoreError::Corrupt(format!("the state of a destination `{text}`")))
}
