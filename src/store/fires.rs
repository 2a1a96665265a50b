//! Fires of jobs: what has begun runs, or was to begin them, and what became of each.

use super::StoreError;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// What became of a fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FireState {
    /// It was asked for while a run of the job was on, and runs when that has ended.
    Waiting,
    /// Its run is on, or the daemon that began it is gone.
    Running,
    /// Its run has ended in order, whatever came of its rows.
    Done,
    /// Its run was held by a guard.
    Held,
    /// Its run could not be done.
    Failed,
    /// The job's run before it was still on.
    Skipped,
    /// No daemon was there, until it was too late to catch up.
    Missed,
}

impl FireState {
    /// All of them.
    pub const ALL: [FireState; 7] = [
        FireState::Waiting,
        FireState::Running,
        FireState::Done,
        FireState::Held,
        FireState::Failed,
        FireState::Skipped,
        FireState::Missed,
    ];

    /// The name that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            FireState::Waiting => "waiting",
            FireState::Running => "running",
            FireState::Done => "done",
            FireState::Held => "held",
            FireState::Failed => "failed",
            FireState::Skipped => "skipped",
            FireState::Missed => "missed",
        }
    }
}

/// What has begun a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FireCause {
    /// The job's schedule.
    Schedule,
    /// Somebody, by the admin API.
    Request,
    /// A new extract.
    File,
    /// Another job's success.
    Job,
}

impl FireCause {
    /// All of them.
    pub const ALL: [FireCause; 4] = [FireCause::Schedule, FireCause::Request, FireCause::File, FireCause::Job];

    /// The name that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            FireCause::Schedule => "schedule",
            FireCause::Request => "request",
            FireCause::File => "file",
            FireCause::Job => "job",
        }
    }
}

/// One fire of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FireRecord {
    /// The job.
    pub job: String,
    /// The instant of the schedule, or when it was asked for, seen, or the other job had ended; with the job it is the fire's identity.
    pub due: DateTime<Utc>,
    /// What became of it.
    pub state: FireState,
    /// The daemon that dealt with it.
    pub holder: String,
    /// When that was.
    pub claimed_at: DateTime<Utc>,
    /// When its run ended; `None` while it is on.
    pub ended_at: Option<DateTime<Utc>>,
    /// Earlier fires that it stands for, since nobody was there.
    pub collapsed: u64,
    /// Why it is in this state, where that is not plain; without secrets.
    pub reason: Option<String>,
    /// What began it.
    pub cause: FireCause,
    /// Which one that was, in words, where the cause alone does not say: a file, another job.
    pub origin: Option<String>,
    /// What the scheduler had seen by then of what begins runs; its own form.
    #[serde(skip)]
    pub seen: Option<String>,
}

/// Schedules, and the fires of jobs.
#[async_trait]
pub trait FireStore: Send + Sync {
    /// Since when a job has this schedule, as far as the store knows: `at`, if it hears of it now. Fires up to then are not the
    /// daemon's.
    async fn scheduled_since(&self, job: &str, schedule: &str, at: DateTime<Utc>) -> Result<DateTime<Utc>, StoreError>;
    /// Puts a fire that nobody has dealt with; `false`: somebody has, and nothing is changed.
    async fn claim_fire(&self, fire: &FireRecord) -> Result<bool, StoreError>;
    /// Says how a fire has ended, or (still `running`) who has begun it anew. Only what is `running` or `waiting`
    /// changes, and not by what it was begun; `false`: it is neither, or there is none.
    async fn end_fire(&self, fire: &FireRecord) -> Result<bool, StoreError>;
    /// The newest fires first, of one job or of all, at most `limit`.
    async fn fires(&self, job: Option<&str>, limit: u32) -> Result<Vec<FireRecord>, StoreError>;
    /// The newest fire of a job that has this cause and is in this state; `None`: whichever.
    async fn newest_fire(
        &self,
        job: &str,
        cause: Option<FireCause>,
        state: Option<FireState>,
    ) -> Result<Option<FireRecord>, StoreError>;
    /// The fires of all jobs that run or wait, by job and instant.
    async fn open_fires(&self) -> Result<Vec<FireRecord>, StoreError>;
    /// Forgets the fires that were due earlier, but for those that run or wait, each job's newest, and the newest of its schedule: up to that one
    /// the schedule's fires have been dealt with, however many others have come since.
    async fn forget_fires(&self, before: DateTime<Utc>) -> Result<(), StoreError>;
}
