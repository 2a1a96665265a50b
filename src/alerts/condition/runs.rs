//! What runs and fires say.

use super::{Condition, Kind, Seen, last, time};
use crate::store::{FireState, RunState};
use chrono::TimeDelta;
use serde_json::Value;

/// What a run may take, where nothing else is said of it.
const A_RUN: TimeDelta = TimeDelta::hours(2);
const NOTHING: &str = "nothing of it was published or sent; what the destination has is as before";

pub(super) fn failed(seen: &Seen<'_>) -> Option<Condition> {
    let job = &seen.job.name;
    let run = last(seen);
    let ended = run.map(|run| run.finished_at.unwrap_or(run.started_at));
    // A run that could not even begin has no record, and one that failed behind its publication is not recorded as failed.
    let fire = seen.fire.filter(|fire| fire.state == FireState::Failed);
    let fire = fire.filter(|fire| ended.is_none_or(|ended| ended <= fire.ended_at.unwrap_or(fire.claimed_at)));
    let (what, reason, unsent) = match (run, fire) {
        (Some(run), _) if run.state == RunState::Failed => (format!("run {}", run.id), &run.reason, NOTHING.to_owned()),
        (run, Some(fire)) => {
            let pending = run.filter(|run| run.started_at >= fire.claimed_at).map_or(0, |run| run.counts.pending);
            let unsent = match pending {
                0 => NOTHING.to_owned(),
                rows => format!("{rows} changes; the next run sends them"),
            };
            (format!("the run that was due {}", time(fire.due)), &fire.reason, unsent)
        }
        _ => return None,
    };
    Some(Condition {
        job: job.clone(),
        kind: Kind::Failed,
        about: String::new(),
        what: format!("{what} failed: {}", reason.as_deref().unwrap_or("no reason is recorded")),
        unsent,
        todo: vec![
            format!("nightmark runs show {job}"),
            format!("nightmark run {job}  starts anew, once the cause is mended"),
        ],
    })
}

pub(super) fn held(seen: &Seen<'_>) -> Option<Condition> {
    // A run that is tried after it does not let go of it, only one that is held or published after it.
    let run = seen.runs.iter().find(|run| run.state == RunState::Held)?;
    let (job, pending) = (&run.job, run.counts.pending);
    let (unsent, todo) = match pending {
        // The extract itself does not go with what is known: there is nothing to approve.
        0 => (
            "nothing was compared, published or sent".to_owned(),
            vec![
                format!("nightmark runs show {}", run.id),
                format!("nightmark schema {job} show  compares the pinned types with tonight's"),
                format!("nightmark run {job}  starts anew, once the cause is mended"),
            ],
        ),
        _ => (
            format!("{pending} changes wait for a decision; nothing was published or sent"),
            vec![
                format!("nightmark preview {job} --held  shows what it would send"),
                format!("nightmark approve {}  sends exactly that", run.id),
                format!("nightmark discard {}  gives it up", run.id),
            ],
        ),
    };
    Some(Condition {
        job: job.clone(),
        kind: Kind::Held,
        about: run.id.clone(),
        what: format!("run {} is held: {}", run.id, run.reason.as_deref().unwrap_or("no reason is recorded")),
        unsent,
        todo,
    })
}

pub(super) fn missed(seen: &Seen<'_>) -> Option<Condition> {
    let fire = seen.fire.filter(|fire| matches!(fire.state, FireState::Missed | FireState::Skipped))?;
    let job = &fire.job;
    let verb = if fire.state == FireState::Missed { "missed" } else { "skipped" };
    Some(Condition {
        job: job.clone(),
        kind: Kind::Missed,
        about: String::new(),
        what: format!(
            "the run that was due {} was {verb}: {}",
            time(fire.due),
            fire.reason.as_deref().unwrap_or("no reason is recorded")
        ),
        unsent: "what has changed since the last run is sent by the next one".to_owned(),
        todo: vec![format!("nightmark schedule {job}"), format!("nightmark run {job}  runs it now")],
    })
}

pub(super) fn stale(seen: &Seen<'_>) -> Option<Condition> {
    let limit = TimeDelta::from_std(seen.no_success_for?).ok()?;
    let success = seen.runs.iter().find(|run| run.state == RunState::Finished).and_then(|run| run.finished_at);
    let oldest = seen.runs.last().map(|run| run.started_at);
    let since = success.or(oldest).unwrap_or(seen.watched_since).min(seen.now);
    let after_fire = seen.next_fire.and_then(|next| next(seen.job, since)).map(|fire| fire + A_RUN);
    if seen.now - since <= limit || after_fire.is_some_and(|late| seen.now <= late) {
        return None;
    }
    let job = &seen.job.name;
    let last = match (success, seen.runs.len()) {
        (Some(at), _) => format!("the last run that went through ended {}", time(at)),
        (None, 0) => format!("no run has taken place since {}", time(since)),
        (None, runs) => {
            format!("none of the last {runs} runs has gone through; the first of them began {}", time(since))
        }
    };
    Some(Condition {
        job: job.clone(),
        kind: Kind::Stale,
        about: String::new(),
        what: format!("{last}, more than {} hours ago", limit.num_hours()),
        unsent: "whatever has changed since then".to_owned(),
        todo: vec![
            format!("nightmark schedule {job}"),
            format!("nightmark runs {job}"),
            format!("nightmark run {job}  runs it now"),
        ],
    })
}

pub(super) fn volatile(seen: &Seen<'_>) -> Option<Condition> {
    // Where most orgs change, a guard may well hold the run.
    let run = seen.runs.iter().find(|run| run.state.is_published() || run.state == RunState::Held)?;
    let named = run.report.as_ref()?.get("volatile")?.as_array()?;
    let columns: Vec<&str> = named.iter().filter_map(Value::as_str).collect();
    if columns.is_empty() {
        return None;
    }
    let job = &seen.job.name;
    let list = columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ");
    Some(Condition {
        job: job.clone(),
        kind: Kind::Volatile,
        about: columns.join(","),
        what: format!("most orgs change in {list} (run {})", run.id),
        unsent: "nothing was left out: more is sent than may be worth it".to_owned(),
        todo: vec![format!(
            "take {list} out of what {} compares, if it does not matter for scoring",
            seen.job.file.display()
        )],
    })
}
