//! What was judged, taken in the extract's order, becomes changes and the state of every known row.

use super::added::{self, Added, Fate};
use super::{
    Bits, ByKey, Change, Duplicate, Flags, Judged, NOWHERE, Next, Notable, Operation, Origin, Pending, Positions,
    Table, Verdict,
};
use crate::job::spec::Triggers;
use crate::row::{KeyHash, Print};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What was counted on the way, in rows of tonight or orgs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Tonight's rows so far.
    pub rows: u32,
    /// The destination has them so.
    pub unchanged: u64,
    /// They differ and are not sent.
    pub suppressed: u64,
    /// Rows with a value that does not fit, or without a usable key.
    pub rejected: u64,
    /// Rows without a usable key.
    pub keyless: u64,
}

/// Removals that are handed over at a time.
const AT_ONCE: usize = 1 << 14;

/// What the extract no longer has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rest {
    /// Orgs that were there last night and are missing tonight, whether or not removals are sent.
    pub vanished: u64,
    /// Orgs that are missing and not removed, because some row has no usable key.
    pub spared: u64,
}

/// Why a known row stays as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Its row cannot be judged; the row of tonight.
    Rejected(u32),
    /// It differs, and `on` leaves that out; the row of tonight.
    Suppressed(u32),
    /// It differs only in what the forms of its columns leave out; the row of tonight.
    Within(u32),
    /// It is not in tonight's extract.
    Missing,
    /// Its key stands several times in tonight's extract.
    Duplicate,
}

/// The state of a comparison over one table.
#[derive(Debug)]
pub struct Matcher<'a> {
    pub(super) table: &'a Table,
    pending: &'a [Pending],
    /// By position: the row in the base, or the position in `pending`; once seen, the row of tonight.
    rows: Positions,
    /// By basis: the basis of a row that is kept tonight.
    rebased: &'a [u16],
    seen: Bits,
    kept: Vec<(u32, Why)>,
    /// Seen, and neither kept nor part of the next base: the destination surely does not have them. With their rows.
    dropped: HashMap<u32, u32>,
    /// Tonight's fingerprints, where they are not the table's.
    pub(super) renewed: Vec<(u32, Print)>,
    pub(super) added: Vec<Added>,
    /// Known entries that are sent.
    sent: Bits,
    /// Further rows of a known key: position, row of tonight, whether it is counted as rejected.
    again: Vec<(u32, u32, bool)>,
    /// Keys that stand several times in tonight's extract.
    duplicates: HashSet<KeyHash>,
    waiting: Vec<Pending>,
    counted: Counted,
    unclear: bool,
}

impl<'a> Matcher<'a> {
    /// `rows`: of each entry of the table. `pending`: what those flagged so refer to. `rebased`: by basis, the basis of a row
    /// that is not seen tonight (another one where columns are adopted tonight).
    pub fn new(table: &'a Table, rows: Positions, pending: &'a [Pending], rebased: &'a [u16]) -> Self {
        Matcher {
            table,
            pending,
            rows,
            rebased,
            seen: Bits::new(table.positions()),
            kept: Vec::new(),
            dropped: HashMap::new(),
            renewed: Vec::new(),
            added: Vec::new(),
            sent: Bits::new(table.positions()),
            again: Vec::new(),
            duplicates: HashSet::new(),
            waiting: Vec::new(),
            counted: Counted::default(),
            unclear: false,
        }
    }

    /// Takes the next rows. `number`: tonight's row of each, ascending. For each row to be sent its change, in order; `None`
    /// where its key stood in an earlier row, so that nothing is to be sent.
    pub fn take(&mut self, number: impl Fn(u32) -> u32, judged: &Judged) -> Vec<Option<Change>> {
        let mut changes = Vec::new();
        let mut notable = judged.notable.iter().peekable();
        for (row, &at) in judged.at.iter().enumerate() {
            let (row, tonight) = (row as u32, number(row as u32));
            match notable.next_if(|n| n.row == row) {
                Some(notable) => {
                    let change = self.notable(at, tonight, notable);
                    if matches!(notable.verdict, Verdict::Send(_)) {
                        changes.push(change);
                    }
                }
                None if self.seen.insert(at) => {
                    self.rows.take(at, tonight);
                    self.counted.unchanged += 1;
                }
                None => self.again.push((at, tonight, false)),
            }
        }
        self.counted.rows += judged.at.len() as u32;
        changes
    }

