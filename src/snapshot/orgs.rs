//! What the destination is known to have, org by org: for looking at, exporting and comparing two published runs.

use super::basis::Basis;
use super::known::{Known, Snapshot};
use super::sidecar::Partition;
use super::unknown::Unknown;
use super::{Manifest, SnapshotError};
use crate::diff::{Flags, Operation, Origin, Pending};
use crate::row::{Compared, RowRef, equal};
use arrow::array::RecordBatch;
use std::cmp::Ordering;

/// Orgs whose values are read at a time.
const AT_ONCE: usize = 1 << 16;

impl Known {
    /// Where the known values of an entry are.
    pub fn origin(&self, at: u32) -> Origin {
        self.pending_of(at).map_or(Origin::Base(self.rows.get(at)), |pending| pending.origin)
    }

    /// The unacknowledged change of an entry.
    pub fn pending_of(&self, at: u32) -> Option<&Pending> {
        let is_pending = self.table.flags(at).has(Flags::PENDING);
        is_pending.then(|| self.pending.get(self.rows.get(at) as usize)).flatten()
    }

    /// Whether the destination has the org, as far as is known.
    pub fn is_there(&self, at: u32) -> bool {
        !self.table.flags(at).has(Flags::ABSENT)
    }
}

/// Tells the orgs that the destination is known to have, as batches of key and compared columns, in the order of the base.
/// Returns how many there are.
///
/// # Errors
/// Damaged files, and what `told` fails with.
pub fn known_orgs<E: From<SnapshotError>>(
    snapshot: &Snapshot,
    told: &mut dyn FnMut(&RecordBatch) -> Result<(), E>,
) -> Result<u64, E> {
    let basis = Basis::of(snapshot.manifest());
    let known = snapshot.known(&basis, &mut Unknown::new(Some(snapshot.manifest())), Partition::ALL)?;
    let there = (0..known.table.len() as u32).filter(|at| known.is_there(*at));
    let mut origins: Vec<Origin> = there.map(|at| known.origin(at)).collect();
    origins.sort_unstable();
    for origins in origins.chunks(AT_ONCE) {
        let origins: Vec<Option<Origin>> = origins.iter().copied().map(Some).collect();
        told(&snapshot.values(&basis.schema, &origins)?)?;
    }
    Ok(origins.len() as u64)
}

/// How one org differs between two states.
pub struct OrgDifference<'a> {
    /// What would make the earlier state the later one.
    pub operation: Operation,
    /// The earlier state: key and compared columns. Only the key counts for an added org.
    pub before: RowRef<'a>,
    /// The later state. Only the key counts for a removed org.
    pub after: RowRef<'a>,
    /// The columns in which a changed org differs, by their position among the compared ones.
    pub differing: Vec<usize>,
}

