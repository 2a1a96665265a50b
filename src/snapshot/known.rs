//! What the destination is known to have: the sidecar, with every unacknowledged change put back.

use super::base::Base;
use super::basis::Basis;
use super::changes;
use super::order::Order;
use super::overlay::{Merge, Overlaid, unacknowledged, waiting_of};
use super::read::Table;
use super::sidecar::{Partition, Sidecar};
use super::table::named;
use super::unknown::Unknown;
use super::waiting;
use super::{FileEntry, Manifest, SnapshotError};
use crate::diff::{self, Entry, NOWHERE, Ordered, Origin, Pending, Positions, RowsByKey, TableBuilder, Version};
use crate::receipt::{Progress, Unacknowledged};
use crate::row::{Compared, KeyHash, Kind, Print, Schema};
use arrow::array::RecordBatch;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Unacknowledged changes that are read at a time.
const AT_ONCE: usize = 1 << 16;

/// Known rows that are told at a time.
const AT_ONCE_TOLD: usize = 1 << 13;

/// Unacknowledged changes with which rows may still be known in their order: each is searched for and inserted.
const MOST_OVERLAID: u64 = 1 << 16;

/// An opened snapshot.
#[derive(Debug)]
pub struct Snapshot {
    dir: PathBuf,
    manifest: Manifest,
    pub(super) base: Base,
    sidecar: Sidecar,
    changes: Option<Table>,
    waiting: Option<Table>,
    unacknowledged: Vec<(u64, Unacknowledged)>,
}

/// The known rows of one partition, ready to be compared with.
#[derive(Debug)]
pub struct Known {
    /// The lookup table.
    pub table: diff::Table,
    /// Of each entry its row in the base, or the position of its pending change.
    pub rows: Positions,
    /// The unacknowledged changes.
    pub pending: Vec<Pending>,
    /// What the table reads, if it is in the order of the base's rows.
    order: Option<Order>,
}

impl Known {
    /// Where in the base the values of an entry are, if they are there.
    pub(super) fn base_row(&self, at: u32) -> Option<u32> {
        match self.origin(at) {
            Origin::Base(row) => Some(row),
            Origin::Before(_) | Origin::Waiting(_) => None,
        }
    }

    /// Whether the table is in the order of the base's rows.
    pub fn is_in_order(&self) -> bool {
        self.order.is_some()
    }

    /// Whether all that the table wanted to read was there; if not, it is told why. To be asked before what was compared with it is
    /// used.
    pub fn was_read(&self) -> bool {
        let read = self.order.as_ref().map_or(Ok(()), Order::check);
        read.map_err(|error| without_order(&error)).is_ok()
    }

    /// Before the first publication.
    pub fn nothing() -> Self {
        let (table, rows) = TableBuilder::new(0).finish(0);
        Known { table, rows, pending: Vec::new(), order: None }
    }
}

impl Snapshot {
    /// Opens and verifies the files that the comparison needs. `progress`: what is known about the deliveries of its run.
    ///
    /// # Errors
    /// Files that are missing, damaged or do not match the manifest.
    pub fn open(dir: &Path, manifest: Manifest, progress: &Progress) -> Result<Self, SnapshotError> {
        let unacknowledged: Vec<_> =
            (0..manifest.changes.rows).filter_map(|seq| Some((seq, progress.unacknowledged(seq)?))).collect();
        // Verified also when nothing of it is needed: what is damaged is to be known before it is.
        let changes = Some(Table::open(dir, &manifest.changes)?).filter(|_| !unacknowledged.is_empty());
        let waiting = manifest.waiting.as_ref().map(|entry| Table::open(dir, entry)).transpose()?;
        // Both are read from end to end to be verified: at the same time.
        let (base, sidecar) = std::thread::scope(|scope| {
            let base = scope.spawn(|| Base::open(dir, &manifest));
            let sidecar = Sidecar::open(dir, &manifest.sidecar);
            let broken = |_| Err(SnapshotError::damaged(dir, "it could not be read"));
            (base.join().unwrap_or_else(broken), sidecar)
        });
        Ok(Snapshot { base: base?, sidecar: sidecar?, changes, waiting, unacknowledged, dir: dir.to_owned(), manifest })
    }

    /// What was published.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The job's snapshot folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Changes of its run that are not acknowledged.
    pub fn unacknowledged_changes(&self) -> u64 {
        self.unacknowledged.len() as u64
    }

    /// Orgs in the sidecar, and changes that are to be put back.
    pub fn size(&self) -> u64 {
        self.sidecar.rows() + self.pending()
    }

