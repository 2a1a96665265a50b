//! The atomic switch: files first, fsync, then one rename.

use super::changes::{ChangeSet, Tables};
use super::manifest::FORMAT;
use super::view::View;
use super::{Manifest, SnapshotError, base, files, table, waiting};
use crate::diff::Diff;
use crate::row::Schema;
use chrono::{DateTime, Utc};
use std::fs;
use std::io::Write;
use std::path::Path;

/// Published runs that are kept, the current one included.
const KEPT: usize = 3;

/// Everything that a publication writes.
#[derive(Debug)]
pub struct Publication<'a> {
    /// The job's name.
    pub job: &'a str,
    /// The run.
    pub run: &'a str,
    /// When.
    pub at: DateTime<Utc>,
    /// Tonight's rows.
    pub tables: Tables<'a>,
    /// What was known before.
    pub view: &'a View,
    /// The comparison.
    pub diff: &'a Diff,
    /// The rows to send.
    pub changes: &'a ChangeSet,
    /// The kinds to pin, payload-only columns included.
    pub pinned: &'a Schema,
    /// The input types to pin.
    pub input: Option<&'a Schema>,
}

/// Writes the files of a run, makes them durable, and switches the manifest to them. Before it returns, a crash leaves the
/// earlier snapshot in force; after it, this one.
///
/// # Errors
/// A full or read-only disk; the earlier snapshot stays in force.
pub fn publish(dir: &Path, publication: &Publication<'_>) -> Result<Manifest, SnapshotError> {
    let Publication { tables, view, diff, .. } = publication;
    let folder = dir.join(publication.run);
    files::create_dir(&folder)?;
    if !dir.join(Manifest::FILE).exists() {
        // Another process may have made these folders and been killed before their entries were durable.
        dir.ancestors().skip(1).take(2).try_for_each(files::sync_dir)?;
    }
    let key: Vec<usize> =
        tables.key.iter().filter_map(|&k| tables.before_schema.index_of(&tables.schema.columns[k].name)).collect();
    let (base_schema, base) = base::build(tables.before_schema, &key, tables.seed, &tables.narrow()?, view, diff)?;
    let base = files::write(dir, &format!("{}/base.parquet", publication.run), &base_schema, &[base])?;
    let (changes_schema, changes) = publication.changes.to_batch(tables.seed)?;
    let changes = files::write(dir, &format!("{}/changes.parquet", publication.run), &changes_schema, &[changes])?;
    let waiting = match diff.waiting.is_empty() {
        true => None,
        false => {
            let (schema, rows) = waiting::build(tables, &key, view, diff)?;
            Some(files::write(dir, &format!("{}/waiting.parquet", publication.run), &schema, &[rows])?)
        }
    };
    files::sync_dir(&folder)?;
    let named = |columns: &[usize]| columns.iter().map(|&c| tables.before_schema.columns[c].name.clone()).collect();
    let manifest = Manifest {
        format: FORMAT,
        job: publication.job.to_owned(),
        run: publication.run.to_owned(),
        published_at: publication.at,
        hash_seed: tables.seed,
        key: named(&key),
        compared: named(&table::compared_of(tables.before_schema, &key)),
        schema: publication.pinned.clone(),
        input: publication.input.cloned(),
        base,
        changes,
        waiting,
    };
    switch(dir, &manifest)?;
    retire(dir, publication.run);
    Ok(manifest)
}

fn switch(dir: &Path, manifest: &Manifest) -> Result<(), SnapshotError> {
    let path = dir.join(Manifest::FILE);
    let draft = dir.join("manifest.json.new");
    let text = manifest.sealed().map_err(|e| SnapshotError::damaged(&path, e))?;
    let mut file = fs::File::create(&draft).map_err(SnapshotError::io(&draft))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(SnapshotError::io(&draft))?;
    fs::rename(&draft, &path).map_err(SnapshotError::io(&path))?;
    files::sync_dir(dir)
}

/// Removes all but the newest published runs. A folder that cannot be removed is tried again next time.
fn retire(dir: &Path, current: &str) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    // Run ids are ULIDs: their order is that of time, and nothing else in the folder looks like one.
    let mut runs: Vec<String> = entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|name| ulid::Ulid::from_string(name).is_ok() && name.as_str() < current)
        .collect();
    runs.sort();
    let surplus = runs.len().saturating_sub(KEPT - 1);
    for run in &runs[..surplus] {
        if let Err(error) = fs::remove_dir_all(dir.join(run)) {
            tracing::warn!(run, %error, "an old snapshot could not be removed");
        }
    }
}
