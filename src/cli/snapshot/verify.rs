//! `nightmark snapshot verify JOB [RUN]`

use super::super::report::plural;
use super::super::table::table;
use super::super::{Context, Exit};
use super::{Of, size};
use crate::snapshot::{FileEntry, Manifest, SnapshotError, Verified, verify};
use serde_json::{Value, json};

/// Exit 2 if anything is damaged.
pub(super) fn run(context: &Context, of: &Of, run: Option<&str>) -> anyhow::Result<Exit> {
    // A damaged current manifest says nothing, but a copy of it may be whole.
    if let Err(problem @ SnapshotError::Damaged { .. }) = Manifest::load(&of.dir) {
        return Ok(broken_manifest(context, of, &problem));
    }
    let manifest = of.manifest(run)?;
    let is_current = Manifest::load(&of.dir)?.is_some_and(|current| current.run == manifest.run);
    let verified = verify(&of.dir, &manifest);
    // The copy of the current run's manifest is not needed before the next run; it is worth knowing all the same.
    let copy = Manifest::of_run(&of.dir, &manifest.run).err();
    let mut problems: Vec<String> = verified.damage().map(ToString::to_string).collect();
    problems.extend(copy.as_ref().map(ToString::to_string));
    if !problems.is_empty() && !is_current {
        problems.push(format!(
            "run {} is an earlier one, which no run needs any more: its folder can also be removed",
            manifest.run
        ));
    }
    match context.json {
        true => print_json(of, &manifest, &verified, &problems),
        false => print_text(of, &manifest, &verified, &problems),
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::CouldNotRun })
}

fn broken_manifest(context: &Context, of: &Of, problem: &SnapshotError) -> Exit {
    let mut problems = vec![problem.to_string()];
    problems.extend(newest_copy(of).map(|run| {
        let (from, to) = (of.dir.join(&run).join(Manifest::FILE), of.dir.join(Manifest::FILE));
        format!("run {run} has a whole copy of its manifest: cp {} {}", from.display(), to.display())
    }));
    match context.json {
        true => crate::say!("{}", json!({ "job": of.job, "run": null, "ok": false, "problems": problems })),
        false => problems.iter().for_each(|problem| crate::say!("{problem}")),
    }
    Exit::CouldNotRun
}

/// The newest run, if the copy of its manifest is whole. Only the newest: what an earlier run knew is no longer true.
fn newest_copy(of: &Of) -> Option<String> {
    let entries = std::fs::read_dir(&of.dir).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let newest = names.filter(|name| of.dir.join(name).is_dir()).max()?;
    Manifest::of_run(&of.dir, &newest).ok()??;
    Some(newest)
}

fn what(verified: &Verified, problems: &[String]) -> String {
    match problems.len() {
        0 => format!("sound: {} with their key and fingerprint", plural(verified.orgs, "org")),
        count => format!("NOT SOUND: {}", plural(count as u64, "problem")),
    }
}

fn print_text(of: &Of, manifest: &Manifest, verified: &Verified, problems: &[String]) {
    let mut out = table(&["file", "rows", "size", "content"]);
    for (file, problem) in &verified.files {
        let state = if problem.is_some() { "DAMAGED" } else { "as written" };
        out.add_row([&file.path, &file.rows.to_string(), &size(file.bytes), state]);
    }
    crate::say!("{}", out.trim_fmt());
    crate::say!("{}, run {}: {}", of.job, manifest.run, what(verified, problems));
    problems.iter().for_each(|problem| crate::say!("  {problem}"));
}

fn print_json(of: &Of, manifest: &Manifest, verified: &Verified, problems: &[String]) {
    let file = |(file, problem): &(FileEntry, Option<SnapshotError>)| {
        json!({
            "path": file.path,
            "rows": file.rows,
            "bytes": file.bytes,
            "problem": problem.as_ref().map(ToString::to_string),
        })
    };
    let files: Vec<Value> = verified.files.iter().map(file).collect();
    crate::say!(
        "{}",
        json!({
            "job": of.job,
            "run": manifest.run,
            "ok": problems.is_empty(),
            "orgs": verified.orgs,
            "files": files,
            "problems": problems,
        })
    );
}