/// Two states of what the destination is known to have.
pub struct Between<'a> {
    earlier: (&'a Snapshot, Known, Unknown),
    later: (&'a Snapshot, Known, Unknown),
    basis: Basis,
}

/// An org that differs, by its positions in the two tables.
type Candidate = (Option<u32>, Option<u32>);

impl<'a> Between<'a> {
    /// Opens the comparison: by the columns that both runs compared, in the later run's way.
    ///
    /// # Errors
    /// Damaged files, and runs whose orgs cannot be matched.
    pub fn new(earlier: &'a Snapshot, later: &'a Snapshot) -> Result<Self, SnapshotError> {
        let (then, now) = (earlier.manifest(), later.manifest());
        if then.key != now.key || then.hash_seed != now.hash_seed {
            let problem =
                format!("its orgs are not keyed as those of run {}, so that they cannot be compared", then.run);
            return Err(SnapshotError::damaged(later.dir().join(&now.run), problem));
        }
        let basis = common(then, now);
        let known = |snapshot: &'a Snapshot| {
            let mut unknown = Unknown::new(Some(snapshot.manifest()));
            let known = snapshot.known(&basis, &mut unknown, Partition::ALL)?;
            Ok::<_, SnapshotError>((snapshot, known, unknown))
        };
        Ok(Between { earlier: known(earlier)?, later: known(later)?, basis })
    }

    /// The columns that are compared, in the later run's order.
    pub fn compared(&self) -> &[Compared] {
        &self.basis.compared
    }

    /// How many columns of the rows told are the key; the compared ones follow.
    pub fn key(&self) -> usize {
        self.basis.key
    }

    /// Tells every difference: first what is added or changed, in the order of the later base, then what is removed.
    ///
    /// # Errors
    /// Damaged files, and what `told` fails with.
    pub fn tell(&self, told: &mut dyn FnMut(OrgDifference<'_>)) -> Result<(), SnapshotError> {
        let mut candidates = self.candidates();
        let order = |(then, now): &Candidate| {
            let now = now.map(|at| self.later.1.origin(at));
            (now.is_none(), now, then.map(|at| self.earlier.1.origin(at)))
        };
        candidates.sort_unstable_by_key(order);
        for chunk in candidates.chunks(AT_ONCE) {
            let then: Vec<_> = chunk.iter().map(|(at, _)| at.map(|at| self.earlier.1.origin(at))).collect();
            let now: Vec<_> = chunk.iter().map(|(_, at)| at.map(|at| self.later.1.origin(at))).collect();
            let before = self.earlier.0.values(&self.basis.schema, &then)?;
            let after = self.later.0.values(&self.basis.schema, &now)?;
            let difference = |(row, at)| self.difference(at, &before, &after, row);
            chunk.iter().enumerate().filter_map(difference).for_each(&mut *told);
        }
        Ok(())
    }

    /// The orgs whose presence or fingerprints differ.
    fn candidates(&self) -> Vec<Candidate> {
        let ((_, then, _), (_, now, _)) = (&self.earlier, &self.later);
        let (mut i, mut j) = (0u32, 0u32);
        let mut found = Vec::new();
        while (i as usize) < then.table.len() || (j as usize) < now.table.len() {
            let order = match ((i as usize) < then.table.len(), (j as usize) < now.table.len()) {
                (true, true) => then.table.key(i).cmp(&now.table.key(j)),
                (true, false) => Ordering::Less,
                _ => Ordering::Greater,
            };
            let a = (order != Ordering::Greater).then_some(i);
            let b = (order != Ordering::Less).then_some(j);
            i += u32::from(a.is_some());
            j += u32::from(b.is_some());
            let (a, b) = (a.filter(|at| then.is_there(*at)), b.filter(|at| now.is_there(*at)));
            match (a, b) {
                (None, None) => {}
                (Some(a), Some(b)) if then.table.print(a) == now.table.print(b) => {}
                candidate => found.push(candidate),
            }
        }
        found
    }

    fn difference<'r>(
        &'r self,
        (then, now): &Candidate,
        before: &'r RecordBatch,
        after: &'r RecordBatch,
        row: usize,
    ) -> Option<OrgDifference<'r>> {
        let schema = &self.basis.schema;
        let (before, after) = (RowRef { schema, batch: before, row }, RowRef { schema, batch: after, row });
        let (operation, differing) = match (then, now) {
            (None, _) => (Operation::Added, Vec::new()),
            (_, None) => (Operation::Removed, Vec::new()),
            (Some(then), Some(now)) => (Operation::Changed, self.differing(*then, *now, before, after)),
        };
        // The fingerprints differ where a column is not known of one of the two; that is no difference.
        let is_one = operation != Operation::Changed || !differing.is_empty();
        is_one.then_some(OrgDifference { operation, before, after, differing })
    }

    fn differing(&self, then: u32, now: u32, before: RowRef<'_>, after: RowRef<'_>) -> Vec<usize> {
        let names = |(_, known, unknown): &(&Snapshot, Known, Unknown), at| {
            unknown.names(known.table.flags(at).basis()).to_vec()
        };
        let unknown = [names(&self.earlier, then), names(&self.later, now)].concat();
        let differs = |(index, column): &(usize, &Compared)| {
            let at = self.basis.key + index;
            !unknown.contains(&column.name) && !equal(before.value(at), after.value(at), &column.form)
        };
        self.basis.compared.iter().enumerate().filter(differs).map(|(index, _)| index).collect()
    }
}

/// The columns that both runs compared, as the later one did.
fn common(then: &Manifest, now: &Manifest) -> Basis {
    let mut basis = Basis::of(now);
    let is_common = |name: &str| then.compared.iter().any(|c| c.name == name) || now.key.iter().any(|key| key == name);
    basis.compared.retain(|c| is_common(&c.name));
    basis.schema.columns.retain(|c| is_common(&c.name));
    basis
}
