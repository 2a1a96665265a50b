//! `nightmark snapshot export JOB --output FILE`

use super::super::report::plural;
use super::super::{Context, Exit};
use super::{Of, Opened};
use crate::export::{Dialect, Export, ExportError};
use crate::job::load::load_job;
use crate::snapshot::{Basis, SnapshotError, known_orgs};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Arguments of `nightmark snapshot export`.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The job's name, or the path of its file
    job: String,
    /// A run, as `snapshot list` shows it [default: the current one]
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// The file; it ends in .csv, .parquet or .ndjson
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Export(#[from] ExportError),
}

pub(super) async fn run(context: &Context, args: ExportArgs) -> anyhow::Result<Exit> {
    let of = Of::job(context, &args.job).await?;
    // Written as the job's own extract, so that the same job can read it; a job file that is broken does not keep it back.
    let dialect = load_job(&context.home, &args.job).map(|job| Dialect::of(&job.source)).unwrap_or_default();
    let opened = of.open(context, args.run.as_deref()).await?;
    let (run, note) = (opened.snapshot.manifest().run.clone(), opened.note.clone());
    let output = args.output.clone();
    let orgs = tokio::task::spawn_blocking(move || export(&opened, &output, &dialect)).await??;
    if context.json {
        let notes: Vec<String> = note.into_iter().collect();
        crate::say!("{}", json!({ "job": of.job, "run": run, "orgs": orgs, "output": args.output, "notes": notes }));
    } else {
        note.iter().for_each(|note| crate::say!("note: {note}"));
        let orgs = plural(orgs, "org");
        crate::say!("{}, run {run}: {orgs} written to {}", of.job, args.output.display());
    }
    Ok(Exit::Done)
}

fn export(opened: &Opened, output: &Path, dialect: &Dialect) -> Result<u64, Failed> {
    let schema = Basis::of(opened.snapshot.manifest()).schema;
    let mut export = Export::create(output, &schema, dialect)?;
    let orgs = known_orgs(&opened.snapshot, &mut |batch| Ok::<_, Failed>(export.write(batch)?))?;
    export.finish()?;
    Ok(orgs)
}
