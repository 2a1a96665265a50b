//! A snapshot in the making: a folder that nobody refers to until one rename makes it the current one.

use super::base_writer::BaseWriter;
use super::basis::Basis;
use super::files::{self, TableWriter};
use super::held::{self, Against, Held};
use super::known::Snapshot;
use super::manifest::FORMAT;
use super::order::OrderWriter;
use super::sidecar::SidecarWriter;
use super::unknown::Unknown;
use super::{FileEntry, Manifest, Sharing, SnapshotError, switch, waiting};
use crate::diff::{Entry, Origin, Pending};
use crate::row::Schema;
use chrono::{DateTime, Utc};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// Kept rows that are read and written at a time.
const KEPT_AT_ONCE: usize = 1 << 18;

/// The files of a run while they are written.
#[derive(Debug)]
pub struct Draft {
    folder: Folder,
    sidecar: Option<SidecarWriter>,
    order: Option<OrderWriter>,
    kept: Option<TableWriter>,
    waiting: Vec<Pending>,
}

/// The files of a run that are written and not published yet.
#[derive(Debug)]
pub struct Finished {
    folder: Folder,
    sidecar: FileEntry,
    order: Option<FileEntry>,
    waiting: Vec<Pending>,
}

/// The folder of a run. Dropped unpublished, it leaves nothing behind.
#[derive(Debug)]
struct Folder {
    dir: PathBuf,
    run: String,
    base: Vec<FileEntry>,
    /// Files that are being made durable while the comparison goes on.
    syncing: Vec<JoinHandle<Result<(), SnapshotError>>>,
    published: bool,
}

impl Folder {
    fn sync_later(&mut self, name: &str) {
        let path = self.dir.join(name);
        self.syncing.push(std::thread::spawn(move || files::sync(&path)));
    }
}

/// What a comparison leaves for a publication.
#[derive(Debug)]
pub struct Publishing {
    /// What the comparison rested on.
    pub basis: Basis,
    /// What is not known of some rows.
    pub unknown: Unknown,
    /// What was known before.
    pub snapshot: Option<Snapshot>,
    /// `changes.parquet`
    pub changes: Option<FileEntry>,
    /// The input types to pin.
    pub input: Option<Schema>,
}

/// What a publication says besides its files.
#[derive(Debug)]
pub struct Publication<'a> {
    /// The job's name.
    pub job: &'a str,
    /// When.
    pub at: DateTime<Utc>,
    /// What the comparison left.
    pub of: &'a Publishing,
    /// The kinds to pin, payload-only columns included.
    pub pinned: &'a Schema,
    /// From when on the extract had the orgs that have changed; `None`: it had all.
    pub since: Option<DateTime<Utc>>,
    /// Where it is published too, and first.
    pub sharing: Option<&'a Sharing>,
}

