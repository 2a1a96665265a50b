//! What is wrong with a job, by what is known of it. Pure.

use crate::job::spec::Job;
use crate::store::{DestinationRecord, DestinationState, FireRecord, FireState, RunRecord, RunState};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::time::Duration;

/// A way in which a job can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Its last run could not be done.
    Failed,
    /// A guard holds its last run.
    Held,
    /// A fire of its schedule was not run.
    Missed,
    /// It has not been through for too long.
    Stale,
    /// Its destination takes nothing.
    Destination,
    /// Rows are set aside.
    DeadLetters,
    /// A column makes most orgs change each night.
    Volatile,
    /// Its file has mistakes.
    Faulty,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 8] = [
        Kind::Failed,
        Kind::Held,
        Kind::Missed,
        Kind::Stale,
        Kind::Destination,
        Kind::DeadLetters,
        Kind::Volatile,
        Kind::Faulty,
    ];

    /// The name that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Failed => "failed",
            Kind::Held => "held",
            Kind::Missed => "missed",
            Kind::Stale => "stale",
            Kind::Destination => "destination",
            Kind::DeadLetters => "dead_letters",
            Kind::Volatile => "volatile",
            Kind::Faulty => "faulty",
        }
    }
}

/// Something that is wrong with a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The job.
    pub job: String,
    /// What kind of thing.
    pub kind: Kind,
    /// Which one, where a new one of the same kind is to be told anew: a held run.
    pub about: String,
    /// What has happened, in one sentence.
    pub what: String,
    /// What was not sent because of it.
    pub unsent: String,
    /// What to do: commands, with their effect.
    pub todo: Vec<String>,
}

/// What is known of a job.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The job.
    pub job: &'a Job,
    /// Its runs, the newest first.
    pub runs: &'a [RunRecord],
    /// The newest fire of its schedule that has ended.
    pub fire: Option<&'a FireRecord>,
    /// Its destination, if that is out of service.
    pub destination: Option<&'a DestinationRecord>,
    /// Rows that are set aside, and that nobody has dropped.
    pub dead_letters: u64,
    /// Since when somebody has looked at it.
    pub watched_since: DateTime<Utc>,
    /// It is to be through at least once in this time; `None`: whenever.
    pub no_success_for: Option<Duration>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Everything that is wrong.
pub fn conditions(seen: &Seen<'_>) -> Vec<Condition> {
    let all =
        [failed(seen), held(seen), missed(seen), stale(seen), destination(seen), dead_letters(seen), volatile(seen)];
    all.into_iter().flatten().collect()
}

/// A job whose file cannot be used. `problems`: what is wrong with it.
pub fn faulty(job: &str, problems: &str) -> Condition {
    Condition {
        job: job.to_owned(),
        kind: Kind::Faulty,
        about: String::new(),
        what: format!("the job's file has mistakes: {problems}"),
        unsent: "the job does not run, or runs as it was before its file was changed".to_owned(),
        todo: vec![format!("nightmark check {job}  says what to mend")],
    }
}

/// The newest run that is not on.
fn last<'a>(seen: &Seen<'a>) -> Option<&'a RunRecord> {
    let is_on = |run: &&RunRecord| {
        matches!(run.state, RunState::Extracting | RunState::Diffed)
            || (run.state == RunState::Delivering && run.finished_at.is_none())
    };
    seen.runs.iter().find(|run| !is_on(run))
}

fn failed(seen: &Seen<'_>) -> Option<Condition> {
    let job = &seen.job.name;
    let run = last(seen).filter(|run| run.state == RunState::Failed);
    // A run that could not even begin has no record.
    let fire = seen.fire.filter(|fire| fire.state == FireState::Failed);
    let fire = fire.filter(|fire| last(seen).is_none_or(|run| run.started_at < fire.claimed_at));
    let (what, reason) = match (run, fire) {
        (_, Some(fire)) => (format!("the run that was due {}", time(fire.due)), fire.reason.as_deref()),
        (Some(run), None) => (format!("run {}", run.id), run.reason.as_deref()),
        (None, None) => return None,
    };
    Some(Condition {
        job: job.clone(),
        kind: Kind::Failed,
        about: String::new(),
        what: format!("{what} failed: {}", reason.unwrap_or("no reason is recorded")),
        unsent: "nothing of it was published or sent; what the destination has is as before".to_owned(),
        todo: vec![
            format!("nightmark runs show {job}"),
            format!("nightmark run {job}  starts anew, once the cause is mended"),
        ],
    })
}

fn held(seen: &Seen<'_>) -> Option<Condition> {
    let run = last(seen).filter(|run| run.state == RunState::Held)?;
    let job = &run.job;
    Some(Condition {
        job: job.clone(),
        kind: Kind::Held,
        about: run.id.clone(),
        what: format!("run {} is held: {}", run.id, run.reason.as_deref().unwrap_or("no reason is recorded")),
        unsent: format!("{} changes wait for a decision; nothing was published or sent", run.counts.pending),
        todo: vec![
            format!("nightmark preview {job} --held  shows what it would send"),
            format!("nightmark approve {}  sends exactly that", run.id),
            format!("nightmark discard {}  gives it up", run.id),
        ],
    })
}

fn missed(seen: &Seen<'_>) -> Option<Condition> {
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

fn stale(seen: &Seen<'_>) -> Option<Condition> {
    let limit = TimeDelta::from_std(seen.no_success_for?).ok()?;
    let success = seen.runs.iter().find(|run| run.state == RunState::Finished).and_then(|run| run.finished_at);
    let since = success.unwrap_or(seen.watched_since);
    if seen.now - since <= limit {
        return None;
    }
    let job = &seen.job.name;
    let last = match success {
        Some(at) => format!("the last run that went through ended {}", time(at)),
        None => "no run has gone through yet".to_owned(),
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

fn destination(seen: &Seen<'_>) -> Option<Condition> {
    let record = seen.destination?;
    let is = match record.state {
        DestinationState::Paused => "is paused",
        DestinationState::Disabled => "is disabled",
    };
    let until = record.paused_until.map(|until| format!(" until {}", time(until))).unwrap_or_default();
    let job = &record.job;
    Some(Condition {
        job: job.clone(),
        kind: Kind::Destination,
        about: String::new(),
        what: format!("the destination {is}{until} since {}: {}", time(record.since), record.reason),
        unsent: "changes stay pending; runs go on comparing, and nothing is lost".to_owned(),
        todo: vec![record.remedy.clone(), format!("nightmark destinations enable {job}  once it takes webhooks again")],
    })
}

fn dead_letters(seen: &Seen<'_>) -> Option<Condition> {
    let (job, count) = (&seen.job.name, seen.dead_letters);
    (count > 0).then(|| Condition {
        job: job.clone(),
        kind: Kind::DeadLetters,
        about: String::new(),
        what: format!("{count} rows are set aside: the destination keeps refusing them"),
        unsent: "those rows are not sent until their values change or somebody asks for it".to_owned(),
        todo: vec![
            format!("nightmark dead-letters list {job}"),
            format!("nightmark dead-letters retry {job} --all  once the cause is mended"),
        ],
    })
}

fn volatile(seen: &Seen<'_>) -> Option<Condition> {
    let run = last(seen).filter(|run| run.state.is_published())?;
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
        unsent: "nothing was left out: more was sent than may be worth it".to_owned(),
        todo: vec![format!(
            "take {list} out of what {} compares, if it does not matter for scoring",
            seen.job.file.display()
        )],
    })
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests;