    fn notable(&mut self, at: u32, tonight: u32, notable: &Notable) -> Option<Change> {
        let Notable { key, print, known, verdict, .. } = *notable;
        self.counted.rejected += u64::from(matches!(verdict, Verdict::Rejected | Verdict::Keyless));
        if verdict == Verdict::Keyless {
            self.counted.keyless += 1;
            return None;
        }
        if at == NOWHERE {
            let fate = match verdict {
                Verdict::Rejected => Fate::Rejected,
                Verdict::Send(_) => Fate::Sent,
                _ => Fate::Adopted,
            };
            self.added.push(Added { key, print, row: tonight, fate });
        } else if !self.seen.insert(at) {
            self.again.push((at, tonight, verdict == Verdict::Rejected));
            return None;
        }
        let change = match verdict {
            Verdict::Send(operation) => Some(self.change(operation, at, Some(tonight), (key, known), Some(print))),
            _ => None,
        };
        match verdict {
            Verdict::Unchanged => self.counted.unchanged += 1,
            Verdict::Adopt | Verdict::Keep => self.counted.suppressed += 1,
            _ => {}
        }
        if at == NOWHERE {
            return change;
        }
        match verdict {
            Verdict::Rejected => self.keep(at, Why::Rejected(tonight)),
            Verdict::Keep => self.keep(at, Why::Suppressed(tonight)),
            _ => {
                if change.is_some() {
                    self.sent.insert(at);
                }
                self.rows.take(at, tonight);
                if known != print {
                    self.renewed.push((at, print));
                }
            }
        }
        change
    }

    fn change(
        &self,
        operation: Operation,
        at: u32,
        tonight: Option<u32>,
        (key, known): (KeyHash, Print),
        after: Option<Print>,
    ) -> Change {
        let plain = Change {
            operation,
            key,
            entry: None,
            origin: None,
            tonight,
            before: None,
            after,
            uncertain: false,
            basis: 0,
            repeats: None,
        };
        if at == NOWHERE {
            return plain;
        }
        let flags = self.table.flags(at);
        Change {
            entry: Some((at, self.rows.get(at))),
            origin: Some(self.origin(at)),
            before: (!flags.has(Flags::ABSENT)).then_some(known),
            uncertain: flags.has(Flags::UNCERTAIN),
            basis: flags.basis(),
            repeats: self.pending(at).filter(|p| p.after == after).map(|p| p.id),
            ..plain
        }
    }

