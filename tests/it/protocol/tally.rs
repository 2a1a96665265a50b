//! What came up in the histories, so that one can see that they are not all alike.

use super::history::{Answer, Turn, Weather};
use super::life::{Request, Word};
use super::model::{Model, Row};
use super::site::Asked;
use nightmark::deliver::StopKind;
use nightmark::receipt::Outcome;
use std::collections::BTreeMap;

/// What must come up in a thousand histories.
pub const EXPECTED: [&str; 28] = [
    "source: Change",
    "source: Revert",
    "source: Delete",
    "source: Reappear",
    "process: Run",
    "process: Publish",
    "process: Retry",
    "process: killed",
    "process: dropped",
    "answer: Success",
    "answer: Refusal",
    "answer: TakenBack",
    "answer: Busy",
    "answer: NoConnection",
    "answer: 500, applied: true",
    "answer: 500, applied: false",
    "answer: 501, applied: true",
    "answer: time-out, applied: true",
    "answer: time-out, applied: false",
    "published: over what an earlier run had left",
    "row: added",
    "row: changed",
    "row: removed",
    "row: back at what was acknowledged, after a doubt",
    "row: repeats a version",
    "row: a dead letter",
    "stopped: Asked",
    "stopped: Config",
];

/// What must come up besides where requests carry several rows.
pub const OF_BATCHES: [&str; 6] = [
    "batch: applied",
    "batch: refused",
    "batch: failed",
    "batch: taken in part, and refused",
    "batch: each row by itself",
    "row: taken with a request that was refused, and unknown",
];

/// Counts by name.
#[derive(Debug, Default)]
pub struct Tally {
    pub histories: u64,
    counts: BTreeMap<String, u64>,
}

impl Tally {
    fn count(&mut self, name: impl Into<String>) {
        *self.counts.entry(name.into()).or_default() += 1;
    }

    pub fn turn(&mut self, turn: Turn) {
        self.count(format!("source: {turn:?}"));
    }

    pub fn night(&mut self, asked: Asked, weather: &Weather, crashed_at: Option<&str>) {
        self.count(format!("process: {asked:?}"));
        if let (Some(place), Some(crash)) = (crashed_at, weather.crash) {
            self.count(if crash.is_kill { "process: killed" } else { "process: dropped" });
            self.count(format!("place: {place}"));
        }
    }

    /// `model`: as it was before.
    pub fn published(&mut self, model: &Model, rows: &[Row]) {
        if model.deliveries.iter().any(|of| !of.acknowledged) {
            self.count("published: over what an earlier run had left");
        }
        for row in rows {
            self.count(format!("row: {}", row.operation.as_str()));
            if row.before.in_doubt && row.before.value == row.value {
                self.count("row: back at what was acknowledged, after a doubt");
            }
            if model.rows.iter().any(|of| of.id == row.id) {
                self.count("row: repeats a version");
            }
            if model.is_set_aside(row) {
                self.count("row: a dead letter");
            }
        }
    }

    pub fn request(&mut self, request: &Request) {
        let name = match request.answer {
            Answer::Error(applied) => format!("500, applied: {applied}"),
            Answer::TimeOut(applied) => format!("time-out, applied: {applied}"),
            Answer::NotImplemented(applied) => format!("501, applied: {applied}"),
            Answer::InPart(_) => "InPart".to_owned(),
            Answer::Results(_) => "Results".to_owned(),
            other => format!("{other:?}"),
        };
        self.count(format!("answer: {name}"));
        if request.together > 1 {
            self.count(match request.answer {
                Answer::Success => "batch: applied",
                Answer::InPart(_) if request.applied => "batch: taken in part, and refused",
                Answer::Refusal | Answer::TakenBack | Answer::InPart(_) => "batch: refused",
                Answer::Results(_) => "batch: each row by itself",
                _ => "batch: failed",
            });
        }
    }

    /// `requests`: those for the row in this step.
    pub fn word(&mut self, word: &Word, requests: &[Request]) {
        let was_taken = |request: &Request| request.applied && matches!(request.answer, Answer::InPart(_));
        if word.outcome == Outcome::Unknown && requests.iter().any(was_taken) {
            self.count("row: taken with a request that was refused, and unknown");
        }
        self.count(match word.outcome {
            Outcome::Acknowledged => "receipt: acknowledged",
            Outcome::Refused => "receipt: refused",
            Outcome::Unknown => "receipt: unknown",
        });
    }

    pub fn stopped(&mut self, kind: Option<StopKind>) {
        if let Some(kind) = kind {
            self.count(format!("stopped: {kind:?}"));
        }
    }

    pub fn add(&mut self, other: Tally) {
        self.histories += other.histories;
        for (name, count) in other.counts {
            *self.counts.entry(name).or_default() += count;
        }
    }

    pub fn of(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} histories", self.histories)?;
        self.counts.iter().try_for_each(|(name, count)| writeln!(f, "{count:>9}  {name}"))
    }
}