impl Draft {
    /// Makes the folder of a run.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn new(dir: &Path, run: &str) -> Result<Self, SnapshotError> {
        files::create_dir(&dir.join(run))?;
        let (dir, run) = (dir.to_owned(), run.to_owned());
        failpoint!("draft.made");
        let folder = Folder { dir, run, base: Vec::new(), syncing: Vec::new(), published: false };
        Ok(Draft { folder, sidecar: None, order: None, kept: None, waiting: Vec::new() })
    }

    /// The job's snapshot folder, which file names are relative to.
    pub fn dir(&self) -> &Path {
        &self.folder.dir
    }

    /// The run's folder.
    pub fn folder(&self) -> PathBuf {
        self.folder.dir.join(&self.folder.run)
    }

    /// A file's name, relative to the job's folder.
    pub fn name(&self, file: &str) -> String {
        format!("{}/{file}", self.folder.run)
    }

    /// Takes copies of the extract's own Parquet files as the base. What is compared from now on must be the copies, so that
    /// what is compared and what is published are the same bytes.
    ///
    /// # Errors
    /// Files that cannot be copied.
    pub fn take_in(&mut self, files: &[PathBuf]) -> Result<Vec<PathBuf>, SnapshotError> {
        let mut copies = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let name =
                self.name(&if number == 0 { "base.parquet".into() } else { format!("base-{}.parquet", number + 1) });
            let (mut entry, path) = (files::copy_in(file, &self.folder.dir, &name)?, self.folder.dir.join(&name));
            entry.rows = super::read::Table::unchecked(path.clone())?.rows();
            failpoint!("base.copied");
            self.folder.base.push(entry);
            copies.push(path);
            self.folder.sync_later(&name);
        }
        Ok(copies)
    }

    /// Whether the extract's own Parquet files can serve as the base: what is compared must be half of their bytes at least,
    /// since all of them are copied and kept. `schema`: the columns that a base has.
    pub fn can_take_in(files: &[PathBuf], schema: &Schema) -> bool {
        // The source reads those its own way; what is read back must be the very same values.
        let readable = |table: &super::read::Table| !table.has_int96(schema);
        let open = |file: &PathBuf| super::read::Table::unchecked(file.clone()).ok().filter(readable);
        let shares: Option<Vec<(i64, i64)>> = files.iter().map(|file| Some(open(file)?.bytes(schema))).collect();
        let (needed, all) = shares.unwrap_or_default().iter().fold((0, 0), |sum, s| (sum.0 + s.0, sum.1 + s.1));
        needed * 2 >= all && all > 0
    }

    /// A writer for the rows of tonight's extract, where its own files do not serve.
    ///
    /// # Errors
    /// A file that cannot be created.
    pub fn base_writer(&self, schema: &Schema) -> Result<BaseWriter, SnapshotError> {
        BaseWriter::create(&self.folder.dir, &self.name("base.parquet"), schema)
    }

    /// Takes a finished base.
    pub fn take_base(&mut self, entry: FileEntry) {
        failpoint!("base.written");
        let name = entry.path.clone();
        self.folder.base.push(entry);
        self.folder.sync_later(&name);
    }

    /// A writer for the order of tonight's rows.
    ///
    /// # Errors
    /// A file that cannot be created.
    pub fn order_writer(&self) -> Result<OrderWriter, SnapshotError> {
        OrderWriter::create(&self.folder.dir, self.name("order.bin"))
    }

    /// Takes the order of tonight's rows, all of which it has.
    pub fn take_order(&mut self, order: OrderWriter) {
        let name = order.name().to_owned();
        self.order = Some(order);
        // Most of it; what is kept is added and synced later.
        self.folder.sync_later(&name);
    }

    /// How many kept rows were written so far.
    pub fn kept_rows(&self) -> u32 {
        self.kept.as_ref().map_or(0, |kept| u32::try_from(kept.rows()).unwrap_or(u32::MAX))
    }

    /// Adds the entries of one partition, in order, and the kept rows that they refer to.
    ///
    /// # Errors
    /// Values that cannot be read, files that cannot be written.
    pub fn add(
        &mut self,
        snapshot: Option<&Snapshot>,
        schema: &Schema,
        kept: &[Origin],
        entries: impl Iterator<Item = Entry>,
    ) -> Result<(), SnapshotError> {
        if let Some(snapshot) = snapshot {
            for origins in kept.chunks(KEPT_AT_ONCE) {
                let origins: Vec<Option<Origin>> = origins.iter().copied().map(Some).collect();
                let batch = snapshot.values(schema, &origins)?;
                let writer = match &mut self.kept {
                    Some(writer) => writer,
                    none => {
                        let name = format!("{}/kept.parquet", self.folder.run);
                        none.insert(TableWriter::create(
                            &self.folder.dir,
                            &name,
                            &batch.schema(),
                            files::properties().build(),
                        )?)
                    }
                };
                writer.write(&batch)?;
            }
        }
        let name = self.name("sidecar.parquet");
        let sidecar = match &mut self.sidecar {
            Some(sidecar) => sidecar,
            none => none.insert(SidecarWriter::create(&self.folder.dir, &name)?),
        };
        for entry in entries {
            self.order.iter_mut().for_each(|order| order.keep(&entry));
            sidecar.push(entry)?;
        }
        Ok(())
    }

    /// Notes changes that wait for their repeat.
    pub fn wait(&mut self, waiting: Vec<Pending>) {
        self.waiting.extend(waiting);
    }

    /// Ends the files.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn finish(mut self) -> Result<Finished, SnapshotError> {
        if let Some(kept) = self.kept.take() {
            failpoint!("kept.before");
            self.folder.base.push(kept.finish()?);
            failpoint!("kept.written");
        }
        let name = self.name("sidecar.parquet");
        let sidecar = match self.sidecar.take() {
            Some(sidecar) => sidecar,
            None => SidecarWriter::create(&self.folder.dir, &name)?,
        };
        failpoint!("sidecar.before");
        let sidecar = sidecar.finish()?;
        failpoint!("sidecar.written");
        let order = self.order.map(OrderWriter::finish).transpose()?;
        if order.is_some() {
            failpoint!("order.written");
        }
        Ok(Finished { sidecar, order, folder: self.folder, waiting: self.waiting })
    }
}

