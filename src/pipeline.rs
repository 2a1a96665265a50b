//! The order in which a row travels, in one place:
//!
//! job → source → row → normalise → diff → guard → changeset → template → deliver → receipt → snapshot
//!
//! In: a validated job, the home folder, the state store. Out: [`Planned`] (what would be sent) or [`RunReport`] (what was).
//! Always holds: nothing is published or sent before every guard has passed; base and changes are published before the
//! first request leaves; a run that cannot go on leaves the snapshot as it was, and its record says why.
//! Deliberately absent: printing, schedules; the stages themselves.

mod adopt;
mod aim;
mod asides;
mod backfill;
mod bodies;
mod columns;
mod compare;
mod course;
mod decide;
mod explain;
mod extract;
mod faults;
mod hold;
mod look;
mod measured;
mod messages;
mod outbox;
mod peeked;
mod pinning;
mod plan;
mod planned;
mod planning;
mod rollback;
mod sample;
mod scan;
mod seen;
mod selection;
mod send;
mod service;
mod share;
mod shared;
mod shown;
mod since;
mod spill;
mod survey;
mod tally;
mod texts;
mod tidy;
mod turns;
mod whole;

pub use adopt::preview_adoption;
pub use aim::Purpose;
pub use backfill::{Asked as AskedBackfill, Backfill, BackfillEnd, Filled, Prepared, Sheet, backfills};
pub use bodies::Bodies;
pub use decide::{HeldRun, held_run};
pub use explain::{Explained, ExplainedColumn, Fate, Position, explain};
pub use look::{Looked, look};
pub use pinning::{PinnedColumn, Pinning, Standing, accept as accept_schema, pinning};
pub use plan::{Resources, plan_blocking};
pub use planned::{PlanInput, Planned};
pub use rollback::{Earlier, Return};
pub use sample::{Answering, Sample, advice, sample};
pub use selection::Selection;
pub use send::{SendProgress, check_destination, missing_secrets, probe_destination};
pub use share::member;
pub use shared::{freshen, freshen_for_run, try_shared};
pub use shown::ShownChange;
pub use since::{Reach, Since, Standstill};
pub use survey::{Asked, Observed, Survey, Surveyed, survey, survey_of_job};

