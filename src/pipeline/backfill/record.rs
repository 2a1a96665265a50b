//! What the state store keeps of a backfill besides its counts and the progress of its rows: its [`Sheet`], in the record's report.

use super::super::PipelineError;
use crate::config::Home;
use crate::receipt::{Counts, Progress};
use crate::snapshot::spool_is_locked;
use crate::store::{RunRecord, RunState, RunStore};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chrono::{DateTime, Utc};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a backfill is about, and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    /// Which orgs, in words.
    pub what: String,
    /// Where they go: without secrets.
    pub host: String,
    /// At most so many requests, such as `20/s`; `None`: as the destination says.
    pub rate: Option<String>,
    /// Orgs that differed from what was known when it was made: they go by a run.
    pub differing: u64,
    /// That run, once it was done.
    pub run: Option<String>,
    /// Up to this published run it is known which orgs runs have sent.
    pub accounted: String,
    /// Rows that are not sent, because a run has sent their org since, or is to do so: a Roaring bitmap in base64.
    passed: String,
    /// How many these are.
    pub passed_over: u64,
    /// How long rows were being sent, until the last batch ended.
    pub active_seconds: f64,
    /// When the batch began that is being sent.
    pub begun_at: Option<DateTime<Utc>>,
    /// Somebody wants it to rest.
    pub is_paused: bool,
}

impl Sheet {
    pub(super) fn new(what: String, host: String, rate: Option<String>, differing: u64, accounted: String) -> Self {
        Sheet {
            what,
            host,
            rate,
            differing,
            run: None,
            accounted,
            passed: String::new(),
            passed_over: 0,
            active_seconds: 0.0,
            begun_at: None,
            is_paused: false,
        }
    }

    pub(super) fn of(record: &RunRecord) -> Result<Self, PipelineError> {
        let report = record.report.clone().unwrap_or_default();
        serde_json::from_value(report).map_err(|error| unreadable(record, &error))
    }

    pub(super) fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    pub(super) fn passed(&self, record: &RunRecord) -> Result<RoaringBitmap, PipelineError> {
        if self.passed.is_empty() {
            return Ok(RoaringBitmap::new());
        }
        let bytes = STANDARD_NO_PAD.decode(&self.passed).map_err(|error| unreadable(record, &error))?;
        RoaringBitmap::deserialize_from(&bytes[..]).map_err(|error| unreadable(record, &error))
    }

    pub(super) fn set_passed(&mut self, passed: &mut RoaringBitmap) {
        passed.optimize();
        let mut bytes = Vec::with_capacity(passed.serialized_size());
        // Writing to memory does not fail.
        if passed.serialize_into(&mut bytes).is_ok() {
            (self.passed, self.passed_over) = (STANDARD_NO_PAD.encode(bytes), passed.len());
        }
    }
}

fn unreadable(record: &RunRecord, error: &dyn std::fmt::Display) -> PipelineError {
    let why = format!("the record of {} cannot be read: {error}; --cancel gives it up", record.id);
    PipelineError::Backfill { job: record.job.clone(), why }
}

/// A backfill as it stands.
#[derive(Debug, Clone)]
pub struct Backfill {
    /// Its record; the counts are those of now.
    pub record: RunRecord,
    /// What it is about.
    pub sheet: Sheet,
    /// Whether a process makes or sends it.
    pub is_active: bool,
}

impl Backfill {
    /// Rows that have no word yet.
    pub fn left(&self) -> u64 {
        self.record.counts.pending
    }

    /// `active`, `paused`, `finished` or `cancelled`.
    pub fn state(&self) -> &'static str {
        match (self.record.state, self.is_active) {
            (RunState::Discarded, _) => "cancelled",
            (state, _) if state.is_final() => "finished",
            (_, true) => "active",
            (_, false) => "paused",
        }
    }

    /// For how many seconds it would go on from `now`, at the speed that it has had, or at its rate before it had any; `None`: that cannot be told.
    pub fn seconds_left(&self, now: DateTime<Utc>) -> Option<f64> {
        let running = self.sheet.begun_at.filter(|_| self.is_active).and_then(|begun| (now - begun).to_std().ok());
        let running = running.map_or(0.0, |running| running.as_secs_f64());
        let counts = &self.record.counts;
        let done = (counts.acknowledged + counts.refused + counts.unknown) as f64;
        let kept = (done > 0.0).then(|| done / (self.sheet.active_seconds + running).max(0.001));
        let held = self.sheet.rate.as_deref().and_then(super::pace::per_second);
        Some(self.left() as f64 / kept.or(held)?)
    }
}

/// The counts of a backfill by what is known of its rows. `passed`: rows that it does not send.
pub(super) fn counts(rows: u64, progress: &Progress, passed: &RoaringBitmap) -> Counts {
    let told = &progress.acknowledged | &progress.refused | &progress.unknown;
    let passed = (passed - told).len();
    Counts { changed: rows, ..Counts::default() }.delivered(progress, passed)
}

/// The newest backfills, of one job or of all.
///
/// # Errors
/// A state store that cannot be read.
pub async fn backfills(
    home: &Home,
    store: &dyn RunStore,
    job: Option<&str>,
    limit: u32,
) -> Result<Vec<Backfill>, PipelineError> {
    let mut found = Vec::new();
    for mut record in store.backfills(job, limit).await? {
        let sheet = Sheet::of(&record)?;
        if !record.state.is_final() {
            let (passed, progress) = (sheet.passed(&record)?, store.progress(&record.id).await?);
            record.counts = counts(record.counts.changed, &progress, &passed);
        }
        let is_active = !record.state.is_final() && spool_is_locked(&home.snapshots(&record.job));
        found.push(Backfill { record, sheet, is_active });
    }
    Ok(found)
}
