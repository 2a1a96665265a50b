//! The order in which a row travels, in one place:
//!
//! job → source → row → normalise → diff → guard → changeset → template → deliver → receipt → snapshot
//!
//! In: a validated job, the home folder, the state store. Out: [`Planned`] (what would be sent) or [`RunReport`] (what was).
//! Always holds: nothing is published or sent before every guard has passed; base and changes are published before the
//! first request leaves; a run that cannot go on leaves the snapshot as it was, and its record says why.
//! Deliberately absent: printing, schedules; the stages themselves.

mod columns;
mod compare;
mod explain;
mod extract;
mod pinning;
mod plan;
mod planned;
mod sample;
mod scan;
mod seen;
mod send;
mod spill;
mod tally;
mod texts;
mod whole;

pub use explain::{Explained, ExplainedColumn, Fate, Position, explain};
pub use pinning::{PinnedColumn, Pinning, Standing, accept as accept_schema, pinning};
pub use plan::{Purpose, Resources, plan_blocking};
pub use planned::{PlanInput, Planned};
pub use sample::{Sample, sample};
pub use send::{Progress as SendProgress, missing_secrets};

use crate::clock::Clock;
use crate::config::{Home, Settings};
use crate::deliver::{DeliverError, Summary};
use crate::diff::{BadKey, BadKeys, KeyFault};
use crate::job::secrets::SecretError;
use crate::job::spec::Job;
use crate::normalise::{Drift, PlanError};
use crate::receipt::Counts;
use crate::snapshot::{JobLock, SnapshotError};
use crate::source::SourceError;
use crate::store::{RunRecord, RunState, RunStore, StoreError};
use crate::template::TemplateError;
use std::sync::Arc;
use tokio::sync::watch;

/// Why a job cannot be planned or run. Nothing was published or sent, except after [`PipelineError::Delivery`].
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The extract cannot be had.
    #[error("the extract of job `{job}` cannot be read: {source}{}", .source.hint.as_ref().map(|h| format!("\n  hint: {h}")).unwrap_or_default())]
    Source {
        /// The job.
        job: String,
        /// Why.
        source: SourceError,
    },
    /// Columns that the job names and the extract lacks, reserved names, unsupported types.
    #[error("{}", .0.join("\n"))]
    Columns(Vec<String>),
    /// The pinned schema no longer fits; the run is held.
    #[error(transparent)]
    Drift(#[from] Drift),
    /// Keys that are NULL, do not fit their pinned type, are empty or stand in several rows.
    #[error("{}", bad_keys_text(.job, .key, .bad))]
    BadKeys {
        /// The job.
        job: String,
        /// The key columns.
        key: String,
        /// The keys.
        bad: BadKeys,
    },
    /// The payload does not go with the extract.
    #[error("the payload of job `{job}` cannot be built:\n{}", template_problems(.problems))]
    Template {
        /// The job.
        job: String,
        /// Every problem.
        problems: Vec<TemplateError>,
    },
    /// Secrets that are missing.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The snapshot cannot be read or written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The state store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The client cannot be set up.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    /// Delivery broke off; what was sent is in the receipts, the rest is sent by the next run.
    #[error("delivery broke off: {0}")]
    Delivery(String),
    /// Rows that are put aside, or a change set that is only shown, cannot be written or read.
    #[error(
        "the folder for temporary files cannot be used: {0}\n  hint: it is that of TMPDIR for a preview, and the job's snapshot folder for a run"
    )]
    Scratch(String),
    /// Positions have 32 bits.
    #[error("the extract has more than 2,147,483,646 rows, which one job cannot have; split it into several jobs")]
    TooManyRows,
    /// An ignored column is to be kept as text; the plan starts over. Never seen outside.
    #[error("column `{0}` is kept as text")]
    KeptAsText(String),
    /// A bug of ours or of a library, contained.
    #[error("internal error: {0}")]
    Internal(String),
}

