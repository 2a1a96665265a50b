//! The comparison of one partition of the key space, nearly always of all of it: what is known, tonight's rows as they come,
//! and at the end what the extract no longer has.

use super::PipelineError;
use super::aim::Share;
use super::extract::{Extract, Ready};
use crate::diff::{Change, Counted, Duplicate, Judge, Judged, Matcher, Positions, Rules, Sight};
use crate::job::spec::Triggers;
use crate::snapshot::{
    Basis, ChangeSet, ChangeWriter, Draft, Known, Partition, Shape, Snapshot, SnapshotError, Target, Unknown, Written,
};
use arrow::array::RecordBatch;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

/// Some known rows each that wait to be taken over into the next snapshot.
const QUEUED: usize = 4;

/// What is known of one partition, and what is not known of some of its rows.
pub(super) struct Side<'a> {
    pub(super) snapshot: Option<&'a Snapshot>,
    pub(super) part: Partition,
    pub(super) known: Known,
    pub(super) unknown: Unknown,
    /// The rows of `known` before they were matched, where they are at hand.
    original: Option<Positions>,
    /// By basis: the compared columns that are not to be looked at.
    not_looked_at: Vec<Vec<usize>>,
    rebased: Vec<u16>,
}

impl<'a> Side<'a> {
    pub(super) fn load(
        snapshot: Option<&'a Snapshot>,
        basis: &Basis,
        unknown: &Unknown,
        part: Partition,
    ) -> Result<Self, SnapshotError> {
        let mut unknown = unknown.clone();
        let known = match snapshot {
            Some(snapshot) => snapshot.known(basis, &mut unknown, part)?,
            None => Known::nothing(),
        };
        Ok(Side::new(snapshot, part, known, unknown, basis))
    }

    /// All that is known, in the order of last night's rows; `None` where it has to be loaded by key hash.
    pub(super) fn in_order(
        snapshot: Option<&'a Snapshot>,
        basis: &Basis,
        unknown: &Unknown,
    ) -> Result<Option<Self>, SnapshotError> {
        let mut unknown = unknown.clone();
        let known = snapshot.map(|snapshot| snapshot.known_in_order(basis, &mut unknown)).transpose()?.flatten();
        Ok(known.map(|known| Side::new(snapshot, Partition::ALL, known, unknown, basis)))
    }

    fn new(snapshot: Option<&'a Snapshot>, part: Partition, known: Known, mut unknown: Unknown, basis: &Basis) -> Self {
        let rebased = unknown.rebased(&basis.compared, &basis.adopted);
        let not_looked_at = unknown.columns(&basis.compared, &basis.adopted);
        let original = known.rows.original();
        Side { snapshot, part, known, unknown, original, not_looked_at, rebased }
    }

    /// Judges a batch against what is known. On any thread.
    pub(super) fn judge(&self, extract: &Extract, rules: Rules, ready: &Ready) -> Judged {
        let narrow = |basis: u16, row: u32| match self.not_looked_at.get(usize::from(basis)) {
            Some(columns) => extract.without(ready, row, columns),
            None => ready.prints[row as usize],
        };
        let keyless: Vec<u32> = ready.keyless.iter().map(|bad| bad.row as u32).collect();
        let sight = Sight {
            keys: &ready.keys,
            prints: &ready.prints,
            against: ready.against.as_deref(),
            rejected: &ready.rejected,
            keyless: &keyless,
            narrow: &narrow,
        };
        Judge { table: &self.known.table, rules }.batch(&sight)
    }
}

/// A comparison under way.
pub(super) struct Comparison<'a> {
    side: &'a Side<'a>,
    matcher: Matcher<'a>,
    writer: ChangeWriter<'a>,
}

/// What a comparison of a partition came to.
pub(super) struct Compared {
    pub(super) changes: ChangeSet,
    pub(super) written: Written,
    pub(super) counted: Counted,
    pub(super) duplicates: Vec<Duplicate>,
    pub(super) vanished: u64,
    pub(super) spared: u64,
    /// Orgs that the destination has.
    pub(super) known: u64,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(side: &'a Side<'a>, shape: Arc<Shape>, rows: Positions, target: Target<'a>) -> Self {
        let matcher = Matcher::new(&side.known.table, rows, &side.known.pending, &side.rebased);
        let writer = ChangeWriter::new(target, shape, side.snapshot, &side.unknown, &side.rebased);
        Comparison { side, matcher, writer }
    }