    /// Changes that are to be put back.
    pub fn pending(&self) -> u64 {
        self.unacknowledged.len() as u64
    }

    /// The known rows of a partition. `unknown`: the sets of columns that are not known of some rows; more may join.
    ///
    /// # Errors
    /// Damaged files.
    pub fn known(&self, basis: &Basis, unknown: &mut Unknown, part: Partition) -> Result<Known, SnapshotError> {
        let overlay = self.overlay(basis, unknown, part)?;
        // The usual night: everything acknowledged, nothing to be said of any org, and all of it fits.
        let plain = match overlay.is_empty() && part == Partition::ALL {
            true => self.sidecar.plain_table()?,
            false => None,
        };
        let (builder, pending) = match plain {
            Some(builder) => (builder, Vec::new()),
            None => self.merged(overlay, part)?,
        };
        let (table, rows) = builder.finish(part.bits);
        if self.is_stale(basis) {
            let known = Known { table, rows, pending, order: None };
            return self.renew(basis, part, known);
        }
        Ok(Known { table, rows, pending, order: None })
    }

    /// All known rows in the order of the base's, for an extract that comes in that order; `None` where only a table by key hash
    /// will do, also because the order is damaged, which is told. What is found in it is the same.
    ///
    /// # Errors
    /// Damaged files that are needed.
    pub fn known_in_order(&self, basis: &Basis, unknown: &mut Unknown) -> Result<Option<Known>, SnapshotError> {
        let rows = self.base.rows();
        let Some(order) = self.manifest.order.as_ref().filter(|order| order.rows == rows) else { return Ok(None) };
        if self.is_stale(basis) || self.pending() + self.waiting.as_ref().map_or(0, Table::rows) > MOST_OVERLAID {
            return Ok(None);
        }
        let overlay = self.overlay(basis, unknown, Partition::ALL)?;
        let count = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
        let mut by_key = RowsByKey::new(count(self.sidecar.rows()));
        let (opened, flags) = std::thread::scope(|scope| {
            let opened = scope.spawn(|| Order::open(&self.dir, order));
            let flags = self.sidecar.rows_by_key(by_key.as_mut_slice());
            (opened.join().unwrap_or_else(|_| Err(self.not_an_order(order, "it could not be read"))), flags)
        });
        let (opened, flags) = match (opened, flags?) {
            (Ok(opened), flags) => (opened, flags),
            (Err(error), _) => return Ok(without_order(&error)),
        };
        let mut merge = Merge::new(overlay.into_iter());
        let last_night = Box::new(opened.clone());
        let made = Ordered::table(last_night, count(rows), by_key, &flags, |stored| merge.all(stored));
        let unlike = || self.not_an_order(order, "its rows are not those of the sidecar");
        let made = opened.check().and_then(|()| made.ok_or_else(unlike));
        Ok(made.map_or_else(
            |error| without_order(&error),
            |(table, rows)| Some(Known { table, rows, pending: merge.pending, order: Some(opened) }),
        ))
    }

    fn not_an_order(&self, order: &FileEntry, problem: &str) -> SnapshotError {
        SnapshotError::Order { path: self.dir.join(&order.path), problem: problem.to_owned() }
    }

    /// Whether an extract that begins with these keys seems to come in the order of the base: half of them are among twice as
    /// many of its first rows.
    ///
    /// # Errors
    /// Damaged files.
    pub fn begins_with(&self, basis: &Basis, keys: &[KeyHash]) -> Result<bool, SnapshotError> {
        let schema = Schema { columns: basis.schema.columns[..basis.key].to_vec() };
        let hasher = basis.keys();
        let mut first: HashSet<KeyHash> = HashSet::new();
        let mut left = keys.len() * 2;
        for (file, group, _) in self.base.groups() {
            for batch in self.base.group(&schema, file, group)? {
                if left == 0 {
                    break;
                }
                let hashes = hasher.hashes(batch?.0.columns());
                first.extend(hashes.iter().take(left));
                left = left.saturating_sub(hashes.len());
            }
            if left == 0 {
                break;
            }
        }
        let found = keys.iter().filter(|key| first.contains(key)).count();
        Ok(found * 2 >= keys.len())
    }

