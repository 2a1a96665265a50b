//! `nightmark schema JOB show | accept`: the pinned schema beside tonight's extract, and taking tonight's.

use super::resources::ResourceArgs;
use super::table::{shown, table};
use super::{Context, Exit};
use crate::job::load::load_job;
use crate::job::spec::Job;
use crate::pipeline::{self, PinnedColumn, Pinning, Standing};
use crate::snapshot::Manifest;
use crate::store::RunStore;
use anyhow::bail;
use clap::ValueEnum;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::watch;

/// Arguments of `nightmark schema`.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// The job's name, or the path of its file
    pub job: String,
    /// What to do
    #[arg(value_enum, default_value = "show")]
    pub action: Action,
}

/// What to do with tonight's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Action {
    /// Show each column as it is pinned and as it is tonight
    Show,
    /// Pin tonight's schema: later extracts are read by it
    Accept,
}

impl SchemaArgs {
    /// What of it goes into the audit log.
    pub(super) fn audited(&self) -> Option<(&'static str, Option<String>)> {
        (self.action == Action::Accept).then(|| ("schema accept", Some(self.job.clone())))
    }
}

/// Runs the command. `show` exits with 3 if a run would be held, `accept` with 2 if tonight's schema is refused.
///
/// # Errors
/// An extract or a manifest that cannot be read; `accept` also while a run is on.
pub async fn run(context: &Context, args: SchemaArgs) -> anyhow::Result<Exit> {
    let job = Arc::new(load_job(&context.home, &args.job)?);
    let name = job.name.clone();
    context.freshen(&name).await?;
    let found = match args.action {
        Action::Show => look(context, job).await?,
        Action::Accept => accept(context, job).await?,
    };
    let Some(pinning) = found else {
        bail!("job `{name}` has no snapshot yet, so that nothing is pinned; `nightmark run {name}` pins the schema");
    };
    let accepts = args.action == Action::Accept;
    match context.json {
        true => print_json(&name, &pinning, accepts),
        false if accepts => print_accepted(&name, &pinning),
        false => print_shown(&name, &pinning),
    }
    Ok(match accepts {
        true if !pinning.refused.is_empty() => Exit::CouldNotRun,
        false if pinning.columns.iter().any(|column| column.holds) => Exit::Held,
        _ => Exit::Done,
    })
}

async fn look(context: &Context, job: Arc<Job>) -> anyhow::Result<Option<Pinning>> {
    let store = context.look_into_store().await?;
    let state = store.as_deref().map(|s| s as &dyn RunStore);
    let found = pipeline::pinning(job, &context.home, state, &context.clock).await;
    if let Some(store) = &store {
        store.close().await;
    }
    Ok(found?)
}

async fn accept(context: &Context, job: Arc<Job>) -> anyhow::Result<Option<Pinning>> {
    // Without a snapshot there is nothing to accept, and no state store is made for that.
    if Manifest::load(&context.home.snapshots(&job.name))?.is_none() {
        return Ok(None);
    }
    let store = context.store().await?;
    let (_stop, stopping) = watch::channel(false);
    let resources = ResourceArgs::default().resources();
    let runner = super::run::runner(context, &store, Arc::new(()), Arc::new(()), resources, stopping);
    let found = runner.accept_schema(job).await;
    store.close().await;
    Ok(found?)
}

fn kind(kind: Option<crate::row::Kind>) -> String {
    kind.map(|kind| kind.to_string()).unwrap_or_default()
}

/// How a column stands, in words.
fn standing(column: &PinnedColumn) -> String {
    let mut words = column.standing.as_str().to_owned();
    match column.standing {
        Standing::New if column.tonight.is_none() && column.purpose == "ignored" => words.push_str(", not read"),
        Standing::New if column.tonight.is_none() => words.push_str(", pinned once it holds a value"),
        Standing::Gone if !column.candidates.is_empty() => {
            words.push_str(&format!("; was it renamed to {}?", column.candidates.join(" or ")));
        }
        _ => {}
    }
    if column.holds {
        words.push_str(" (HOLDS the run)");
    }
    words
}

fn print_shown(job: &str, pinning: &Pinning) {
    let mut out = table(&["column", "role", "pinned", "tonight", "state"]);
    for column in &pinning.columns {
        out.add_row([
            &shown(&column.name),
            column.purpose,
            &kind(column.pinned),
            &kind(column.tonight),
            &shown(&standing(column)),
        ]);
    }
    crate::say!("{}", out.trim_fmt());
    if pinning.changes.is_empty() {
        crate::say!("\nThe extract fits the pinned schema (run {}).", pinning.manifest.run);
        return;
    }
    match pinning.refused.is_empty() {
        true => {
            crate::say!("\n`nightmark schema {job} accept` would pin tonight's schema:");
            pinning.changes.iter().chain(&pinning.consequences).for_each(|line| crate::say!("  {}", shown(line)));
        }
        false => {
            crate::say!("\nTonight's schema cannot be accepted:");
            pinning.refused.iter().for_each(|line| crate::say!("  {}", shown(line)));
        }
    }
}

fn print_accepted(job: &str, pinning: &Pinning) {
    if !pinning.refused.is_empty() {
        crate::say!("{job}: tonight's schema is NOT accepted, nothing was changed:");
        pinning.refused.iter().for_each(|line| crate::say!("  {}", shown(line)));
    } else if pinning.changes.is_empty() {
        crate::say!("{job}: the extract fits the pinned schema; nothing was changed");
    } else {
        crate::say!("{job}: tonight's schema is pinned:");
        pinning.changes.iter().for_each(|line| crate::say!("  {}", shown(line)));
        pinning.consequences.iter().for_each(|line| crate::say!("note: {}", shown(line)));
        crate::say!("Look at the next run with: nightmark preview {job}");
    }
}

fn print_json(job: &str, pinning: &Pinning, accepts: bool) {
    let column = |column: &PinnedColumn| {
        json!({
            "name": column.name,
            "role": column.purpose,
            "pinned": column.pinned.map(|kind| kind.to_string()),
            "tonight": column.tonight.map(|kind| kind.to_string()),
            "state": column.standing.as_str(),
            "holds": column.holds,
            "candidates": column.candidates,
        })
    };
    crate::say!(
        "{}",
        json!({
            "job": job,
            "run": pinning.manifest.run,
            "accepted": accepts && pinning.refused.is_empty() && !pinning.changes.is_empty(),
            "changes": pinning.changes,
            "refused": pinning.refused,
            "notes": pinning.consequences,
            "columns": pinning.columns.iter().map(column).collect::<Value>(),
        })
    );
}