use crate::clock::Clock;
use crate::config::{Home, Settings};
use crate::deliver::{Connect, DeliverError, Summary};
use crate::diff::{BadKey, BadKeys, KeyFault};
use crate::job::secrets::SecretError;
use crate::job::spec::Job;
use crate::lease::{Leases, Tenure};
use crate::metrics::Metrics;
use crate::normalise::{BatchError, Drift, PlanError};
use crate::receipt::Counts;
use crate::snapshot::{JobLock, Manifest, Sharing, SnapshotError};
use crate::source::SourceError;
use crate::spans;
use crate::store::{Fence, RunRecord, RunState, RunStore, StoreError};
use crate::template::TemplateError;
use aim::{Aim, Share};
use arrow::error::ArrowError;
use course::Course;
use measured::Measured;
use outbox::Outbox;
use std::path::Path;
use std::sync::{Arc, Weak};
use tokio::sync::watch;
use tracing::Instrument as _;

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
    /// Several of the others, for `check`.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<PipelineError>),
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
    /// This process has not been heard of for too long.
    #[error(
        "job `{0}` was left: this process could not reach the state store for longer than store.lease, so that another may run the job by now; what was \
         in flight counts as unknown, and whoever runs the job next goes on with it"
    )]
    Lost(String),
    /// There is nothing to send again.
    #[error("nothing of job `{0}` is published yet\n  hint: `nightmark run {0}` does that, and sends")]
    NothingPublished(String),
    /// A baseline is there already.
    #[error(
        "job `{job}` has a snapshot, of run {run}: what the destination has is known by it, and the next run sends what differs\n  hint: --replace forgets it, \
         with all changes of it that are not acknowledged, and takes tonight's extract for what the destination has"
    )]
    HasSnapshot {
        /// The job.
        job: String,
        /// The run that is published.
        run: String,
    },
    /// An extract that is no baseline.
    #[error("the extract of job `{job}` is not taken as the baseline; nothing was changed:\n  {}\n  hint: --approve takes it all the same", .reasons.join("\n  "))]
    NoBaseline {
        /// The job.
        job: String,
        /// What the guards say of it.
        reasons: Vec<String>,
    },
    /// There is no such snapshot to return to.
    #[error(
        "job `{job}` cannot return to run {run}: {why}\n  hint: `nightmark snapshot list {job}` shows the runs whose snapshots are kept"
    )]
    NoReturn {
        /// The job.
        job: String,
        /// The run.
        run: String,
        /// Why.
        why: String,
    },
    /// A backfill that cannot be begun or gone on with.
    #[error("backfill of job `{job}`: {why}")]
    Backfill {
        /// The job.
        job: String,
        /// Why, and what to do.
        why: String,
    },
    /// Which rows the destination has cannot be told.
    #[error(
        "the state store has no record of run {run}, whose snapshot is here (was nightmark.db deleted? Or does [store] name another?), so that it is not \
         known which of its changes were sent\n  hint: `nightmark run {job}` compares anew and sends them all"
    )]
    Forgotten {
        /// The job.
        job: String,
        /// The run.
        run: String,
    },
    /// Nothing waits for a decision.
    #[error("no run of job `{0}` is held\n  hint: `nightmark runs {0}` lists what there is")]
    NothingHeld(String),
    /// A run that cannot be approved or discarded.
    #[error("run {run} of job `{job}` {why}")]
    Undecidable {
        /// The job.
        job: String,
        /// The run.
        run: String,
        /// Why, and what to do.
        why: String,
    },
    /// Rows that are put aside, or a change set that is only shown, cannot be written or read.
    #[error(
        "the folder for temporary files cannot be used: {0}\n  hint: it is that of TMPDIR for a preview, and the job's snapshot folder for a run"
    )]
    Scratch(String),
    /// It was told to stop before it had published anything.
    #[error("job `{0}` was told to stop before anything was published: nothing was sent, and the next run begins anew")]
    Stopped(String),
    /// Positions have 32 bits.
    #[error("the extract has more than 2,147,483,646 rows, which one job cannot have; split it into several jobs")]
    TooManyRows,
    /// An ignored column is to be kept as text; the plan starts over. Never seen outside.
    #[error("column `{0}` is kept as text")]
    KeptAsText(String),
    /// The extract is not in last night's order, as it seemed to be, or that order cannot be read; the plan starts over without
    /// it. Never seen outside.
    #[error("the extract cannot be compared in last night's order")]
    Astray,
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
    /// The way to the destination.
    pub connect: Arc<dyn Connect>,
    /// How much planning may take.
    pub resources: Resources,
    /// Told as the run goes.
    pub progress: Arc<dyn SendProgress>,
    /// What is counted and measured.
    pub metrics: Arc<dyn Metrics>,
    /// True: stop in order; what only plans ends at once, in-flight requests end, the rest stays pending.
    pub stop: watch::Receiver<bool>,
    /// Leases, where machines share the state store.
    pub leases: Option<Leases>,
    /// Whether what is worked on is this process's; set while a job is held.
    pub tenures: Vec<Tenure>,
    /// The leases that its writes are let in by, that of the job first.
    pub fences: Vec<Fence>,
    /// The lock of the job that is held, for threads that may outlive whoever holds it.
    pub lock: Weak<JobLock>,
}

/// How a run ended.
#[derive(Debug)]
pub struct RunReport {
    /// The run's id.
    pub run: String,
    /// Finished, held, published (nothing was sent) or delivering (something is left).
    pub state: RunState,
    /// What it found and did.
    pub counts: Counts,
    /// Why it is held; empty otherwise.
    pub held: Vec<String>,
    /// The plan, unless the run was held before there was one.
    pub planned: Option<Arc<Planned>>,
    /// What delivery had to say, if anything was sent.
    pub delivery: Option<Summary>,
    /// Rows that were passed over, because the destination has refused the same content too often.
    pub dead_letters: u64,
}

/// How a run is to go.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// Go on although a guard would hold it.
    pub approved: bool,
    /// Send what is published; else it stays pending.
    pub sends: bool,
    /// Which orgs a query that asks for `{{last_success}}` is to give.
    pub reach: Reach,
}

impl Default for How {
    fn default() -> Self {
        How { approved: false, sends: true, reach: Reach::default() }
    }
}

impl Runner {
    /// Runs a job from extract to receipts.
    ///
    /// # Errors
    /// Whatever kept it from being done; the run's record has the reason too.
    pub async fn run(&self, job: Arc<Job>, how: How) -> Result<RunReport, PipelineError> {
        let span = spans::run(&job.name);
        self.run_all(job, how, Aim::usual(Purpose::Run)).instrument(span).await
    }

    async fn run_all(&self, job: Arc<Job>, how: How, aim: Aim) -> Result<RunReport, PipelineError> {
        let run = self.clock.run_id();
        let what = match aim.share {
            Share::Differing => format!("backfill run {run}"),
            Share::Usual | Share::Same => format!("run {run}"),
        };
        let hold = self.hold_job(&job.name, &what).await?;
        let outcome = hold.runner().run_held(job, how, aim, run).await;
        hold.end().await;
        outcome
    }

