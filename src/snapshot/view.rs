//! The known rows of a job: the base, with every unacknowledged change put back.

use super::base;
use super::bases::Bases;
use super::changes::{self, EarlierChanges, Tables};
use super::table::compared_of;
use super::waiting::{self, Waiting};
use super::{FileEntry, Manifest, SnapshotError, files};
use crate::diff::{Known, Operation, Pending};
use crate::receipt::{Progress, Unacknowledged};
use crate::row::{Fingerprint, Fingerprinter, HashSeed, Schema};
use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// What the destination is known to have, row by row.
#[derive(Debug, Default)]
pub struct View {
    known: Vec<Known>,
    /// For each known row, which of `values` has it, and where.
    origins: Vec<(usize, usize)>,
    /// Values of the asked-for schema: the base's, then those of earlier changes.
    values: Vec<RecordBatch>,
    bases: Bases,
    /// What [`Pending::at`] points to: the id of an earlier change, and which of `afters` has its version, and where.
    earlier: Vec<(String, (usize, usize))>,
    /// The versions that earlier changes lead to.
    afters: Vec<RecordBatch>,
}

/// Which columns a comparison rests on.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// The job's hash seed.
    pub seed: HashSeed,
    /// Key and compared columns.
    pub schema: &'a Schema,
    /// The key's positions in `schema`.
    pub key: &'a [usize],
    /// Positions of compared columns that are new tonight and taken over from each org's next row instead of being sent.
    pub adopted: &'a [usize],
}

impl View {
    /// Before the first publication: nothing is known.
    pub fn empty() -> Self {
        View::default()
    }

    /// Reads the snapshot that `manifest` describes, in the light of what is known about its deliveries.
    ///
    /// # Errors
    /// Files that are missing, damaged or do not match the manifest.
    pub fn load(
        dir: &Path,
        manifest: &Manifest,
        progress: &Progress,
        basis: &Basis<'_>,
    ) -> Result<Self, SnapshotError> {
        let mut view = View { bases: Bases::new(basis), ..View::default() };
        let loader = Loader { manifest, basis, keys: Fingerprinter::new(basis.seed, basis.schema, basis.key) };
        let not_ours = |file: &FileEntry| SnapshotError::damaged(dir.join(&file.path), "columns of ours are missing");
        let file = files::read(dir, &manifest.base)?;
        let marks = base::marks(&file).ok_or_else(|| not_ours(&manifest.base))?;
        loader.base(&mut view, &marks, by_name(&file, basis.schema)?);
        let mut at_key: HashMap<Fingerprint, usize> =
            view.known.iter().enumerate().map(|(at, k)| (k.key, at)).collect();
        if manifest.changes.rows > 0 {
            let file = files::read(dir, &manifest.changes)?;
            let read = changes::from_batch(&file, basis.schema).ok_or_else(|| not_ours(&manifest.changes))?;
            loader.changes(&mut view, &mut at_key, progress, read?);
        }
        if let Some(entry) = &manifest.waiting {
            let file = files::read(dir, entry)?;
            let (rows, versions) = waiting::from_batch(&file, basis.schema).ok_or_else(|| not_ours(entry))??;
            loader.waiting(&mut view, &at_key, &rows, versions);
        }
        Ok(view)
    }

    /// Every known row, and those of which only an unacknowledged change is known.
    pub fn known(&self) -> &[Known] {
        &self.known
    }

    /// Tonight's fingerprints by the bases of the known rows ([`Known::basis`]): over all compared columns, then over fewer.
    ///
    /// # Errors
    /// Only what Arrow itself refuses.
    pub fn fingerprints(
        &self,
        basis: &Basis<'_>,
        tonight: &Tables<'_>,
    ) -> Result<Vec<Vec<Fingerprint>>, SnapshotError> {
        let (rows, all) = (tonight.narrow()?, compared_of(basis.schema, basis.key));
        let over = |columns: &Vec<usize>| Fingerprinter::new(basis.seed, basis.schema, columns).fingerprints(&rows);
        Ok(std::iter::once(&all).chain(self.bases.narrower()).map(over).collect())
    }

    /// The compared columns of which the destination's value is not known and not to be sent.
    pub(super) fn unknown(&self, at: usize) -> &[String] {
        self.bases.unknown(self.known[at].basis)
    }

    pub(super) fn origin(&self, at: usize) -> (usize, usize) {
        self.origins[at]
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &RecordBatch> {
        self.values.iter()
    }

    /// By [`Pending::at`]: the id of an earlier change.
    pub(super) fn webhook_id(&self, at: usize) -> &str {
        &self.earlier[at].0
    }

    /// By [`Pending::at`]: where in [`View::afters`] the version is.
    pub(super) fn after(&self, at: usize) -> (usize, usize) {
        self.earlier[at].1
    }

    pub(super) fn afters(&self) -> impl Iterator<Item = &RecordBatch> {
        self.afters.iter()
    }

    fn push(&mut self, known: Known, origin: (usize, usize)) {
        self.known.push(known);
        self.origins.push(origin);
    }
}

/// Fills a view file by file.
struct Loader<'a> {
    manifest: &'a Manifest,
    basis: &'a Basis<'a>,
    keys: Fingerprinter,
}