fn template_problems(problems: &[TemplateError]) -> String {
    let line = |p: &TemplateError| match &p.hint {
        Some(hint) => format!("  {p}\n    hint: {hint}"),
        None => format!("  {p}"),
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn bad_keys_text(job: &str, key: &str, bad: &BadKeys) -> String {
    let listed: Vec<String> = bad.listed.iter().map(|b| format!("  {b}")).collect();
    let more = bad.count - bad.listed.len() as u64;
    let more = if more > 0 { format!("\n  … and {more} more") } else { String::new() };
    let unfit = |b: &BadKey| matches!(b.fault, KeyFault::DoesNotFit { .. });
    let retyped = match bad.listed.iter().any(unfit) {
        true => format!(
            "\n  hint: if such keys are right from now on, move snapshots/{job} away: the next run then pins the new type; \
             with diff.first_run = \"adopt\" it sends nothing"
        ),
        false => String::new(),
    };
    format!(
        "the extract of job `{job}` has {} bad {} (diff.key = {key}); nothing was sent:\n{}{more}\n  hint: one row per \
         org is needed; mend the extract or its query, or set diff.on_bad_key = \"quarantine\" to leave these orgs \
         out{retyped}",
        bad.count,
        if bad.count == 1 { "key" } else { "keys" },
        listed.join("\n")
    )
}

/// What a run needs from outside.
#[derive(Clone)]
pub struct Runner {
    /// Where things are.
    pub home: Home,
    /// The daemon's settings.
    pub settings: Settings,
    /// The state.
    pub store: Arc<dyn RunStore>,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
    /// How much planning may take.
    pub resources: Resources,
    /// Told as the run goes.
    pub progress: Arc<dyn SendProgress>,
    /// True: stop in order; in-flight requests end, the rest stays pending.
    pub stop: watch::Receiver<bool>,
}

/// How a run ended.
#[derive(Debug)]
pub struct RunReport {
    /// The run's id.
    pub run: String,
    /// Finished or held.
    pub state: RunState,
    /// What it found and did.
    pub counts: Counts,
    /// Why it is held; empty otherwise.
    pub held: Vec<String>,
    /// The plan, unless the run was held before there was one.
    pub planned: Option<Arc<Planned>>,
    /// What delivery had to say, if anything was sent.
    pub delivery: Option<Summary>,
}

/// How a run is to go.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// Go on although a guard would hold it.
    pub approved: bool,
    /// Send what is published; else it stays pending.
    pub sends: bool,
}

impl Default for How {
    fn default() -> Self {
        How { approved: false, sends: true }
    }
}

impl Runner {
    /// Runs a job from extract to receipts.
    ///
    /// # Errors
    /// Whatever kept it from being done; the run's record has the reason too.
    pub async fn run(&self, job: Arc<Job>, how: How) -> Result<RunReport, PipelineError> {
        let dir = self.home.snapshots(&job.name);
        let run = self.clock.run_id();
        let _lock = JobLock::take(&dir, &job.name, &format!("process {}, run {run}", std::process::id()))?;
        let mut record = RunRecord {
            id: run.clone(),
            job: job.name.clone(),
            state: RunState::Running,
            started_at: self.clock.now(),
            finished_at: None,
            counts: Counts::default(),
            reason: None,
        };
        self.store.put_run(&record).await?;
        failpoint!("run.recorded");
        tracing::info!(job = job.name, run, "run started");
        let outcome = self.stages(&job, how, &mut record).await;
        match &outcome {
            Ok(report) => {
                record.state = report.state;
                record.counts = report.counts;
                record.reason = reason_of(report);
            }
            Err(error) => {
                record.state = RunState::Failed;
                record.reason = Some(error.to_string());
            }
        }
        record.finished_at = Some(self.clock.now());
        failpoint!("run.before_final_record");
        self.store.put_run(&record).await?;
        failpoint!("run.ended");
        tracing::info!(job = job.name, run, state = ?record.state, "run ended");
        outcome
    }

    async fn stages(&self, job: &Arc<Job>, how: How, record: &mut RunRecord) -> Result<RunReport, PipelineError> {
        let dir = self.home.snapshots(&job.name);
        // Secrets are looked up first: a missing one should be known before an hour of extraction.
        let delivery = send::client(self, job)?;
        let input = PlanInput { job: Arc::clone(job), dir: dir.clone(), run: record.id.clone(), at: record.started_at };
        let planned = plan::plan(input, Some(&*self.store), &self.clock, self.resources, plan::Purpose::Run).await;
        let planned = match planned {
            Err(PipelineError::Drift(drift)) => return Ok(held_by_drift(&record.id, &job.name, &drift)),
            other => other?,
        };
        record.counts = planned.counts;
        if !planned.held.is_empty() && !how.approved {
            return Ok(RunReport {
                run: record.id.clone(),
                state: RunState::Held,
                counts: Counts { pending: planned.counts.planned(), ..planned.counts },
                held: planned.held.clone(),
                planned: Some(Arc::new(planned)),
                delivery: None,
            });
        }
        failpoint!("plan.ready");
        let planned = Arc::new(self.publish(planned).await?);
        failpoint!("publish.done");
        if !how.sends {
            return Ok(unsent(record, planned));
        }
        let summary = send::send(self, &planned, delivery, record).await?;
        let counts = Counts {
            acknowledged: summary.acknowledged,
            refused: summary.refused,
            unknown: summary.unknown,
            pending: summary.pending,
            ..planned.counts
        };
        Ok(RunReport {
            run: record.id.clone(),
            state: RunState::Finished,
            counts,
            held: Vec::new(),
            planned: Some(planned),
            delivery: Some(summary),
        })
    }

    async fn publish(&self, mut planned: Planned) -> Result<Planned, PipelineError> {
        let at = self.clock.now();
        let published = tokio::task::spawn_blocking(move || planned.publish(at).map(|_| planned));
        published.await.map_err(|e| PipelineError::Internal(e.to_string()))?
    }
}

/// Plans without a run: what `preview` and `check` show. Changes nothing on disk.
///
/// # Errors
/// Whatever would keep a run from being done.
pub async fn preview(
    job: Arc<Job>,
    home: &Home,
    store: Option<&dyn RunStore>,
    clock: &Arc<dyn Clock>,
    resources: Resources,
) -> Result<Planned, PipelineError> {
    let input = PlanInput { dir: home.snapshots(&job.name), job, run: clock.run_id(), at: clock.now() };
    plan::plan(input, store, clock, resources, plan::Purpose::Preview).await
}

/// A run that publishes and leaves everything pending.
fn unsent(record: &RunRecord, planned: Arc<Planned>) -> RunReport {
    RunReport {
        run: record.id.clone(),
        state: RunState::Finished,
        counts: planned.counts,
        held: Vec::new(),
        planned: Some(planned),
        delivery: None,
    }
}

fn held_by_drift(run: &str, job: &str, drift: &Drift) -> RunReport {
    RunReport {
        run: run.to_owned(),
        state: RunState::Held,
        counts: Counts::default(),
        held: drift_reasons(job, drift),
        planned: None,
        delivery: None,
    }
}

/// A drift as reasons for a hold, with the remedy.
pub fn drift_reasons(job: &str, drift: &Drift) -> Vec<String> {
    let mut reasons: Vec<String> = drift.problems.iter().map(ToString::to_string).collect();
    reasons.push(format!(
        "the extract no longer fits the schema pinned with the first base: {}. `nightmark schema {job} show` shows both; \
         --approve does not apply here",
        // A drift knows no job.
        drift.remedy().replace("schema … accept", &format!("schema {job} accept"))
    ));
    reasons
}

fn reason_of(report: &RunReport) -> Option<String> {
    if !report.held.is_empty() {
        return Some(report.held.join("; "));
    }
    let stopped = report.delivery.as_ref()?.stopped.as_ref()?;
    Some(format!("{}; {}", stopped.reason, stopped.remedy))
}

impl From<PlanError> for PipelineError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Drift(drift) => PipelineError::Drift(drift),
            other @ PlanError::Unsupported { .. } => PipelineError::Columns(vec![other.to_string()]),
        }
    }
}