    async fn run_held(&self, job: Arc<Job>, how: How, aim: Aim, run: String) -> Result<RunReport, PipelineError> {
        let dir = self.home.snapshots(&job.name);
        let measured = Measured::begin(self, &job.name);
        let mut record = RunRecord::new(&run, &job.name, self.clock.now());
        let began = shared::begin(self, &job.name).await;
        let is_begun = began.is_ok();
        let outcome = match began {
            Ok(sharing) => {
                // A manifest that cannot be read is reported by the first stage.
                if let Some(current) = Manifest::load(&dir).ok().flatten() {
                    record.id = self.clock.run_id_after(run, &current.run);
                }
                spans::tell_run(&record.id);
                self.stages(&job, &dir, how, aim, sharing, &mut record).await
            }
            Err(error) => {
                spans::tell_run(&record.id);
                Err(error)
            }
        };
        let outcome = self.close(outcome, &mut record).await;
        measured.ended(record.state);
        if is_begun {
            // Otherwise it is not known here which run is current.
            tidy::forget_old_runs(self, &job.name, &dir).await;
        }
        outcome
    }

    /// Sends what is left of the run that is published, without a new extract.
    ///
    /// # Errors
    /// Whatever kept it from being done; nothing published, and a run that the state store does not know.
    pub async fn retry(&self, job: Arc<Job>) -> Result<RunReport, PipelineError> {
        let span = spans::run(&job.name);
        self.take_up(job).instrument(span).await
    }

    async fn take_up(&self, job: Arc<Job>) -> Result<RunReport, PipelineError> {
        if self.settings.snapshots.shared.is_none() {
            // No folder is made for a job that has none.
            let nothing = || PipelineError::NothingPublished(job.name.clone());
            Manifest::load(&self.home.snapshots(&job.name))?.ok_or_else(nothing)?;
        }
        let hold = self.hold_job(&job.name, "retry").await?;
        let outcome = hold.runner().retry_held(job).await;
        hold.end().await;
        outcome
    }

    async fn retry_held(&self, job: Arc<Job>) -> Result<RunReport, PipelineError> {
        shared::begin(self, &job.name).await?;
        let dir = self.home.snapshots(&job.name);
        let manifest = Manifest::load(&dir)?.ok_or_else(|| PipelineError::NothingPublished(job.name.clone()))?;
        spans::tell_run(&manifest.run);
        course::recover(self, &job.name, Some(&manifest)).await?;
        let Some(mut record) = self.store.run(&manifest.run).await? else {
            return Err(PipelineError::Forgotten { job: job.name.clone(), run: manifest.run });
        };
        let measured = Measured::begin(self, &job.name);
        let outcome = self.resume(&job, &dir, manifest, &mut record).await;
        let outcome = self.close(outcome, &mut record).await;
        measured.ended(record.state);
        outcome
    }

    async fn close<T>(&self, outcome: Result<T, PipelineError>, record: &mut RunRecord) -> Result<T, PipelineError> {
        if let Err(error) = &outcome
            && let Err(store) = course::failed(self, record, error).await
        {
            // What the caller is told is why the run failed; this is only why its record does not say so.
            tracing::warn!(event = "run_not_recorded", error = %store, "the failure could not be recorded");
        }
        outcome
    }

