//! `nightmark dead-letters`: what the destination keeps refusing.

use super::report::{clipped, grouped, plural};
use super::table::{shown, table};
use super::{Context, Exit};
use crate::job::load::load_job;
use crate::job::spec::DEAD_LETTER_AFTER;
use crate::store::{Refusal, RefusalChange};
use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};

/// Arguments of `nightmark dead-letters`.
#[derive(Debug, Args)]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the rows that the destination has refused, of one job or of all
    List(ListArgs),
    /// Show what is known of one row
    Show(OfKey),
    /// Have rows sent again by the next `run` or `retry`, as if they had never been refused
    Retry(OfKeys),
    /// Hear no more of rows: they are not sent until their value changes
    Drop(OfKeys),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only those of this job
    job: Option<String>,
    /// Those that were dropped too, and those that are sent again by the next run
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
struct OfKey {
    /// The job's name, or the path of its file
    job: String,
    /// The row's key, as `list` shows it
    key: String,
}

#[derive(Debug, Args)]
struct OfKeys {
    /// The job's name, or the path of its file
    job: String,
    /// The rows' keys, as `list` shows them
    #[arg(required_unless_present = "all")]
    keys: Vec<String>,
    /// Every one of the job; `drop`: every one that is set aside
    #[arg(long, conflicts_with = "keys")]
    all: bool,
}

