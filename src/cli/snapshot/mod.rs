//! `nightmark snapshot`: what is on disk of what the destination is known to have.

mod diff;
mod export;
mod list;
mod show;
mod verify;

pub(super) use show::form_text;

use super::report::plural;
use super::{Context, Exit};
use crate::job::load::load_job;
use crate::receipt::Progress;
use crate::snapshot::{Manifest, Snapshot, published};
use anyhow::bail;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Arguments of `nightmark snapshot`.
#[derive(Debug, Args)]
pub struct SnapshotArgs {
    #[command(subcommand)]
    command: SnapshotCommand,
}

#[derive(Debug, Subcommand)]
enum SnapshotCommand {
    /// List the published runs that are still on disk
    List(OfJob),
    /// Show what a published run consists of, and which columns made orgs change
    Show(OfRun),
    /// Check every file of a published run: checksums, rows, order, keys and fingerprints
    Verify(OfRun),
    /// Show how the orgs differ between the states of two published runs
    Diff(diff::DiffArgs),
    /// Write what the destination is known to have to a file: one row per org, usable as an extract
    Export(export::ExportArgs),
}

/// A job.
#[derive(Debug, Args)]
struct OfJob {
    /// The job's name, or the path of its file
    job: String,
}

/// A published run of a job.
#[derive(Debug, Args)]
struct OfRun {
    /// The job's name, or the path of its file
    job: String,
    /// A run, as `snapshot list` shows it [default: the current one]
    run: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// No such job or run, files that cannot be read.
pub async fn run(context: &Context, args: SnapshotArgs) -> anyhow::Result<Exit> {
    match args.command {
        SnapshotCommand::List(args) => list::run(context, &Of::job(context, &args.job).await?),
        SnapshotCommand::Show(args) => show::run(context, &Of::job(context, &args.job).await?, args.run.as_deref()),
        SnapshotCommand::Verify(args) => verify::run(context, &Of::job(context, &args.job).await?, args.run.as_deref()),
        SnapshotCommand::Diff(args) => diff::run(context, args).await,
        SnapshotCommand::Export(args) => export::run(context, args).await,
    }
}

/// The snapshot folder of a job.
struct Of {
    job: String,
    dir: PathBuf,
}

impl Of {
    /// By the folder's name first: a snapshot can be looked at when its job file is broken or gone.
    async fn job(context: &Context, name: &str) -> anyhow::Result<Self> {
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let job = match is_name && context.home.snapshots(name).is_dir() {
            true => name.to_owned(),
            false => load_job(&context.home, name)?.name,
        };
        context.freshen(&job).await?;
        Ok(Of { dir: context.home.snapshots(&job), job })
    }

    /// The manifest of a run, or of the current one.
    fn manifest(&self, run: Option<&str>) -> anyhow::Result<Manifest> {
        let Some(current) = Manifest::load(&self.dir)? else {
            bail!("job `{}` has no snapshot yet; `nightmark run {}` makes the first", self.job, self.job);
        };
        let Some(run) = run.filter(|run| *run != current.run) else { return Ok(current) };
        let runs = published(&self.dir)?;
        match runs.into_iter().find(|published| published.run == run) {
            None => bail!(
                "no run {run} of job `{}` is on disk; `nightmark snapshot list {}` shows those that are",
                self.job,
                self.job
            ),
            Some(published) => match published.manifest {
                Some(manifest) => Ok(manifest?),
                None => bail!(
                    "run {run} was published by a version that kept no copy of its manifest, so that its files cannot be \
                     told apart from damaged ones; only later runs can be looked at"
                ),
            },
        }
    }

    /// Opens a run with all that is known about its deliveries.
    async fn open(&self, context: &Context, run: Option<&str>) -> anyhow::Result<Opened> {
        let manifest = self.manifest(run)?;
        let mut progress = Progress::forgotten();
        if let Some(store) = context.look_into_store().await? {
            progress = store.progress(&manifest.run).await?;
            store.close().await;
        }
        let forgotten = progress.forgotten;
        let dir = self.dir.clone();
        let opening = tokio::task::spawn_blocking(move || Snapshot::open(&dir, manifest, &progress));
        let snapshot = opening.await??;
        let (run, changes) = (&snapshot.manifest().run, plural(snapshot.unacknowledged_changes(), "change"));
        let note = match snapshot.unacknowledged_changes() {
            0 => None,
            _ if forgotten => Some(format!(
                "the state store has no record of run {run} (was nightmark.db deleted? Or does [store] name another?): {changes} of it count as not acknowledged"
            )),
            1 => Some(format!("1 change of run {run} is not acknowledged: that org is as it was before")),
            _ => Some(format!("{changes} of run {run} are not acknowledged: those orgs are as they were before")),
        };
        Ok(Opened { snapshot, note })
    }
}

/// An opened run.
struct Opened {
    snapshot: Snapshot,
    /// What should be said about it.
    note: Option<String>,
}

/// `12 B`, `1.2 KB`, `3.4 MB`
fn size(bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "KB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit / (unit / 10)),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_short() {
        for (bytes, text) in
            [(0, "0 B"), (999, "999 B"), (1_000, "1.0 KB"), (1_999_999, "1.9 MB"), (2_500_000_000, "2.5 GB")]
        {
            assert_eq!(super::size(bytes), text);
        }
    }
}