    /// The same for another share of the differences.
    pub(super) fn of(self, share: Share) -> Self {
        match share {
            Share::Usual | Share::Differing => self,
            Share::Same => Comparison { writer: self.writer.of_the_same(), ..self },
        }
    }

    /// Takes the next judged rows, in the extract's order. `number`: tonight's row of each. `after`: those to be sent.
    pub(super) fn take(
        &mut self,
        number: impl Fn(u32) -> u32,
        judged: &Judged,
        after: Option<RecordBatch>,
    ) -> Result<(), SnapshotError> {
        let changes = self.matcher.take(number, judged);
        let Some(after) = after else { return Ok(()) };
        let wanted: Vec<bool> = changes.iter().map(Option::is_some).collect();
        let after = match wanted.iter().all(|wanted| *wanted) {
            true => after,
            false => arrow::compute::filter_record_batch(&after, &wanted.into())?,
        };
        let withdrawn = self.writer.push(changes.into_iter().flatten().collect(), Some(after))?;
        self.withdraw(&withdrawn);
        Ok(())
    }

    fn withdraw(&mut self, changes: &[Change]) {
        changes.iter().for_each(|change| self.matcher.withdraw(change));
    }

    /// What the extract no longer has, and the next entries. `rows`: of the whole extract. `keyless`: rows without a usable
    /// key in all of it. `draft`: where the next snapshot is made, if it is.
    pub(super) fn finish(
        mut self,
        basis: &Basis,
        on: Triggers,
        rows: u32,
        keyless: u64,
        draft: Option<&mut Draft>,
    ) -> Result<Compared, PipelineError> {
        if self.writer.may_withdraw() {
            // What is no change by a column's form must be known before duplicates are.
            let withdrawn = self.writer.flush()?;
            self.withdraw(&withdrawn);
        }
        let side = self.side;
        let original = || match side.snapshot {
            _ if side.original.is_some() => {
                Ok(side.original.as_ref().and_then(Positions::original).unwrap_or_default())
            }
            Some(snapshot) => Ok(snapshot.known(basis, &mut side.unknown.clone(), side.part)?.rows),
            None => Ok::<_, SnapshotError>(Positions::default()),
        };
        let duplicates = self.matcher.duplicates(original)?;
        let writer = &mut self.writer;
        let rest = self.matcher.rest(on, keyless, |removed| writer.push(removed, None).map(drop))?;
        let (changes, written, _) = self.writer.finish()?;
        if let Some(draft) = draft {
            add_entries(side, &mut self.matcher, basis, rows, draft)?;
            draft.wait(self.matcher.waiting());
        }
        if !side.known.was_read() {
            return Err(PipelineError::Astray);
        }
        Ok(Compared {
            changes,
            written,
            counted: self.matcher.counted(),
            duplicates,
            vanished: rest.vanished,
            spared: rest.spared,
            known: side.known.table.there(),
        })
    }
}

/// Writes the next entries.
fn add_entries(
    side: &Side<'_>,
    matcher: &mut Matcher<'_>,
    basis: &Basis,
    rows: u32,
    draft: &mut Draft,
) -> Result<(), SnapshotError> {
    let before = draft.kept_rows();
    let Some(snapshot) = side.snapshot.filter(|_| side.known.is_in_order()) else {
        let (kept, next) = matcher.next(rows, before, None);
        return draft.add(side.snapshot, &basis.schema, &kept, next);
    };
    // The table is in the order of rows, the next entries are in that of keys, as the last ones were.
    let (sender, receiver) = sync_channel(QUEUED);
    std::thread::scope(|scope| {
        let told = scope.spawn(move || {
            let gone = |_| SnapshotError::Io { path: snapshot.dir().to_owned(), source: ErrorKind::BrokenPipe.into() };
            snapshot.entries(basis, &mut side.unknown.clone(), &mut |some| sender.send(some).map_err(gone))
        });
        let (kept, next) = matcher.next(rows, before, Some(Box::new(receiver.into_iter().flatten())));
        draft.add(side.snapshot, &basis.schema, &kept, next)?;
        let panicked = |_| Err(SnapshotError::Io { path: snapshot.dir().to_owned(), source: ErrorKind::Other.into() });
        told.join().unwrap_or_else(panicked)
    })
}
