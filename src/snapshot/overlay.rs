//! What is not acknowledged, laid over the sidecar: changes of the last run, and earlier ones that wait for their repeat.

use super::basis::Basis;
use super::changes::{Earlier, EarlierChanges};
use super::unknown::Unknown;
use super::waiting::WaitingRow;
use crate::diff::{self, Entry, Flags, NOWHERE, Origin, Pending, Version};
use crate::receipt::Unacknowledged;
use crate::row::KeyHash;
use arrow::array::RecordBatch;
use std::iter::Peekable;

/// A key of which more is known than the sidecar has.
pub(super) struct Overlaid {
    pub(super) key: KeyHash,
    /// What the destination has by it; `None`: what the sidecar says, if it says anything.
    pub(super) known: Option<(u64, Flags)>,
    pending: Pending,
}

/// What is known of the orgs of these changes.
pub(super) fn unacknowledged(
    basis: &Basis,
    unknown: &mut Unknown,
    states: &[(u64, Unacknowledged)],
    EarlierChanges { rows, before, after }: EarlierChanges,
) -> impl Iterator<Item = Overlaid> {
    let (keys, old) = basis.hash(&before);
    let (_, new) = basis.hash(&after);
    let overlaid = rows.into_iter().zip(states).enumerate().map(|(i, (change, (seq, state)))| {
        let Earlier { operation, id, uncertain, had_before, unknown_before, misfit } = change;
        let removed = operation == diff::Operation::Removed;
        let flags = Flags::default()
            .with(Flags::ABSENT, !had_before)
            .with(Flags::UNCERTAIN, uncertain || misfit || *state == Unacknowledged::MaybeApplied)
            .with(Flags::GONE, removed)
            .with_basis(unknown.number(&unknown_before));
        // A change set has fewer rows than a sidecar may have, which are counted by 32 bits.
        let seq = u32::try_from(*seq).unwrap_or(NOWHERE);
        Overlaid {
            key: keys[i],
            known: Some((old[i], flags)),
            pending: Pending {
                origin: Origin::Before(seq),
                after: (!removed).then_some(new[i]),
                version: Version::After(seq),
                id,
                waited: 0,
            },
        }
    });
    overlaid.collect::<Vec<_>>().into_iter()
}

/// The changes that wait for their repeat. If the destination surely does not have the org, only the id is worth keeping.
pub(super) fn waiting_of(basis: &Basis, rows: &[WaitingRow], versions: &RecordBatch) -> impl Iterator<Item = Overlaid> {
    let (keys, prints) = basis.hash(versions);
    let overlaid = rows.iter().enumerate().map(move |(i, change)| {
        let row = u32::try_from(i).unwrap_or(NOWHERE);
        let pending = Pending {
            origin: Origin::Waiting(row),
            after: change.has_after.then_some(prints[i]),
            version: Version::Waiting(row),
            id: change.id,
            waited: change.waited,
        };
        Overlaid { key: keys[i], known: None, pending }
    });
    overlaid.collect::<Vec<_>>().into_iter()
}

/// Puts the overlay into the order of the sidecar.
pub(super) struct Merge<O: Iterator<Item = Overlaid>> {
    overlay: Peekable<O>,
    pub(super) pending: Vec<Pending>,
}

impl<O: Iterator<Item = Overlaid>> Merge<O> {
    pub(super) fn new(overlay: O) -> Self {
        Merge { overlay: overlay.peekable(), pending: Vec::new() }
    }

    /// The next key of the overlay that comes before this one of the sidecar.
    pub(super) fn before(&mut self, key: KeyHash) -> Option<Entry> {
        let overlaid = self.overlay.next_if(|o| o.key < key)?;
        Some(self.entry(overlaid, None))
    }

    /// What is known of a key of the sidecar.
    pub(super) fn with(&mut self, stored: Entry) -> Entry {
        match self.overlay.next_if(|o| o.key == stored.key) {
            Some(overlaid) => self.entry(overlaid, Some(stored)),
            None => stored,
        }
    }

    /// The next key of the overlay after all of the sidecar.
    pub(super) fn rest(&mut self) -> Option<Entry> {
        let overlaid = self.overlay.next()?;
        Some(self.entry(overlaid, None))
    }

    /// What is known of the keys of the overlay, in order, where `stored` says what the sidecar has.
    pub(super) fn all(&mut self, stored: &dyn Fn(KeyHash) -> Option<Entry>) -> Vec<Entry> {
        let mut all = Vec::new();
        while let Some(overlaid) = self.overlay.next() {
            let stored = stored(overlaid.key);
            all.push(self.entry(overlaid, stored));
        }
        all
    }

    fn entry(&mut self, Overlaid { key, known, pending: change }: Overlaid, stored: Option<Entry>) -> Entry {
        let row = u32::try_from(self.pending.len()).unwrap_or(NOWHERE);
        let (print, flags, origin) = match (known, stored) {
            (Some((print, flags)), _) => (print, flags, change.origin),
            (None, Some(stored)) => (stored.print, stored.flags, Origin::Base(stored.row)),
            (None, None) => (0, Flags::ABSENT.with(Flags::GONE, true), change.origin),
        };
        self.pending.push(Pending { origin, ..change });
        Entry { key, print, row, flags: flags.with(Flags::PENDING, true) }
    }
}
