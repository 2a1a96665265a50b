//! `nightmark snapshot list JOB`

use super::super::report::grouped;
use super::super::table::table;
use super::super::{Context, Exit};
use super::{Of, size};
use crate::snapshot::{Manifest, PublishedRun, published};
use serde_json::{Value, json};

pub(super) fn run(context: &Context, of: &Of) -> anyhow::Result<Exit> {
    let runs = published(&of.dir)?;
    if context.json {
        crate::say!("{}", runs.iter().map(|run| run_json(of, run)).collect::<Value>());
    } else if runs.is_empty() {
        crate::say!("job `{}` has no snapshot yet; `nightmark run {}` makes the first", of.job, of.job);
    } else {
        let mut out = table(&["run", "published", "orgs", "changes", "size", "state"]);
        for run in &runs {
            out.add_row(row(of, run));
        }
        crate::say!("{}", out.trim_fmt());
    }
    Ok(Exit::Done)
}

fn row(of: &Of, run: &PublishedRun) -> Vec<String> {
    let state = match (&run.manifest, run.current) {
        (Some(Err(_)), _) => "DAMAGED (see `snapshot verify`)",
        (_, true) => "current",
        (None, false) => "earlier, without a manifest",
        (_, false) => "earlier",
    };
    let mut row = vec![run.run.clone()];
    row.extend(match readable(run) {
        Some(manifest) => [
            manifest.published_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            grouped(manifest.sidecar.rows),
            grouped(manifest.changes.rows),
        ],
        None => Default::default(),
    });
    row.extend([size(bytes(of, run)), state.to_owned()]);
    row
}

fn readable(run: &PublishedRun) -> Option<&Manifest> {
    run.manifest.as_ref()?.as_ref().ok()
}

/// What the run's folder takes on disk.
fn bytes(of: &Of, run: &PublishedRun) -> u64 {
    let files = std::fs::read_dir(of.dir.join(&run.run)).into_iter().flatten();
    files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum()
}

fn run_json(of: &Of, run: &PublishedRun) -> Value {
    let manifest = readable(run);
    let problem = run.manifest.as_ref().and_then(|manifest| manifest.as_ref().err()).map(ToString::to_string);
    json!({
        "run": run.run,
        "state": if run.current { "current" } else { "earlier" },
        "published_at": manifest.map(|m| m.published_at),
        "orgs": manifest.map(|m| m.sidecar.rows),
        "changes": manifest.map(|m| m.changes.rows),
        "bytes": bytes(of, run),
        "problem": problem,
    })
}
