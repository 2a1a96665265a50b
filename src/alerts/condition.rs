//! What is wrong with a job, by what is known of it. Pure.

mod delivery;
mod runs;

use crate::job::spec::Job;
use crate::receipt::Counts;
use crate::store::{DestinationRecord, FireRecord, RunRecord, RunState};
use chrono::{DateTime, Utc};
use delivery::{dead_letters, destination};
use runs::{failed, held, missed, stale, volatile};
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
    /// A column makes most orgs change.
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

/// The first fire of a job after an instant.
pub type NextFire = dyn Fn(&Job, DateTime<Utc>) -> Option<DateTime<Utc>> + Send + Sync;

/// What is known of a job.
#[derive(Clone, Copy)]
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
    /// The first fire of its schedule after an instant. Given where the time above is not the job's own: a job that runs once a week is not late after a day.
    pub next_fire: Option<&'a NextFire>,
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

fn is_on(run: &RunRecord) -> bool {
    matches!(run.state, RunState::Extracting | RunState::Diffed)
        || (run.state == RunState::Delivering && run.finished_at.is_none())
}

/// The newest run that says whether the job can be done. One that has compared nothing and did not fail does not: it was cut off, as the daemon was stopped
/// or killed, or is (or was) held for a schema that has drifted. What was wrong before it is as wrong as it was.
fn last<'a>(seen: &Seen<'a>) -> Option<&'a RunRecord> {
    let says_nothing = |run: &RunRecord| {
        matches!(run.state, RunState::Held | RunState::Superseded | RunState::Discarded)
            && run.counts == Counts::default()
    };
    seen.runs.iter().find(|run| !is_on(run) && !says_nothing(run))
}

/// The newest run that is published and not on: what is pending is pending of this one, whatever was tried after it. Not one that is superseded: that may
/// be a held one that was never published, and of the others whoever has superseded them tells.
fn last_published<'a>(seen: &Seen<'a>) -> Option<&'a RunRecord> {
    let is_in_force =
        |run: &RunRecord| matches!(run.state, RunState::Published | RunState::Delivering | RunState::Finished);
    seen.runs.iter().find(|run| !is_on(run) && is_in_force(run))
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests;
