//! Why a job cannot be planned or run, in words.

use crate::deliver::DeliverError;
use crate::diff::{BadKey, BadKeys, KeyFault};
use crate::job::secrets::SecretError;
use crate::normalise::{BatchError, Drift, PlanError};
use crate::snapshot::SnapshotError;
use crate::source::SourceError;
use crate::store::StoreError;
use crate::template::TemplateError;
use arrow::error::ArrowError;

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
