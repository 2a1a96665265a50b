//! `nightmark backfill JOB`: orgs are sent once more, at a rate of their own.

mod show;

use super::confirm::Consent;
use super::report::{grouped, plural};
use super::resources::ResourceArgs;
use super::{Context, Exit, decide, run};
use crate::job::load::load_job;
use crate::job::spec::Job;
use crate::pipeline::{AskedBackfill, Prepared, Runner, Selection, backfills};
use crate::store::StateStore;
use anyhow::{Context as _, bail};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `nightmark backfill`.
#[derive(Debug, clap::Args)]
pub struct BackfillArgs {
    /// The job's name, or the path of its file
    pub job: String,
    /// Only orgs with this: a condition of Liquid over `row`, such as 'row.plan_id == "pro" and row.mrr > 100'
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,
    /// Only the orgs whose keys stand in this file, one in a line (those of several columns joined by ` / `)
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// Only orgs that could not be delivered: those of the last runs and of the last backfill, and dead letters
    #[arg(long)]
    pub only_failed: bool,
    /// Only orgs that runs have sent from this one on (with --only-failed: that they could not deliver)
    #[arg(long, value_name = "RUN")]
    pub since: Option<String>,
    /// At most so many requests, such as 20/s, 600/m or 5000/h; never more than destination.rate allows
    #[arg(long, value_name = "RATE")]
    pub rate: Option<String>,
    /// Only count the orgs
    #[arg(long)]
    pub dry_run: bool,
    /// Go on with the one that rests
    #[arg(long, conflicts_with_all = ["condition", "keys", "only_failed", "since", "dry_run"])]
    pub resume: bool,
    /// Have the one that is on rest
    #[arg(long, conflicts_with_all = ["condition", "keys", "only_failed", "since", "dry_run", "resume", "rate"])]
    pub pause: bool,
    /// Give up the one that is not at its end
    #[arg(long, conflicts_with_all = ["condition", "keys", "only_failed", "since", "dry_run", "resume", "rate", "pause"])]
    pub cancel: bool,
    /// Show how far the last one is
    #[arg(long, conflicts_with_all = ["condition", "keys", "only_failed", "since", "dry_run", "resume", "rate", "pause", "cancel"])]
    pub status: bool,
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

/// Runs the command. Ctrl-C or SIGTERM has the backfill rest: requests in flight finish.
///
/// # Errors
/// No yes; nothing published, or a backfill that is not at its end; whatever keeps it from being made or sent.
pub async fn run(context: &Context, args: BackfillArgs) -> anyhow::Result<Exit> {
    if args.status {
        return status(context, &args.job).await;
    }
    let job = Arc::new(load_job(&context.home, &args.job)?);
    let store = context.store().await?;
    let resources = args.resources.resources();
    let runner = run::runner(context, &store, run::bar(), Arc::new(()), resources, run::stop_on_signal()?);
    let outcome = go(context, &args, runner, &job, &store).await;
    store.close().await;
    outcome
}

async fn go(
    context: &Context,
    args: &BackfillArgs,
    runner: Runner,
    job: &Arc<Job>,
    store: &Arc<dyn StateStore>,
) -> anyhow::Result<Exit> {
    let who = decide::who(args.by.as_deref());
    if args.pause || args.cancel {
        let record = match args.pause {
            true => runner.pause_backfill(&job.name, &who).await?,
            false => runner.cancel_backfill(&job.name, &who).await?,
        };
        drop(runner);
        let all = backfills(&context.home, &**store as _, Some(&job.name), 1).await?;
        show::one(context, all.iter().find(|backfill| backfill.record.id == record.id));
        return Ok(Exit::Done);
    }
    let id = if args.resume {
        runner.open_backfill(&job.name).await?.id
    } else {
        let prepared = runner.prepare_backfill(Arc::clone(job), &args.asked()?).await?;
        if prepared.orgs() == 0 || args.dry_run {
            show::prepared(context, &job.name, &prepared);
            return Ok(Exit::Done);
        }
        args.consent.ask(&question(&job.name, &prepared, args.rate.as_deref()))?;
        runner.begin_backfill(prepared).await?.id
    };
    let rate = args.rate.clone().filter(|_| args.resume);
    let filled = runner.backfill(Arc::clone(job), &id, rate).await;
    // With it goes the progress bar, which must be off the screen before anything else is printed.
    drop(runner);
    Ok(show::filled(context, &job.name, &filled?))
}

/// What somebody says yes to.
fn question(job: &str, prepared: &Prepared, rate: Option<&str>) -> String {
    let mut text = format!(
        "job `{job}`: {} would be sent to {} ({})",
        plural(prepared.orgs(), "org"),
        prepared.host,
        prepared.what
    );
    if prepared.differing > 0 {
        text.push_str(&format!(
            ": {} that differ from what is known or may, by a run that no guard holds, and {} as the destination has them",
            grouped(prepared.differing),
            grouped(prepared.same)
        ));
    }
    if let Some(rate) = rate {
        text.push_str(&format!("; at most {rate}"));
    }
    if prepared.rejected > 0 {
        text.push_str(&format!("; {} rejected, and not sent", plural(prepared.rejected, "row")));
    }
    for warning in &prepared.warnings {
        text.push_str(&format!(". A guard would hold a run: {warning}"));
    }
    text
}

async fn status(context: &Context, name: &str) -> anyhow::Result<Exit> {
    // The job's file may be gone by now, or have mistakes.
    let job = load_job(&context.home, name).map_or_else(|_| name.to_owned(), |job| job.name);
    let found = match context.look_into_store().await? {
        Some(store) => {
            let found = backfills(&context.home, &*store as _, Some(&job), 1).await;
            store.close().await;
            found?
        }
        None => Vec::new(),
    };
    if found.is_empty() && !context.json {
        crate::say!("{job}: there has been no backfill");
        return Ok(Exit::Done);
    }
    show::one(context, found.first());
    Ok(Exit::Done)
}

impl BackfillArgs {
    fn asked(&self) -> anyhow::Result<AskedBackfill> {
        let keys = self.keys.as_deref().map(read_keys).transpose()?;
        let selection = Selection { keys, condition: self.condition.clone() };
        Ok(AskedBackfill {
            selection,
            only_failed: self.only_failed,
            since: self.since.clone(),
            rate: self.rate.clone(),
        })
    }
}

/// One key in a line; empty lines say nothing.
fn read_keys(path: &Path) -> anyhow::Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("--keys {}", path.display()))?;
    let keys: BTreeSet<String> =
        text.lines().map(|line| line.trim().to_owned()).filter(|key| !key.is_empty()).collect();
    if keys.is_empty() {
        bail!("--keys {}: there is no key in it", path.display());
    }
    Ok(keys)
}

/// What was only counted, as JSON.
fn prepared_json(job: &str, prepared: &Prepared) -> serde_json::Value {
    json!({
        "job": job,
        "backfill": null,
        "what": prepared.what,
        "host": prepared.host,
        "orgs": prepared.orgs(),
        "same": prepared.same,
        "differing": prepared.differing,
        "rejected": prepared.rejected,
        "keys": prepared.keys,
    })
}
