//! `nightmark runs`: what happened.

use super::report::grouped;
use super::table::table;
use super::{Context, Exit};
use crate::store::sqlite::SqliteStore;
use crate::store::{RunRecord, RunState, RunStore};
use serde_json::json;

/// Arguments of `nightmark runs`.
#[derive(Debug, clap::Args)]
pub struct RunsArgs {
    /// Only the runs of this job
    pub job: Option<String>,
    /// At most so many, the newest first
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub limit: u32,
}

/// Runs the command.
///
/// # Errors
/// A state store that cannot be read.
pub async fn run(context: &Context, args: RunsArgs) -> anyhow::Result<Exit> {
    let runs = match SqliteStore::open_existing_readonly(&context.home.database()).await? {
        Some(store) => {
            let runs = store.runs(args.job.as_deref(), args.limit).await?;
            store.close().await;
            runs
        }
        None => Vec::new(),
    };
    if context.json {
        println!("{}", json!(runs));
    } else if runs.is_empty() {
        println!("no runs yet in {}", context.home.dir().display());
    } else {
        println!("{}", runs_table(&runs));
        for run in &runs {
            if let Some(reason) = &run.reason {
                println!("{}: {reason}", run.id);
            }
        }
    }
    Ok(Exit::Done)
}

fn runs_table(runs: &[RunRecord]) -> comfy_table::Table {
    let headers = [
        "RUN",
        "JOB",
        "STARTED",
        "STATE",
        "EXTRACTED",
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
        out.add_row([
            run.id.clone(),
            run.job.clone(),
            run.started_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            state(run.state).to_owned(),
            grouped(counts.extracted),
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

fn state(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running or cut off",
        RunState::Finished => "finished",
        RunState::Held => "HELD",
        RunState::Failed => "FAILED",
    }
}
