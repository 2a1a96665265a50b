//! The known rows of a job: the base, with every unacknowledged change put back.

use super::base::{self, Mark};
use super::changes::{self, EarlierChanges};
use super::{Manifest, SnapshotError, files};
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
    /// The base's and the earlier changes' before-values, both of the asked-for schema.
    values: Vec<RecordBatch>,
    webhook_ids: Vec<String>,
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
    /// The positions of the columns to fingerprint, by name order.
    pub fingerprinted: &'a [usize],
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
        let base_file = files::read(dir, &manifest.base)?;
        let not_ours = |path: &str| SnapshotError::damaged(dir.join(path), "columns of ours are missing");
        let marks = base::marks(&base_file).ok_or_else(|| not_ours(&manifest.base.path))?;
        let values = by_name(&base_file, basis.schema)?;
        let keys = Fingerprinter::new(basis.seed, basis.schema, basis.key);
        let rehashed = rehash(manifest, basis, &values);
        let mut view = View { values: vec![values], ..View::default() };
        let hashes = keys.fingerprints(&view.values[0]);
        for (row, (key, mark)) in hashes.into_iter().zip(&marks).enumerate() {
            let Mark { fingerprint, uncertain, gone } = *mark;
            let fingerprint = fingerprint.map(|stored| rehashed.as_ref().map_or(stored, |r| r[row]));
            view.push(Known { key, fingerprint, uncertain, gone, pending: None }, (0, row));
        }
        if manifest.changes.rows > 0 {
            let file = files::read(dir, &manifest.changes)?;
            let read = changes::from_batch(&file, basis.schema).ok_or_else(|| not_ours(&manifest.changes.path))?;
            view.put_back(manifest, progress, basis, &keys, read?);
        }
        Ok(view)
    }

    /// Every known row.
    pub fn known(&self) -> &[Known] {
        &self.known
    }

    pub(super) fn origin(&self, at: usize) -> (usize, usize) {
        self.origins[at]
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &RecordBatch> {
        self.values.iter()
    }

    pub(super) fn webhook_id(&self, at: usize) -> &str {
        &self.webhook_ids[at]
    }

    fn push(&mut self, known: Known, origin: (usize, usize)) {
        self.known.push(known);
        self.origins.push(origin);
    }

    /// Undoes what the destination has not acknowledged.
    fn put_back(
        &mut self,
        manifest: &Manifest,
        progress: &Progress,
        basis: &Basis<'_>,
        keys: &Fingerprinter,
        EarlierChanges { rows: earlier, before, after }: EarlierChanges,
    ) {
        let at_key: HashMap<Fingerprint, usize> = self.known.iter().enumerate().map(|(at, k)| (k.key, at)).collect();
        let hashes = keys.fingerprints(&before);
        let (old, new) = (rehash(manifest, basis, &before), rehash(manifest, basis, &after));
        let rehashed = |stored: Option<Fingerprint>, other: &Option<Vec<Fingerprint>>, row: usize| {
            stored.map(|s| other.as_ref().map_or(s, |r| r[row]))
        };
        for (seq, change) in earlier.iter().enumerate() {
            let Some(state) = progress.unacknowledged(seq as u64) else { continue };
            let known = Known {
                key: hashes[seq],
                fingerprint: rehashed(change.before, &old, seq),
                uncertain: change.uncertain || state == Unacknowledged::MaybeApplied,
                gone: change.operation == Operation::Removed,
                pending: Some(Pending { after: rehashed(change.after, &new, seq), at: seq }),
            };
            match at_key.get(&known.key) {
                Some(&at) => {
                    self.known[at] = known;
                    self.origins[at] = (1, seq);
                }
                None => self.push(known, (1, seq)),
            }
        }
        self.webhook_ids = earlier.into_iter().map(|c| c.webhook_id).collect();
        self.values.push(before);
    }
}

/// Fingerprints over other columns than the stored ones; `None` if the stored ones serve.
fn rehash(manifest: &Manifest, basis: &Basis<'_>, values: &RecordBatch) -> Option<Vec<Fingerprint>> {
    let wanted = basis.fingerprinted.iter().map(|&c| &basis.schema.columns[c].name);
    if wanted.eq(manifest.compared.iter()) {
        return None;
    }
    Some(Fingerprinter::new(basis.seed, basis.schema, basis.fingerprinted).fingerprints(values))
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
