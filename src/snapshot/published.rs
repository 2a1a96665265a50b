//! The published runs that are still on disk: which there are, and what each of them consists of.

use super::read::Table;
use super::{Basis, ChangeSet, Manifest, RESERVED_PREFIX, Shape, Sharing, SnapshotError};
use crate::row::{Column, Kind, Schema};
use std::path::Path;
use std::sync::Arc;

/// A published run.
#[derive(Debug)]
pub struct PublishedRun {
    /// Its id.
    pub run: String,
    /// Whether it is the one that the next run is compared with.
    pub current: bool,
    /// What it consists of; `None` if it was published by a version that kept no copy of its manifest.
    pub manifest: Option<Result<Manifest, SnapshotError>>,
}

/// The published runs of a snapshot folder, the newest first; none before the first publication.
///
/// # Errors
/// A current manifest that is damaged, a folder that cannot be read.
pub fn published(dir: &Path) -> Result<Vec<PublishedRun>, SnapshotError> {
    let Some(current) = Manifest::load(dir)? else { return Ok(Vec::new()) };
    let mut found: Vec<PublishedRun> = run_folders(dir)?
        .into_iter()
        // A folder of a later run than the current one was never published: its run is on, or was killed.
        .filter(|run| *run < current.run)
        .map(|run| {
            let manifest = Manifest::of_run(dir, &run).transpose();
            PublishedRun { run, current: false, manifest }
        })
        .collect();
    found.push(PublishedRun { run: current.run.clone(), current: true, manifest: Some(Ok(current)) });
    found.reverse();
    Ok(found)
}

/// The runs that have a folder in a snapshot folder, published or not, the oldest first; none if it is not there.
///
/// # Errors
/// A folder that cannot be read.
pub fn run_folders(dir: &Path) -> Result<Vec<String>, SnapshotError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(SnapshotError::io(dir)(error)),
    };
    let mut runs = Vec::new();
    for entry in entries {
        // Run ids are ULIDs: their order is that of time, and nothing else in the folder looks like one.
        let name = entry.map_err(SnapshotError::io(dir))?.file_name().into_string();
        runs.extend(name.ok().filter(|name| ulid::Ulid::from_string(name).is_ok()));
    }
    runs.sort();
    Ok(runs)
}

/// The runs in a folder without a current manifest that are complete, the newest first. Either they were killed just before
/// they were published, or their manifest is lost: what the state store knows of them tells. None if there is a manifest.
///
/// # Errors
/// A manifest that is damaged, a folder that cannot be read.
pub fn unclaimed(dir: &Path) -> Result<Vec<String>, SnapshotError> {
    if Manifest::load(dir)?.is_some() {
        return Ok(Vec::new());
    }
    let mut runs = run_folders(dir)?;
    runs.retain(|run| dir.join(run).join(Manifest::FILE).exists());
    runs.reverse();
    Ok(runs)
}

impl SnapshotError {
    /// The manifest of `dir` is gone, and `run` was published with one.
    pub fn lost(dir: &Path, run: String) -> Self {
        let copy = dir.join(&run).join(Manifest::FILE);
        SnapshotError::Lost { path: dir.join(Manifest::FILE), run, copy }
    }
}

impl Manifest {
    /// The copy of its manifest that a run's folder has; `None` if there is none.
    ///
    /// # Errors
    /// As [`Manifest::load`]; also the manifest of another run.
    pub fn of_run(dir: &Path, run: &str) -> Result<Option<Self>, SnapshotError> {
        let folder = dir.join(run);
        match Self::load(&folder)? {
            Some(other) if other.run != run => {
                let problem = format!("it is the manifest of run {}", other.run);
                Err(SnapshotError::damaged(folder.join(Self::FILE), problem))
            }
            manifest => Ok(manifest),
        }
    }

    /// The names of all files, in the order in which they are used.
    pub fn files(&self) -> impl Iterator<Item = &super::FileEntry> {
        self.base.iter().chain([&self.sidecar, &self.changes]).chain(&self.waiting).chain(&self.order)
    }

    /// The same files under another pinned schema, as the current manifest, in the shared snapshot first. Only for who holds the job's lock.
    ///
    /// # Errors
    /// A full or read-only disk; the earlier manifest stays in force.
    pub fn repin(
        &self,
        dir: &Path,
        schema: Schema,
        input: Option<Schema>,
        sharing: Option<&Sharing>,
    ) -> Result<Self, SnapshotError> {
        let manifest = Manifest { schema, input, ..self.clone() };
        if let Some(sharing) = sharing {
            sharing.put(dir, &manifest)?;
        }
        manifest.store(dir)?;
        Ok(manifest)
    }
}

impl Basis {
    /// What the fingerprints of a published run rest on.
    pub fn of(manifest: &Manifest) -> Self {
        let kind = |name: &str| manifest.schema.index_of(name).map(|index| manifest.schema.columns[index].kind);
        // A key without a kind never had a value, so that there is no org either.
        let key = manifest.key.iter().map(|k| Column { name: k.clone(), kind: kind(k).unwrap_or(Kind::Text) });
        let compared = manifest.compared.iter().map(|c| Column { name: c.name.clone(), kind: c.kind });
        Basis {
            seed: manifest.hash_seed,
            schema: Schema { columns: key.chain(compared).collect() },
            key: manifest.key.len(),
            compared: manifest.compared.clone(),
            adopted: Vec::new(),
        }
    }
}

impl ChangeSet {
    /// The change set of a published run, as far as key and compared columns go.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn published(dir: &Path, manifest: &Manifest) -> Result<Self, SnapshotError> {
        let table = Table::open(dir, &manifest.changes)?;
        let Basis { schema, key, compared, .. } = Basis::of(manifest);
        let forms = compared.into_iter().map(|c| c.form).collect();
        let shape = Shape { before: schema.clone(), key: (0..key).collect(), schema, forms };
        Ok(ChangeSet::new(table.path().to_owned(), Arc::new(shape), table.rows()))
    }

    /// The change set of a published run with every column that a payload may have, in the order of the pinned schema.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn published_in_full(dir: &Path, manifest: &Manifest) -> Result<Self, SnapshotError> {
        let table = Table::open(dir, &manifest.changes)?;
        let Basis { schema: before, key, compared, .. } = Basis::of(manifest);
        let stored = table.columns_of(&["key", "after"]);
        let pinned = manifest.schema.columns.iter().filter(|column| stored.contains(&column.name)).cloned();
        let mut schema = Schema { columns: pinned.collect() };
        for name in stored {
            // A column without a kind has held no value yet.
            if schema.index_of(&name).is_none() && !name.starts_with(RESERVED_PREFIX) {
                schema.columns.push(Column { name, kind: Kind::Text });
            }
        }
        let missing = |_| SnapshotError::damaged(table.path(), "key columns are missing");
        let keys = before.columns[..key].iter().map(|column| column.name.clone()).collect::<Vec<_>>();
        let key = schema.indices_of(&keys).map_err(missing)?;
        let forms = compared.into_iter().map(|c| c.form).collect();
        let shape = Shape { before, key, schema, forms };
        Ok(ChangeSet::new(table.path().to_owned(), Arc::new(shape), table.rows()))
    }
}