    /// Gives key hash and fingerprint of all known rows to `each`, in the order of the hashes, some at a time.
    ///
    /// # Errors
    /// Damaged files, and what `each` fails with.
    pub fn entries(
        &self,
        basis: &Basis,
        unknown: &mut Unknown,
        each: &mut dyn FnMut(Vec<(KeyHash, Print)>) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        let overlay = self.overlay(basis, unknown, Partition::ALL)?;
        let mut some = Vec::with_capacity(AT_ONCE_TOLD);
        self.merge(overlay, Partition::ALL, &mut |entry| {
            some.push((entry.key, entry.print));
            if some.len() < AT_ONCE_TOLD {
                return Ok(());
            }
            each(std::mem::replace(&mut some, Vec::with_capacity(AT_ONCE_TOLD)))
        })?;
        // Who has got everything may be gone.
        if some.is_empty() { Ok(()) } else { each(some) }
    }

    /// Sidecar and overlay, put into one order, as a table.
    fn merged(&self, overlay: Vec<Overlaid>, part: Partition) -> Result<(TableBuilder, Vec<Pending>), SnapshotError> {
        let mut builder = TableBuilder::new(usize::try_from(self.size() >> part.bits).unwrap_or(0));
        let disorder = || SnapshotError::damaged(self.sidecar.path(), "its keys are not in order");
        let mut push = |entry| if builder.push(entry) { Ok(()) } else { Err(disorder()) };
        let pending = self.merge(overlay, part, &mut push)?;
        Ok((builder, pending))
    }

    /// Sidecar and overlay, put into one order.
    fn merge(
        &self,
        overlay: Vec<Overlaid>,
        part: Partition,
        push: &mut dyn FnMut(Entry) -> Result<(), SnapshotError>,
    ) -> Result<Vec<Pending>, SnapshotError> {
        let mut merge = Merge::new(overlay.into_iter());
        self.sidecar.entries(part, &mut |stored| {
            while let Some(entry) = merge.before(stored.key) {
                push(entry)?;
            }
            push(merge.with(stored))
        })?;
        while let Some(entry) = merge.rest() {
            push(entry)?;
        }
        Ok(merge.pending)
    }

    /// The unacknowledged changes and those that wait, by key hash.
    fn overlay(&self, basis: &Basis, unknown: &mut Unknown, part: Partition) -> Result<Vec<Overlaid>, SnapshotError> {
        let mut overlay = Vec::new();
        if let Some(table) = &self.changes {
            // Their values are only needed for their hashes: some at a time, as after a backfill that was not sent it is all.
            for some in self.unacknowledged.chunks(AT_ONCE) {
                let seqs: Vec<u64> = some.iter().map(|(seq, _)| *seq).collect();
                let changes = changes::read(table, &basis.schema, &seqs)?;
                overlay.extend(unacknowledged(basis, unknown, some, changes).filter(|o| part.has(o.key)));
            }
        }
        if let Some(table) = &self.waiting {
            let (rows, versions) = waiting::read(table, &basis.schema)?;
            overlay.extend(waiting_of(basis, &rows, &versions).filter(|o| part.has(o.key)));
        }
        // A change of the last run comes before an older one that waits.
        overlay.sort_by_key(|o| (o.key, o.known.is_none()));
        overlay.dedup_by_key(|o| o.key);
        Ok(overlay)
    }

    /// Whether the stored fingerprints are over columns that are not compared tonight, or of another kind. Forms are no part of
    /// them. Columns that are compared for the first time are NULL in what is known, and NULL adds nothing.
    pub(super) fn is_stale(&self, basis: &Basis) -> bool {
        self.manifest.compared.iter().any(|then| !basis.compared.iter().any(|now| alike(then, now)))
    }

    /// Makes the fingerprints anew, from the values of the base.
    fn renew(&self, basis: &Basis, part: Partition, mut known: Known) -> Result<Known, SnapshotError> {
        for (file, group, positions) in self.base.groups() {
            let mut row = positions.start;
            for batch in self.base.group(&basis.schema, file, group)? {
                let (batch, misfits) = batch?;
                let (keys, prints) = basis.hash(&batch);
                for (i, (key, print)) in keys.into_iter().zip(prints).enumerate() {
                    let at = if part.has(key) { known.table.find(key) } else { NOWHERE };
                    // A row of the extract that could not be judged is in the file, and no entry refers to it.
                    if at != NOWHERE && known.base_row(at).is_some_and(|of| u64::from(of) == row) {
                        known.table.set_print(at, print);
                        if misfits.contains(&i) {
                            // What the destination has is no value of tonight's kinds, so nothing of tonight is the same.
                            known.table.set_uncertain(at);
                        }
                    }
                    row += 1;
                }
            }
        }
        Ok(known)
    }