impl Loader<'_> {
    fn base(&self, view: &mut View, marks: &[base::Mark], values: RecordBatch) {
        let numbers = view.bases.numbers(self.basis, marks.iter().map(|m| m.unknown.as_slice()));
        let stored = marks.iter().map(|m| m.fingerprint);
        let prints = view.bases.fingerprints(self.basis, &self.manifest.compared, stored, &numbers, &values);
        for (row, (key, mark)) in self.keys.fingerprints(&values).into_iter().zip(marks).enumerate() {
            let known = Known {
                key,
                fingerprint: prints[row],
                basis: numbers[row],
                uncertain: mark.uncertain,
                gone: mark.gone,
                pending: None,
            };
            view.push(known, (0, row));
        }
        view.values.push(values);
    }

    /// Undoes what the destination has not acknowledged.
    fn changes(
        &self,
        view: &mut View,
        at_key: &mut HashMap<Fingerprint, usize>,
        progress: &Progress,
        EarlierChanges { rows, before, after }: EarlierChanges,
    ) {
        let numbers = view.bases.numbers(self.basis, rows.iter().map(|c| c.unknown_before.as_slice()));
        let compared = &self.manifest.compared;
        let old = view.bases.fingerprints(self.basis, compared, rows.iter().map(|c| c.before), &numbers, &before);
        let new = self.versions(view, rows.iter().map(|c| c.after), &after);
        let hashes = self.keys.fingerprints(&before);
        for (seq, change) in rows.into_iter().enumerate() {
            let Some(state) = progress.unacknowledged(seq as u64) else { continue };
            let known = Known {
                key: hashes[seq],
                fingerprint: old[seq],
                basis: numbers[seq],
                uncertain: change.uncertain || state == Unacknowledged::MaybeApplied,
                gone: change.operation == Operation::Removed,
                pending: Some(Pending { after: new[seq], at: view.earlier.len(), waited: 0 }),
            };
            view.earlier.push((change.webhook_id, (view.afters.len(), seq)));
            let origin = (view.values.len(), seq);
            match at_key.get(&known.key) {
                Some(&at) => {
                    view.known[at] = known;
                    view.origins[at] = origin;
                }
                None => {
                    at_key.insert(known.key, view.known.len());
                    view.push(known, origin);
                }
            }
        }
        view.values.push(before);
        view.afters.push(after);
    }

    /// Gives the orgs back the changes that wait for their repeat.
    fn waiting(&self, view: &mut View, at_key: &HashMap<Fingerprint, usize>, rows: &[Waiting], versions: RecordBatch) {
        let prints = self.versions(view, rows.iter().map(|w| w.after), &versions);
        for (row, (key, change)) in self.keys.fingerprints(&versions).into_iter().zip(rows).enumerate() {
            let pending = Some(Pending { after: prints[row], at: view.earlier.len(), waited: change.waited });
            view.earlier.push((change.webhook_id.clone(), (view.afters.len(), row)));
            match at_key.get(&key) {
                Some(&at) => view.known[at].pending = pending,
                // The destination surely does not have it: only the id is worth keeping.
                None => {
                    let known = Known { key, fingerprint: None, basis: 0, uncertain: false, gone: true, pending };
                    view.push(known, (view.values.len(), row));
                }
            }
        }
        view.values.push(versions.clone());
        view.afters.push(versions);
    }

    /// The fingerprints of versions: always over all compared columns, so that a column that is compared anew and has a
    /// value makes another version.
    fn versions(
        &self,
        view: &View,
        stored: impl Iterator<Item = Option<Fingerprint>>,
        values: &RecordBatch,
    ) -> Vec<Option<Fingerprint>> {
        let numbers = vec![0; values.num_rows()];
        view.bases.fingerprints(self.basis, &self.manifest.compared, stored, &numbers, values)
    }
}

/// The columns of `schema` out of a file; a column that the file lacks, or has in another kind, is NULL.
fn by_name(file: &RecordBatch, schema: &Schema) -> Result<RecordBatch, SnapshotError> {
    let columns = schema.columns.iter().map(|column| {
        let wanted = column.kind.arrow_type();
        match file.column_by_name(&column.name).filter(|a| *a.data_type() == wanted) {
            Some(array) => Arc::clone(array),
            None => new_null_array(&wanted, file.num_rows()),
        }
    });
    let options = RecordBatchOptions::new().with_row_count(Some(file.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.arrow(), columns.collect(), &options)?)
}
