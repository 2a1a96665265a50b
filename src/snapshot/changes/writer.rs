//! Writes a change set, window by window: before-values are read for the changes of one window at a time, so that a change
//! set of any size takes the same memory.

use super::super::files::{self, TableWriter};
use super::super::known::Snapshot;
use super::super::table::{group, names_array, project};
use super::super::unknown::Unknown;
use super::super::{FileEntry, SnapshotError};
use super::id_text;
use super::set::{ChangeSet, Shape};
use crate::diff::{Change, ColumnStats, Operation};
use crate::row::{HashSeed, KeyHash};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;
use std::path::Path;
use std::sync::Arc;

/// The column that says where a row belongs; only in files that are put together.
pub(super) const ORDER: &str = "_nightmark_order";

/// Changes of a window at most.
const WINDOW: usize = 1 << 18;

/// Takes changes in order.
#[derive(Debug)]
pub struct ChangeWriter<'a> {
    snapshot: Option<&'a Snapshot>,
    unknown: &'a Unknown,
    rebased: &'a [u16],
    shape: Arc<Shape>,
    seed: HashSeed,
    run: &'a str,
    /// Bytes of rows that a window may have.
    limit: usize,
    ordered: bool,
    /// Only what the destination has as it is: of changes, those that by the forms of their columns are none.
    only_same: bool,
    dir: &'a Path,
    name: &'a str,
    writer: Option<TableWriter>,
    window: Vec<Change>,
    after: Vec<RecordBatch>,
    bytes: usize,
    written: Written,
}

/// What a finished change set consists of.
#[derive(Debug, Default)]
pub struct Written {
    /// By operation.
    pub added: u64,
    /// By operation.
    pub changed: u64,
    /// By operation.
    pub removed: u64,
    /// Which columns made orgs change.
    pub stats: ColumnStats,
    /// The file, once it is finished.
    pub entry: Option<FileEntry>,
}

/// Where and under which ids a change set is written.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The folder that the name is relative to.
    pub dir: &'a Path,
    /// The file's name.
    pub name: &'a str,
    /// The run, from which ids are derived.
    pub run: &'a str,
    /// The job's hash seed.
    pub seed: HashSeed,
    /// Bytes of rows that may be held before they are written.
    pub limit: usize,
    /// Whether rows say where they belong, so that several files can be put into one order ([`rewrite`](super::rewrite)).
    pub ordered: bool,
}

impl<'a> ChangeWriter<'a> {
    /// A writer of a new file. `snapshot`: where before-values are. `rebased`: by basis, what is not known of a row tonight.
    pub fn new(
        target: Target<'a>,
        shape: Arc<Shape>,
        snapshot: Option<&'a Snapshot>,
        unknown: &'a Unknown,
        rebased: &'a [u16],
    ) -> Self {
        let Target { dir, name, run, seed, limit, ordered } = target;
        let stats = ColumnStats::new(shape.forms.len());
        let written = Written { stats, ..Written::default() };
        let (writer, window, after) = (None, Vec::new(), Vec::new());
        ChangeWriter {
            snapshot,
            unknown,
            rebased,
            shape,
            seed,
            run,
            limit,
            ordered,
            only_same: false,
            dir,
            name,
            writer,
            window,
            after,
            bytes: 0,
            written,
        }
    }

    /// The same that writes what the destination has as it is, and returns what differs.
    #[must_use]
    pub fn of_the_same(self) -> Self {
        ChangeWriter { only_same: true, ..self }
    }

