//! `nightmark runs`: what happened.

mod limits;
mod show;
mod since;
mod words;

use super::report::grouped;
use super::table::{shown, table};
use super::{Context, Exit};
use crate::snapshot::JobLock;
use crate::store::{LeaseRecord, RunRecord, StateStore, StoreError};
use serde_json::json;
use std::collections::BTreeSet;

/// Arguments of `nightmark runs`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RunsArgs {
    #[command(subcommand)]
    command: Option<RunsCommand>,
    /// Only the runs of this job
    pub job: Option<String>,
    /// At most so many, the newest first
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

#[derive(Debug, clap::Subcommand)]
enum RunsCommand {
    /// Show one run: its steps, what was sent, what did not get through and why, what is left, and what to do
    Show(show::ShowArgs),
}

/// Runs the command.
///
/// # Errors
/// A state store that cannot be read; a run that is not known.
pub async fn run(context: &Context, args: RunsArgs) -> anyhow::Result<Exit> {
    if let Some(RunsCommand::Show(args)) = args.command {
        return show::run(context, args).await;
    }
    let (runs, leased) = match context.look_into_store().await? {
        Some(store) => {
            let runs = store.runs(args.job.as_deref(), args.limit).await?;
            let leased = leased(&*store).await?;
            store.close().await;
            (runs, leased)
        }
        None => Default::default(),
    };
    if context.json {
        crate::say!("{}", json!(runs));
    } else if runs.is_empty() {
        match &args.job {
            Some(job) => crate::say!("no runs of job `{job}` in {}", context.home.dir().display()),
            None => crate::say!("no runs yet in {}", context.home.dir().display()),
        }
    } else {
        crate::say!("{}", runs_table(context, &runs, &leased));
        for run in &runs {
            if let Some(reason) = &run.reason {
                crate::say!("{}: {}", run.id, reason.lines().map(shown).collect::<Vec<_>>().join("\n"));
            }
        }
    }
    Ok(Exit::Done)
}

fn runs_table(context: &Context, runs: &[RunRecord], leased: &BTreeSet<String>) -> comfy_table::Table {
    let headers = [
        "RUN",
        "JOB",
        "STARTED",
        "STATE",
        "EXTRACTED",
        "REJECTED",
        "ADDED",
        "CHANGED",
        "REMOVED",
        "ACKNOWLEDGED",
        "FAILED",
        "PENDING",
    ];
    let mut out = table(&headers);
    for run in runs {
        let counts = &run.counts;
        let left_alone = !run.state.is_final() && is_free(context, &run.job, leased);
        out.add_row([
            run.id.clone(),
            run.job.clone(),
            run.started_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            words::state(run, left_alone).to_owned(),
            grouped(counts.extracted),
            grouped(counts.rejected),
            grouped(counts.added),
            grouped(counts.changed),
            grouped(counts.removed),
            grouped(counts.acknowledged),
            grouped(counts.refused + counts.unknown),
            grouped(counts.pending),
        ]);
    }
    out
}

/// The jobs that a process of any machine has.
async fn leased(store: &dyn StateStore) -> Result<BTreeSet<String>, StoreError> {
    let Some(leases) = store.leases() else { return Ok(BTreeSet::new()) };
    let of = |lease: LeaseRecord| Some(lease.name.strip_prefix("job/")?.to_owned());
    Ok(leases.leases().await?.into_iter().filter_map(of).collect())
}

/// Whether surely no process works on the job, here or elsewhere.
fn is_free(context: &Context, job: &str, leased: &BTreeSet<String>) -> bool {
    !leased.contains(job) && JobLock::is_held(&context.home.snapshots(job)) == Some(false)
}