impl DeadLettersArgs {
    /// What of it goes into the audit log.
    pub(super) fn audited(&self) -> Option<(&'static str, Option<String>)> {
        match &self.command {
            Command::Retry(args) => Some(("dead-letters retry", Some(args.job.clone()))),
            Command::Drop(args) => Some(("dead-letters drop", Some(args.job.clone()))),
            Command::List(_) | Command::Show(_) => None,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// A state store that cannot be read, a job or key that is not known.
pub async fn run(context: &Context, args: DeadLettersArgs) -> anyhow::Result<Exit> {
    match args.command {
        Command::List(args) => list(context, args).await,
        Command::Show(args) => show(context, args).await,
        Command::Retry(args) => change(context, args, RefusalChange::Retry).await,
        Command::Drop(args) => change(context, args, RefusalChange::Drop).await,
    }
}

/// What becomes of a refused version.
fn fate(refusal: &Refusal, after: u32) -> &'static str {
    match () {
        () if refusal.dropped => "dropped",
        () if refusal.is_given_up(after) => "set aside",
        () => "sent again",
    }
}

/// What is stored of a job, or of all.
async fn refusals(context: &Context, job: Option<&str>) -> anyhow::Result<Vec<Refusal>> {
    let Some(store) = context.look_into_store().await? else {
        return Ok(Vec::new());
    };
    let refusals = store.refusals(job).await?;
    store.close().await;
    Ok(refusals)
}

/// After how many refusals each of these jobs sets a row aside. One whose file is gone has no limit of its own any more.
fn limits(context: &Context, refusals: &[Refusal]) -> HashMap<String, u32> {
    let jobs: BTreeSet<&String> = refusals.iter().map(|refusal| &refusal.job).collect();
    jobs.into_iter().map(|job| (job.clone(), limit(context, job))).collect()
}

/// After how many refusals a job sets a row aside; the default if its file cannot be read.
pub fn limit(context: &Context, job: &str) -> u32 {
    load_job(&context.home, job).map_or(DEAD_LETTER_AFTER, |job| job.destination.dead_letter_after)
}

async fn list(context: &Context, args: ListArgs) -> anyhow::Result<Exit> {
    let mut refusals = refusals(context, args.job.as_deref()).await?;
    let limits = limits(context, &refusals);
    let fate_of = |refusal: &Refusal| fate(refusal, limits[&refusal.job]);
    let before = refusals.len();
    if !args.all {
        refusals.retain(|refusal| fate_of(refusal) == "set aside");
    }
    if context.json {
        let rows: Vec<Value> = refusals.iter().map(|r| object(r, fate_of(r))).collect();
        crate::say!("{}", Value::Array(rows));
        return Ok(Exit::Done);
    }
    let hidden = before - refusals.len();
    if refusals.is_empty() {
        crate::say!("no dead letters");
    } else {
        let mut out = table(&["job", "key", "refused", "HTTP", "last", "fate", "why"]);
        for refusal in &refusals {
            out.add_row([
                refusal.job.clone(),
                clipped(&refusal.key),
                grouped(u64::from(refusal.count)),
                refusal.status.map_or_else(|| "-".to_owned(), |s| s.to_string()),
                refusal.last_at.format("%Y-%m-%d %H:%M:%S").to_string(),
                fate_of(refusal).to_owned(),
                clipped(refusal.detail.as_deref().unwrap_or_default()),
            ]);
        }
        crate::say!("{out}");
    }
    if hidden > 0 {
        crate::say!("{} refused or dropped (--all shows them)", plural(hidden as u64, "more row"));
    }
    Ok(Exit::Done)
}

async fn show(context: &Context, args: OfKey) -> anyhow::Result<Exit> {
    let job = load_job(&context.home, &args.job)?;
    let refusals = refusals(context, Some(&job.name)).await?;
    let found: Vec<&Refusal> = refusals.iter().filter(|refusal| refusal.key == args.key).collect();
    if found.is_empty() {
        bail!(
            "no refused row of job `{}` has the key `{}`; `nightmark dead-letters list --all` lists them",
            job.name,
            args.key
        );
    }
    let after = job.destination.dead_letter_after;
    if context.json {
        crate::say!("{}", found.iter().map(|r| object(r, fate(r, after))).collect::<Value>());
        return Ok(Exit::Done);
    }
    for refusal in found {
        let time = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d %H:%M:%S UTC");
        crate::say!("{} of job {}: {}", shown(&refusal.key), refusal.job, fate(refusal, after));
        crate::say!("  refused    {} (set aside after {after})", plural(u64::from(refusal.count), "time"));
        crate::say!("  first      {}", time(refusal.first_at));
        crate::say!("  last       {}, run {}", time(refusal.last_at), refusal.run);
        crate::say!("  HTTP       {}", refusal.status.map_or_else(|| "-".to_owned(), |s| s.to_string()));
        crate::say!("  said       {}", shown(refusal.detail.as_deref().unwrap_or("nothing")));
        crate::say!("  webhook-id {}", refusal.webhook_id);
    }
    crate::say!("What is compared and what would be sent: nightmark explain {} {}", job.name, shown(&args.key));
    Ok(Exit::Done)
}

fn object(refusal: &Refusal, fate: &str) -> Value {
    let mut object = json!(refusal);
    if let Value::Object(object) = &mut object {
        object.insert("fate".into(), json!(fate));
    }
    object
}

async fn change(context: &Context, args: OfKeys, change: RefusalChange) -> anyhow::Result<Exit> {
    let job = load_job(&context.home, &args.job)?;
    let store = context.store().await?;
    let refusals = store.refusals(Some(&job.name)).await?;
    let unknown = args.keys.iter().find(|key| !refusals.iter().any(|refusal| refusal.key == **key));
    if let Some(key) = unknown {
        bail!(
            "no refused row of job `{}` has the key `{key}`; nothing was changed; `nightmark dead-letters list --all` lists them",
            job.name
        );
    }
    // To drop is to lose a change on purpose: what is still being sent must be named for that.
    let after = job.destination.dead_letter_after;
    let is_meant = |refusal: &Refusal| change != RefusalChange::Drop || refusal.is_given_up(after);
    let chosen = refusals.iter().filter(|r| if args.all { is_meant(r) } else { args.keys.contains(&r.key) });
    let ids: Vec<String> = chosen.map(|refusal| refusal.webhook_id.clone()).collect();
    let changed = store.change_refusals(&job.name, &ids, change).await?;
    store.close().await;
    if context.json {
        crate::say!("{}", json!({ "job": job.name, "changed": changed }));
    } else if change == RefusalChange::Drop {
        crate::say!("{} dropped: not sent until their values change", plural(changed, "row"));
    } else {
        crate::say!(
            "{} to be sent again: by the next run, or now with `nightmark retry {}`",
            plural(changed, "row"),
            job.name
        );
    }
    Ok(Exit::Done)
}
