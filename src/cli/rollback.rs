//! `nightmark rollback JOB --to RUN`: back to an earlier snapshot.

use super::confirm::Consent;
use super::report::plural;
use super::resources::ResourceArgs;
use super::{Context, Exit, decide, out, run};
use crate::job::load::load_job;
use crate::job::spec::Job;
use crate::pipeline::{Earlier, Return, Runner};
use crate::receipt::Counts;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::watch;

/// Arguments of `nightmark rollback`.
#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    /// The job's name, or the path of its file
    pub job: String,
    /// The run whose snapshot is to be in force again, as `nightmark snapshot list` shows it
    #[arg(long, value_name = "RUN")]
    pub to: String,
    /// Only say what the next run would send then
    #[arg(long)]
    pub dry_run: bool,
    /// Who wants it, for the record [default: the user of this process]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Whether to ask.
    #[command(flatten)]
    pub consent: Consent,
    /// How much it may take.
    #[command(flatten)]
    pub resources: ResourceArgs,
}

/// What the next run would send; or why that cannot be told.
type Forecast = Result<(Counts, Vec<String>), String>;

/// Runs the command. Nothing is sent.
///
/// # Errors
/// No yes; a run whose snapshot is not kept or is damaged; a disk that cannot be written.
pub async fn run(context: &Context, args: RollbackArgs) -> anyhow::Result<Exit> {
    let job = Arc::new(load_job(&context.home, &args.job)?);
    let store = context.store().await?;
    let (_stop, stopping) = watch::channel(false);
    let resources = args.resources.resources();
    let runner = run::runner(context, &store, Arc::new(()), Arc::new(()), resources, stopping);
    let outcome = go(context, &args, &runner, &job).await;
    drop(runner);
    store.close().await;
    let (forecast, done) = outcome?;
    match context.json {
        true => crate::say!("{}", as_json(&job.name, &args, &forecast, done.as_ref())),
        false => print(&job.name, &args, &forecast, done.as_ref()),
    }
    Ok(Exit::Done)
}

async fn go(
    context: &Context,
    args: &RollbackArgs,
    runner: &Runner,
    job: &Arc<Job>,
) -> anyhow::Result<(Forecast, Option<Return>)> {
    context.freshen(&job.name).await?;
    let earlier: Earlier = runner.earlier(job, &args.to).await?;
    let forecast: Forecast = match runner.preview_return(Arc::clone(job), &earlier).await {
        Ok(planned) => Ok((planned.counts, planned.held)),
        Err(error) => Err(out::error_text(&error.into())),
    };
    if args.dry_run {
        return Ok((forecast, None));
    }
    args.consent.ask(&format!(
        "job `{}`: what was known after run {} ({}) would count as what the destination has, instead of what is known by run {}. {}",
        job.name,
        args.to,
        earlier.manifest.published_at.format("%Y-%m-%d %H:%M:%S UTC"),
        earlier.current,
        words(&job.name, &forecast)
    ))?;
    let done = runner.roll_back(Arc::clone(job), &earlier, &decide::who(args.by.as_deref())).await?;
    Ok((forecast, Some(done)))
}

fn words(job: &str, forecast: &Forecast) -> String {
    match forecast {
        Ok((counts, held)) => {
            let mut text = format!(
                "With tonight's extract the next run would send {}: {} added, {} changed, {} removed",
                plural(counts.planned(), "webhook"),
                counts.added,
                counts.changed,
                counts.removed
            );
            if !held.is_empty() {
                text.push_str(&format!(" (a guard would hold it: {})", held.join("; ")));
            }
            text
        }
        Err(problem) => {
            format!(
                "What the next run would send cannot be told now (`nightmark preview {job}` does so then): {problem}"
            )
        }
    }
}

fn print(job: &str, args: &RollbackArgs, forecast: &Forecast, done: Option<&Return>) {
    match done {
        None => crate::say!("{job}: nothing was changed (--dry-run)"),
        Some(done) => {
            let doubt = match done.unacknowledged {
                0 => String::new(),
                n => format!("; {} of that run not acknowledged, and so as before", plural(n, "change")),
            };
            crate::say!(
                "{job}: {} known as after run {}{doubt}; nothing was sent (run {})",
                plural(done.orgs, "org"),
                args.to,
                done.run
            );
        }
    }
    crate::say!("{}.", words(job, forecast));
}

fn as_json(job: &str, args: &RollbackArgs, forecast: &Forecast, done: Option<&Return>) -> Value {
    let next = match forecast {
        Ok((counts, held)) => {
            json!({ "added": counts.added, "changed": counts.changed, "removed": counts.removed, "held": held })
        }
        Err(problem) => json!({ "problem": problem }),
    };
    json!({
        "job": job,
        "to": args.to,
        "run": done.map(|done| &done.run),
        "orgs": done.map(|done| done.orgs),
        "unacknowledged": done.map(|done| done.unacknowledged),
        "next_run": next,
    })
}