    /// The values of known rows, in the order asked for; NULL in columns that were not compared, and where there is no
    /// origin.
    ///
    /// # Errors
    /// Damaged files.
    pub fn values(&self, schema: &Schema, origins: &[Option<Origin>]) -> Result<RecordBatch, SnapshotError> {
        let mut base = Vec::new();
        let mut before = Vec::new();
        let mut waiting = Vec::new();
        for origin in origins.iter().flatten() {
            match origin {
                Origin::Base(row) => base.push(*row),
                Origin::Before(seq) => before.push(*seq),
                Origin::Waiting(row) => waiting.push(*row),
            }
        }
        let lists = [&mut base, &mut before, &mut waiting].map(|list| {
            list.sort_unstable();
            list.dedup();
            std::mem::take(list)
        });
        let nothing = named(&RecordBatch::new_empty(schema.arrow()), schema, &[])?;
        let none = super::table::project(&one_null(), &Schema::default(), schema)?;
        let sources = [
            none,
            if lists[0].is_empty() { nothing.clone() } else { self.base.pick(schema, &lists[0])? },
            self.changed(schema, &lists[1], nothing.clone(), true)?,
            self.waiting_rows(schema, &lists[2], nothing)?,
        ];
        let place = |list: usize, row: &u32| (list + 1, lists[list].binary_search(row).unwrap_or(0));
        let picks: Vec<(usize, usize)> = origins
            .iter()
            .map(|origin| match origin {
                None => (0, 0),
                Some(Origin::Base(row)) => place(0, row),
                Some(Origin::Before(seq)) => place(1, seq),
                Some(Origin::Waiting(row)) => place(2, row),
            })
            .collect();
        Ok(arrow::compute::interleave_record_batch(&sources.iter().collect::<Vec<_>>(), &picks)?)
    }

    /// The versions that unacknowledged changes lead to, in the order asked for.
    pub(super) fn versions(&self, schema: &Schema, versions: &[Version]) -> Result<RecordBatch, SnapshotError> {
        let (mut after, mut waiting) = (Vec::new(), Vec::new());
        for version in versions {
            match version {
                Version::After(seq) => after.push(*seq),
                Version::Waiting(row) => waiting.push(*row),
            }
        }
        after.sort_unstable();
        waiting.sort_unstable();
        let nothing = RecordBatch::new_empty(schema.arrow());
        let sources =
            [self.changed(schema, &after, nothing.clone(), false)?, self.waiting_rows(schema, &waiting, nothing)?];
        let picks: Vec<(usize, usize)> = versions
            .iter()
            .map(|version| match version {
                Version::After(seq) => (0, after.binary_search(seq).unwrap_or(0)),
                Version::Waiting(row) => (1, waiting.binary_search(row).unwrap_or(0)),
            })
            .collect();
        Ok(arrow::compute::interleave_record_batch(&sources.iter().collect::<Vec<_>>(), &picks)?)
    }

    fn changed(
        &self,
        schema: &Schema,
        seqs: &[u32],
        nothing: RecordBatch,
        before: bool,
    ) -> Result<RecordBatch, SnapshotError> {
        let Some(table) = self.changes.as_ref().filter(|_| !seqs.is_empty()) else { return Ok(nothing) };
        let seqs: Vec<u64> = seqs.iter().map(|seq| u64::from(*seq)).collect();
        let changes = changes::read(table, schema, &seqs)?;
        Ok(if before { changes.before } else { changes.after })
    }

    fn waiting_rows(&self, schema: &Schema, rows: &[u32], nothing: RecordBatch) -> Result<RecordBatch, SnapshotError> {
        let Some(table) = self.waiting.as_ref().filter(|_| !rows.is_empty()) else { return Ok(nothing) };
        let (_, versions) = waiting::read(table, schema)?;
        let rows = arrow::array::UInt32Array::from(rows.to_vec());
        Ok(arrow::compute::take_record_batch(&versions, &rows)?)
    }
}

/// What is not needed is done without, but not in silence.
fn without_order(error: &SnapshotError) -> Option<Known> {
    tracing::warn!(event = "order_unusable", %error, "rows are compared without last night's order");
    None
}

/// A batch of one row without columns.
fn one_null() -> RecordBatch {
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Schema::default().arrow(), Vec::new(), &options)
        .unwrap_or_else(|_| RecordBatch::new_empty(Schema::default().arrow()))
}

/// Whether two columns give the same fingerprints for the same values. All kinds of numbers do.
fn alike(a: &Compared, b: &Compared) -> bool {
    let number = |kind: Kind| matches!(kind, Kind::Int | Kind::Decimal { .. } | Kind::Float);
    a.name == b.name && (a.kind == b.kind || (number(a.kind) && number(b.kind)))
}