    async fn stages(
        &self,
        job: &Arc<Job>,
        dir: &Path,
        how: How,
        mut aim: Aim,
        sharing: Option<Arc<Sharing>>,
        record: &mut RunRecord,
    ) -> Result<RunReport, PipelineError> {
        let (run, started_at) = (record.id.clone(), record.started_at);
        let course = Course::begin(self, record, dir).await?;
        // Secrets are looked up first: a missing one should be known before an hour of extraction.
        let delivery = send::client(self, job)?;
        let since = since::last_success(&job.name, dir, Some(&*self.store), started_at, how.reach).await?;
        let is_some = aim.only.is_some();
        if is_some {
            let stays = since::last_success(&job.name, dir, Some(&*self.store), started_at, Reach::SinceLastSuccess);
            aim.since = stays.await?.last_success;
        }
        let input = PlanInput::new(Arc::clone(job), &self.home, run.clone(), started_at, since);
        let planned = self.plan_for(input, aim).instrument(spans::stage("plan")).await;
        let planned = match planned {
            Err(PipelineError::Drift(drift)) => {
                let reasons = drift_reasons(&job.name, &drift);
                course.held(&reasons).await?;
                return Ok(RunReport::held(run, Counts::default(), reasons, None));
            }
            other => other?,
        };
        self.metrics.run_planned(&job.name, &planned.counts);
        let course = course.diffed(planned.counts, planned.since(), is_some, &planned.volatile()).await?;
        if !planned.held.is_empty() && !how.approved {
            let planned = self.hold(planned).await?;
            course.held(&planned.held).await?;
            course::replace_held(self, &job.name, &run).await?;
            let counts = Counts { pending: planned.counts.planned(), ..planned.counts };
            return Ok(RunReport::held(run, counts, planned.held.clone(), Some(Arc::new(planned))));
        }
        failpoint!("plan.ready");
        let planned = Arc::new(self.publish(planned, sharing).instrument(spans::stage("publish")).await?);
        failpoint!("publish.done");
        let course = course.published().await?;
        if !how.sends {
            let counts = course.rests(Some("published and not sent (--no-send)".to_owned())).await?;
            return Ok(RunReport::unsent(run, counts, planned));
        }
        let sending = send::send(self, job, planned.outbox(), delivery, course);
        let sent = sending.instrument(spans::stage("deliver")).await?;
        Ok(RunReport::sent(run, sent, Some(planned)))
    }

    async fn resume(
        &self,
        job: &Arc<Job>,
        dir: &Path,
        manifest: Manifest,
        record: &mut RunRecord,
    ) -> Result<RunReport, PipelineError> {
        let (run, at) = (record.id.clone(), record.started_at);
        let delivery = send::client(self, job)?;
        let (of, dir) = (Arc::clone(job), dir.to_owned());
        let opening = tokio::task::spawn_blocking(spans::within(move || Outbox::published(&of, &dir, &manifest, at)));
        let outbox = opening.await.map_err(|e| PipelineError::Internal(e.to_string()))??;
        let sending = send::send(self, job, outbox, delivery, Course::take_up(self, record));
        let sent = sending.instrument(spans::stage("deliver")).await?;
        Ok(RunReport::sent(run, sent, None))
    }

    /// What a guard holds stays on the disk, for whoever approves it.
    async fn hold(&self, mut planned: Planned) -> Result<Planned, PipelineError> {
        let at = self.clock.now();
        let held = tokio::task::spawn_blocking(move || planned.hold(at).map(|()| planned));
        held.await.map_err(|e| PipelineError::Internal(e.to_string()))?
    }

    async fn publish(&self, mut planned: Planned, sharing: Option<Arc<Sharing>>) -> Result<Planned, PipelineError> {
        let at = self.clock.now();
        let publish = spans::within(move || planned.publish(at, sharing.as_deref()).map(|_| planned));
        tokio::task::spawn_blocking(publish).await.map_err(|e| PipelineError::Internal(e.to_string()))?
    }
}

impl RunReport {
    fn held(run: String, counts: Counts, held: Vec<String>, planned: Option<Arc<Planned>>) -> Self {
        RunReport { run, state: RunState::Held, counts, held, planned, delivery: None, dead_letters: 0 }
    }

    /// A run that publishes and leaves everything pending.
    fn unsent(run: String, counts: Counts, planned: Arc<Planned>) -> Self {
        let (state, planned) = (RunState::Published, Some(planned));
        RunReport { run, state, counts, held: Vec::new(), planned, delivery: None, dead_letters: 0 }
    }

    fn sent(run: String, sent: send::Sent, planned: Option<Arc<Planned>>) -> Self {
        RunReport {
            run,
            state: sent.state,
            counts: sent.counts,
            held: Vec::new(),
            planned,
            delivery: Some(sent.summary),
            dead_letters: sent.dead_letters,
        }
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
    reach: Reach,
) -> Result<Planned, PipelineError> {
    let input = PlanInput::to_look(job, home, store, clock, reach).await?;
    plan::plan(input, store, clock, resources, Aim::usual(Purpose::Preview), None).await
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

impl From<BatchError> for PipelineError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Ignored { column } => PipelineError::KeptAsText(column),
            BatchError::Arrow(error) => error.into(),
        }
    }
}

/// What Arrow refuses of arrays that are our own is a fault of ours.
impl From<ArrowError> for PipelineError {
    fn from(error: ArrowError) -> Self {
        PipelineError::Internal(error.to_string())
    }
}

impl From<PlanError> for PipelineError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Drift(drift) => PipelineError::Drift(drift),
            other @ PlanError::Unsupported { .. } => PipelineError::Columns(vec![other.to_string()]),
        }
    }
}