    /// The unacknowledged change of an entry. Only before its row of tonight was taken.
    fn pending(&self, at: u32) -> Option<&'a Pending> {
        let is_pending = self.table.flags(at).has(Flags::PENDING);
        is_pending.then(|| self.pending.get(self.rows.get(at) as usize)).flatten()
    }

    /// Where an entry's known values are. Only before its row of tonight was taken.
    fn origin(&self, at: u32) -> Origin {
        self.pending(at).map_or(Origin::Base(self.rows.get(at)), |p| p.origin)
    }

    /// Whether the destination has the org, or may have it.
    fn is_there(&self, at: u32) -> bool {
        let flags = self.table.flags(at);
        !flags.has(Flags::ABSENT) || flags.has(Flags::UNCERTAIN)
    }

    /// The org stays as it is known, if it is, and its unacknowledged change goes on waiting for its repeat.
    fn keep(&mut self, at: u32, why: Why) {
        let there = self.is_there(at);
        if there {
            self.kept.push((at, why));
        } else if let Why::Rejected(row) | Why::Suppressed(row) | Why::Within(row) = why {
            self.dropped.insert(at, row);
        } else if why == Why::Duplicate {
            self.dropped.insert(at, NOWHERE);
        }
        if let Some(pending) = self.pending(at).filter(|p| there || p.waited < Pending::MAX_WAIT) {
            self.waiting.push(*pending);
        }
    }

    /// Takes a change back, because by the forms of its columns it is what the destination has: the org stays as it is
    /// known, so that a slow drift adds up until it counts.
    pub fn withdraw(&mut self, change: &Change) {
        if let (Some((at, row)), Some(tonight)) = (change.entry, change.tonight) {
            self.rows.put_back(at, row);
            self.keep(at, Why::Within(tonight));
            self.counted.unchanged += 1;
        }
    }

    /// The keys that stand several times in tonight's extract, each with its rows, in the order of their first rows. To be
    /// called once, after the last rows. None of their rows is judged: their changes are to be dropped, and known orgs keep
    /// their place. `original`: the rows that this was made with, asked for only if need be.
    ///
    /// # Errors
    /// What `original` fails with.
    pub fn duplicates<E>(&mut self, original: impl FnOnce() -> Result<Positions, E>) -> Result<Vec<Duplicate>, E> {
        added::sort(&mut self.added);
        let mut found = Vec::new();
        for group in added::repeated(&self.added) {
            found.push(Duplicate { key: group[0].key, rows: group.iter().map(|a| a.row).collect() });
            self.counted.rejected += group.iter().filter(|a| a.fate != Fate::Rejected).count() as u64;
            self.counted.suppressed -= group.iter().filter(|a| a.fate == Fate::Adopted).count() as u64;
        }
        let mut known: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (at, row, rejected) in std::mem::take(&mut self.again) {
            self.counted.rejected += u64::from(!rejected);
            known.entry(at).or_default().push(row);
        }
        if !known.is_empty() {
            let (original, kept) = (original()?, self.kept.iter().copied().collect::<BTreeMap<_, _>>());
            for (at, mut rows) in known {
                let first = self.withhold(at, kept.get(&at).copied(), &original);
                rows.push(first);
                rows.sort_unstable();
                found.push(Duplicate { key: self.table.key(at), rows });
            }
        }
        found.sort_unstable_by_key(|d| d.rows[0]);
        self.duplicates = found.iter().map(|d| d.key).collect();
        Ok(found)
    }

    /// Nothing is said of a known org whose key stands several times. Returns the first of its rows.
    fn withhold(&mut self, at: u32, earlier: Option<Why>, original: &Positions) -> u32 {
        let rejected = match earlier {
            Some(Why::Rejected(row)) => Some(row),
            _ => self.dropped.get(&at).copied(),
        };
        if let Some(row) = rejected {
            return row;
        }
        self.counted.rejected += 1;
        match earlier {
            Some(Why::Suppressed(row)) => {
                self.counted.suppressed -= 1;
                row
            }
            Some(Why::Within(row)) => {
                self.counted.unchanged -= 1;
                row
            }
            _ => {
                // What is neither kept nor sent was there already, or became part of the baseline.
                let uncounted = match self.table.flags(at).has(Flags::ABSENT) {
                    true => &mut self.counted.suppressed,
                    false => &mut self.counted.unchanged,
                };
                *uncounted -= u64::from(!self.sent.contains(at));
                let row = self.rows.get(at);
                self.rows.put_back(at, original.get(at));
                self.keep(at, Why::Duplicate);
                row
            }
        }
    }

    /// What the extract no longer has; `removed` is given the removals in the order of their key hashes, which depends on nothing
    /// else, some at a time. To be called once, after [`Matcher::duplicates`]. `keyless`: rows of the whole extract without a
    /// usable key; any missing org may be behind one of them.
    ///
    /// # Errors
    /// What `removed` fails with.
    pub fn rest<E>(
        &mut self,
        on: Triggers,
        keyless: u64,
        mut removed: impl FnMut(Vec<Change>) -> Result<(), E>,
    ) -> Result<Rest, E> {
        self.unclear = keyless > 0;
        let (mut rest, mut gone) = (Rest::default(), Vec::new());
        let missing = self.seen.missing(self.table.positions()).filter(|at| self.table.has_entry(*at));
        let mut missing: Vec<u32> = missing.collect();
        self.table.sort(&mut missing, |at| *at);
        for at in missing {
            let (flags, there) = (self.table.flags(at), self.is_there(at));
            if !flags.has(Flags::ABSENT) && !flags.has(Flags::GONE) {
                rest.vanished += 1;
            }
            if self.unclear || !on.removed || !there {
                rest.spared += u64::from(self.unclear && on.removed && there);
                self.keep(at, Why::Missing);
                continue;
            }
            let known = (self.table.key(at), self.table.print(at));
            gone.push(self.change(Operation::Removed, at, None, known, None));
            if gone.len() == AT_ONCE {
                removed(std::mem::take(&mut gone))?;
            }
        }
        removed(gone)?;
        Ok(rest)
    }

    /// What was counted.
    pub fn counted(&self) -> Counted {
        self.counted
    }

    /// Unacknowledged changes that are neither repeated nor superseded tonight: their ids are kept for their repeats.
    pub fn waiting(&mut self) -> Vec<Pending> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_unstable_by_key(|p| p.version);
        waiting
    }

    /// Where the kept rows' values are, in the order in which they are to be written; and the entries of the next sidecar,
    /// whose rows count over `tonight` rows first, then over kept rows from `before` on. `by_key`: key and
    /// fingerprint of the table's entries, where the table is not in the order of keys. If it ends early, so do the entries.
    pub fn next<'n>(&'n mut self, tonight: u32, before: u32, by_key: Option<ByKey<'n>>) -> (Vec<Origin>, Next<'n>) {
        let mut kept: Vec<(Origin, u32)> = self.kept.iter().map(|(at, _)| (self.origin(*at), *at)).collect();
        kept.sort_unstable();
        let mut ranks: Vec<(u32, u32)> = kept.iter().zip(0u32..).map(|((_, at), rank)| (*at, rank)).collect();
        self.table.sort(&mut ranks, |(at, _)| *at);
        self.table.sort(&mut self.renewed, |(at, _)| *at);
        self.rows.spread();
        let origins = kept.into_iter().map(|(origin, _)| origin).collect();
        (origins, Next::new(self, by_key, ranks, tonight + before))
    }

    /// The flags of an entry that is kept.
    pub(super) fn kept_flags(&self, at: u32) -> Flags {
        let flags = self.table.flags(at);
        // An org that may be behind a damaged key is not called gone: the guards are to see it vanish later on.
        let gone = !self.seen.contains(at) && (flags.has(Flags::GONE) || !self.unclear);
        let basis = self.rebased.get(usize::from(flags.basis())).copied().unwrap_or(flags.basis());
        flags.with(Flags::PENDING, false).with(Flags::GONE, gone).with_basis(basis)
    }

    /// Brings the rows of some positions near: they are waited for together, not one after the other.
    pub(super) fn touch(&self, positions: impl Iterator<Item = u32>) {
        self.rows.touch(positions);
    }

    /// The row of tonight that an entry of the next base has; `None` if it has none.
    pub(super) fn tonight(&self, at: u32) -> Option<u32> {
        (self.seen.contains(at) && !self.dropped.contains_key(&at)).then(|| self.rows.get(at))
    }

    /// Whether a row of an unknown key is part of the next base.
    pub(super) fn is_baseline(&self, added: &Added) -> bool {
        added.fate != Fate::Rejected && (self.duplicates.is_empty() || !self.duplicates.contains(&added.key))
    }
}