    /// The compared columns of which the destination's value is not known.
    fn unknown(&self, change: &Change) -> &'a [String] {
        let basis = self.rebased.get(usize::from(change.basis)).filter(|_| change.entry.is_some());
        self.unknown.names(basis.copied().unwrap_or(0))
    }

    /// Adds changes. `after`: tonight's rows of `shape.schema`, one for each change that is not a removal. Returns the changes
    /// that by the forms of their columns are none, which are not written.
    ///
    /// # Errors
    /// Before-values that cannot be read, a file that cannot be written.
    pub fn push(&mut self, changes: Vec<Change>, after: Option<RecordBatch>) -> Result<Vec<Change>, SnapshotError> {
        self.window.extend(changes);
        if let Some(after) = after.filter(|batch| batch.num_rows() > 0) {
            self.bytes += size(&after);
            self.after.push(after);
        }
        if self.bytes < self.limit && self.window.len() < WINDOW { Ok(Vec::new()) } else { self.flush() }
    }

    /// Whether changes may turn out to be none by the form of a column.
    pub fn may_withdraw(&self) -> bool {
        self.only_same || self.shape.forms.iter().any(|form| !form.is_plain())
    }

    /// Writes what was held. Returns the changes that by the forms of their columns are none, which are not written.
    ///
    /// # Errors
    /// As [`ChangeWriter::push`].
    pub fn flush(&mut self) -> Result<Vec<Change>, SnapshotError> {
        if self.window.is_empty() {
            return Ok(Vec::new());
        }
        let changes = std::mem::take(&mut self.window);
        self.bytes = 0;
        let (before, after) = self.values(&changes)?;
        let mut kept = Vec::with_capacity(changes.len());
        let mut withdrawn = Vec::new();
        for (row, change) in changes.iter().enumerate() {
            // With a column of which the destination's value is not known, the org is sent: kept as it is known, the column
            // would not be watched as long as the others stay within their forms.
            let said = change.operation == Operation::Changed && !change.uncertain && self.unknown(change).is_empty();
            if change.operation == Operation::Changed {
                let differing = self.shape.differing(&before, &after, row, self.unknown(change));
                if self.only_same {
                    if change.uncertain || !differing.is_empty() {
                        withdrawn.push(*change);
                    } else {
                        kept.push(row as u32);
                    }
                    continue;
                }
                // The fingerprints differ, and the values do not by their columns' forms.
                if said && differing.is_empty() && self.may_withdraw() {
                    withdrawn.push(*change);
                    continue;
                }
                self.written.stats.add(&differing);
            }
            kept.push(row as u32);
        }
        if withdrawn.is_empty() {
            self.write(&changes, &before, &after)?;
        } else {
            let rows = UInt32Array::from(kept);
            let changes: Vec<Change> = rows.values().iter().map(|row| changes[*row as usize]).collect();
            let before = arrow::compute::take_record_batch(&before, &rows)?;
            let after = arrow::compute::take_record_batch(&after, &rows)?;
            self.write(&changes, &before, &after)?;
        }
        Ok(withdrawn)
    }

    /// One row per change: what the destination has, and what it is to have.
    fn values(&mut self, changes: &[Change]) -> Result<(RecordBatch, RecordBatch), SnapshotError> {
        let tonight = arrow::compute::concat_batches(&self.shape.schema.arrow(), &std::mem::take(&mut self.after))?;
        let origins: Vec<_> = changes.iter().map(|c| c.origin).collect();
        let known = match self.snapshot {
            Some(snapshot) if origins.iter().any(Option::is_some) => snapshot.values(&self.shape.before, &origins)?,
            _ => project(&tonight_or_null(&tonight, changes.len()), &self.shape.schema, &self.shape.before)?,
        };
        let widened = project(&known, &self.shape.before, &self.shape.schema)?;
        let mut next = 0;
        let mut picks = Vec::with_capacity(changes.len());
        for (row, change) in changes.iter().enumerate() {
            picks.push(if change.tonight.is_some() { (0, next) } else { (1, row) });
            next += usize::from(change.tonight.is_some());
        }
        let after = arrow::compute::interleave_record_batch(&[&tonight, &widened], &picks)?;
        Ok((known, after))
    }

    fn write(&mut self, changes: &[Change], before: &RecordBatch, after: &RecordBatch) -> Result<(), SnapshotError> {
        for change in changes {
            match change.operation {
                Operation::Added => self.written.added += 1,
                Operation::Changed => self.written.changed += 1,
                Operation::Removed => self.written.removed += 1,
            }
        }
        let batch = self.batch(changes, before, after)?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(create(self.dir, self.name, &batch.schema())?),
        };
        writer.write(&batch)
    }

    /// The file's form of some changes.
    fn batch(
        &self,
        changes: &[Change],
        before: &RecordBatch,
        after: &RecordBatch,
    ) -> Result<RecordBatch, SnapshotError> {
        let shape = &self.shape;
        let had: Vec<bool> = changes.iter().map(|c| c.before.is_some()).collect();
        let has: Vec<bool> = changes.iter().map(|c| c.operation != Operation::Removed).collect();
        let payload: Vec<usize> = (0..shape.schema.columns.len()).filter(|c| !shape.key.contains(c)).collect();
        let compared: Vec<usize> = (shape.key.len()..shape.before.columns.len()).collect();
        let first = self.writer.as_ref().map_or(0, TableWriter::rows) as i64;
        let ids = changes.iter().map(|c| Some(id_text(c.repeats.unwrap_or_else(|| self.id(c.key)))));
        let unknown = changes.iter().map(|c| self.unknown(c));
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("seq", Arc::new(Int64Array::from_iter_values(first..first + changes.len() as i64))),
            ("operation", Arc::new(changes.iter().map(|c| Some(c.operation.as_str())).collect::<StringArray>())),
            ("webhook_id", Arc::new(ids.collect::<StringArray>())),
            ("uncertain", Arc::new(changes.iter().map(|c| Some(c.uncertain)).collect::<BooleanArray>())),
            ("key", Arc::new(group(after, &shape.key, None))),
            ("before", Arc::new(group(before, &compared, Some(&had)))),
            ("after", Arc::new(group(after, &payload, Some(&has)))),
            ("fingerprint_before", Arc::new(changes.iter().map(|c| c.before).collect::<UInt64Array>())),
            ("fingerprint_after", Arc::new(changes.iter().map(|c| c.after).collect::<UInt64Array>())),
            ("unknown_before", Arc::new(names_array(unknown))),
        ];
        if self.ordered {
            columns.push((ORDER, Arc::new(changes.iter().map(|c| Some(place(c))).collect::<UInt64Array>())));
        }
        let fields: Vec<Field> = columns.iter().map(|(n, a)| Field::new(*n, a.data_type().clone(), true)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(changes.len()));
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        Ok(RecordBatch::try_new_with_options(Arc::new(ArrowSchema::new(fields)), arrays, &options)?)
    }

    /// Derived, not drawn, so that the same plan gives the same ids; a later version of the row comes from another run.
    fn id(&self, key: KeyHash) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.seed.0);
        hasher.write(self.run.as_bytes());
        hasher.write(&key.hi.to_be_bytes());
        hasher.write(&key.lo.to_be_bytes());
        hasher.finish128().as_u128()
    }

    /// Ends the file. Returns the change set, what it consists of, and the last changes that by the forms of their columns are none.
    ///
    /// # Errors
    /// As [`ChangeWriter::push`].
    pub fn finish(mut self) -> Result<(ChangeSet, Written, Vec<Change>), SnapshotError> {
        let withdrawn = self.flush()?;
        if self.writer.is_none() {
            // A change set without rows is a file, too: a snapshot has one.
            let (before, after) =
                (RecordBatch::new_empty(self.shape.before.arrow()), RecordBatch::new_empty(self.shape.schema.arrow()));
            self.write(&[], &before, &after)?;
        }
        let mut written = std::mem::take(&mut self.written);
        let path = self.dir.join(self.name);
        let entry = self.writer.take().map(TableWriter::finish).transpose()?;
        let rows = entry.as_ref().map_or(0, |entry| entry.rows);
        written.entry = entry;
        Ok((ChangeSet::new(path, Arc::clone(&self.shape), rows), written, withdrawn))
    }
}