impl Finished {
    /// Makes everything durable and switches the manifest to it. Before it returns, a crash leaves the earlier snapshot in
    /// force; after it, this one.
    ///
    /// # Errors
    /// A full or read-only disk; the earlier snapshot stays in force.
    pub fn publish(&mut self, publication: &Publication<'_>) -> Result<Manifest, SnapshotError> {
        let manifest = self.complete(publication)?;
        switch::announce(&self.folder.dir, &manifest, publication.sharing)?;
        // From here on the folder may be named by a manifest: it is not removed, whatever fails. The next publication removes
        // it if it is not.
        self.folder.published = true;
        switch::take_effect(&self.folder.dir, &manifest, publication.sharing)?;
        Ok(manifest)
    }

    /// Makes everything durable and leaves it to be decided on: [`Held::publish`], or [`held::discard`](super::held::discard). Nobody refers to it.
    /// Earlier runs that were held are gone then.
    ///
    /// # Errors
    /// A full or read-only disk; nothing is left of the run then.
    pub fn hold(&mut self, publication: &Publication<'_>, against: Option<Against>) -> Result<(), SnapshotError> {
        let manifest = self.complete(publication)?;
        Held::new(manifest, against).write(&self.folder.dir)?;
        self.folder.published = true;
        held::discard_others(&self.folder.dir, &self.folder.run)
    }

    /// Writes what is still missing and makes every file durable.
    fn complete(&mut self, publication: &Publication<'_>) -> Result<Manifest, SnapshotError> {
        let Publishing { basis, unknown, snapshot, changes, input } = publication.of;
        let waiting = match snapshot.as_ref().filter(|_| !self.waiting.is_empty()) {
            None => None,
            Some(snapshot) => {
                let name = format!("{}/waiting.parquet", self.folder.run);
                failpoint!("waiting.before");
                let entry = waiting::write(&self.folder.dir, &name, snapshot, basis, &self.waiting)?;
                failpoint!("waiting.written");
                Some(entry)
            }
        };
        let missing = || SnapshotError::damaged(self.folder.dir.join(&self.folder.run), "it has no change set");
        let changes = changes.clone().ok_or_else(missing)?;
        let late = [self.sidecar.clone(), changes.clone()].into_iter().chain(waiting.clone()).chain(self.order.clone());
        let mut late = late.chain(self.folder.base.last().cloned());
        late.try_for_each(|entry| files::sync(&self.folder.dir.join(&entry.path)))?;
        for syncing in self.folder.syncing.drain(..) {
            syncing
                .join()
                .unwrap_or_else(|_| Err(SnapshotError::io(&self.folder.dir)(std::io::Error::other("fsync failed"))))?;
        }
        failpoint!("publish.synced");
        Ok(Manifest {
            format: FORMAT,
            job: publication.job.to_owned(),
            run: self.folder.run.clone(),
            published_at: publication.at,
            hash_seed: basis.seed,
            key: basis.schema.columns[..basis.key].iter().map(|c| c.name.clone()).collect(),
            compared: basis.compared.clone(),
            unknown: unknown.stored(),
            schema: publication.pinned.clone(),
            input: input.clone(),
            base: self.folder.base.clone(),
            sidecar: self.sidecar.clone(),
            changes,
            waiting,
            order: self.order.clone(),
            since: publication.since,
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        // Threads that still hold the files open come first.
        self.syncing.drain(..).for_each(|syncing| drop(syncing.join()));
        let folder = self.dir.join(&self.run);
        if let Err(error) = fs::remove_dir_all(&folder) {
            tracing::warn!(event = "draft_not_removed", folder = %folder.display(), %error, "an unpublished snapshot could not be removed");
        }
    }
}