/// About how many bytes rows take, without what is allocated and not used.
fn size(batch: &RecordBatch) -> usize {
    let text = |array: &ArrayRef| {
        array.as_string_view_opt().map_or(0, |texts| texts.data_buffers().iter().map(|buffer| buffer.len()).sum())
    };
    batch.columns().iter().map(|array| array.len() * 16 + text(array)).sum()
}

/// Where a change belongs: tonight's rows first, in the extract's order, then removals by key hash. Removals that agree in
/// all but the last bit of it stay as they are, since they are of one partition.
fn place(change: &Change) -> u64 {
    change.tonight.map_or(1 << 63 | change.key.hi >> 1, u64::from)
}

/// Where nothing is known, only the key of `before` counts; it is taken from tonight's rows, of which there is one for each.
fn tonight_or_null(tonight: &RecordBatch, rows: usize) -> RecordBatch {
    if tonight.num_rows() == rows { tonight.clone() } else { tonight.slice(0, 0) }
}

pub(super) fn create(dir: &Path, name: &str, schema: &SchemaRef) -> Result<TableWriter, SnapshotError> {
    // A reader holds one row group's pages at a time; a change set may be as large as the extract.
    let properties = files::properties().set_max_row_group_row_count(Some(1 << 17)).build();
    TableWriter::create(dir, name, schema, properties)
}
