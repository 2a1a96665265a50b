//! What is known in the order of last night's rows: an extract that comes in that order is compared by walking both in step,
//! reading on in the one as in the other, where a lookup by hash would wait for memory for every row.
//!
//! It is exact in any order: where the next row is another one, the key is searched for, which takes longer.

use super::huge::Huge;
use super::places::{Places, Window};
use super::slot::Slot;
use super::table::{Flags, NOWHERE, Table};
use super::{Bits, Entry, Judged, Positions};
use crate::row::{KeyHash, Print};
use std::collections::BTreeMap;

/// Keys whose positions are told at a time.
const CHUNK: usize = 512;

/// Rows after which it can be said whether an extract is in order.
const ENOUGH: u64 = 1 << 16;

/// One row in so many may have to be searched for.
const SHARE: u64 = 8;

/// Every so many entries are looked at to see whether keys are in order.
const SAMPLE: usize = 1 << 13;

/// So many ranks are searched one by one.
const NARROW: usize = 8;

/// Last night's rows, in their order, wherever they are.
pub trait LastNight: std::fmt::Debug + Send + Sync {
    /// Reads the rows from `first` on, all of which there are. What cannot be read is zero, and the reader remembers why: what
    /// was compared with it is not to be used.
    fn read(&self, first: u32, slots: &mut [Slot]);
}

/// The known rows by their position, which is their row in the base.
#[derive(Debug)]
pub struct Ordered {
    pub(super) rows: Box<dyn LastNight>,
    /// How many rows there are.
    pub(super) end: usize,
    /// Rows that entries refer to; `None`: all.
    entries: Option<Bits>,
    /// Positions in the order of their keys.
    by_key: Huge<u32>,
    /// What is laid over the rows, and what comes after them.
    over: BTreeMap<u32, Slot>,
}

/// How many rows of an extract had to be searched for, in the extract's order, so that it does not depend on threads when there
/// were too many.
#[derive(Debug, Default)]
pub struct Strays {
    looked: u64,
    searched: u64,
}

impl Strays {
    /// Takes a batch into account. Whether the extract is in quite another order than last night's, so that a table by key hash
    /// would be quicker.
    #[must_use]
    pub fn are_many(&mut self, judged: &Judged) -> bool {
        self.looked += judged.at.len() as u64;
        self.searched += judged.searched;
        self.looked >= ENOUGH && self.searched * SHARE > self.looked
    }
}

impl Ordered {
    fn slot(&self, at: u32) -> Slot {
        if let Some(slot) = self.over.get(&at) {
            return *slot;
        }
        let mut slot = [Slot::default()];
        if (at as usize) < self.end {
            self.rows.read(at, &mut slot);
        }
        slot[0]
    }

    pub(super) fn key(&self, at: u32) -> KeyHash {
        self.slot(at).key()
    }

    pub(super) fn print(&self, at: u32) -> Print {
        self.slot(at).print()
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.as_slice().len()
    }

    pub(super) fn positions(&self) -> usize {
        self.over.last_key_value().map_or(0, |(at, _)| *at as usize + 1).max(self.end)
    }

    pub(super) fn at(&self, rank: usize) -> u32 {
        self.by_key.as_slice()[rank]
    }

    pub(super) fn has_entry(&self, at: u32) -> bool {
        self.entries.as_ref().is_none_or(|entries| at as usize >= self.end || entries.contains(at))
    }

    /// The rank of a key, or the one that it would have. Hashes are spread evenly, which tells about where to look.
    fn rank(&self, key: KeyHash) -> Result<usize, usize> {
        let of = |rank: usize| self.key(self.at(rank));
        // What is below `low` has smaller keys, what is at `high` and above larger ones.
        let (mut low, mut high) = (0, self.len());
        let (mut from, mut to) = (0, u64::MAX);
        while high - low > NARROW {
            let width = high - low;
            let part = width as u128 * u128::from(key.hi - from) / (u128::from(to - from) + 1);
            let (guess, spread) = (low + part as usize, width.isqrt());
            for probe in [guess.saturating_sub(spread).max(low), (guess + spread).min(high - 1)] {
                if (low..high).contains(&probe) {
                    let found = of(probe);
                    match found.cmp(&key) {
                        std::cmp::Ordering::Less => (low, from) = (probe + 1, found.hi),
                        std::cmp::Ordering::Greater => (high, to) = (probe, found.hi),
                        std::cmp::Ordering::Equal => return Ok(probe),
                    }
                }
            }
        }
        for rank in low..high {
            match of(rank).cmp(&key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(rank),
                std::cmp::Ordering::Greater => return Err(rank),
            }
        }
        Err(high)
    }

    pub(super) fn find(&self, key: KeyHash) -> u32 {
        self.rank(key).map_or(NOWHERE, |rank| self.at(rank))
    }

    /// The positions of keys that come about in the order of the rows, and the fingerprints there. How many had to be searched
    /// for, but for where the keys begin.
    pub(super) fn walk(&self, keys: &[KeyHash], mut each: impl FnMut(usize, &[u32], &[Print])) -> u64 {
        let (mut found, mut prints) = ([NOWHERE; CHUNK], [0; CHUNK]);
        let (mut places, mut searched) = (Places::new(self), 0u64);
        for (chunk, keys) in keys.chunks(CHUNK).enumerate() {
            for ((at, print), key) in found.iter_mut().zip(&mut prints).zip(keys) {
                (*at, *print) = match places.find(*key) {
                    Some(found) => found,
                    None => {
                        searched += 1;
                        places.search(*key)
                    }
                };
            }
            each(chunk * CHUNK, &found[..keys.len()], &prints[..keys.len()]);
        }
        searched.saturating_sub(1)
    }

    /// What is at these positions. It is quick where they ascend and are close to each other.
    pub(super) fn slots(&self, positions: impl Iterator<Item = u32>) -> Vec<Slot> {
        let mut window = Window::new(self);
        positions.map(|at| self.over.get(&at).copied().unwrap_or_else(|| window.at(at))).collect()
    }

    /// A table of the rows. `by_key`: the rows of all entries in the order of their keys. `flags`: of those that are not plain.
    /// `over`: what more is known, in the order of keys, given what is stored; the row of such an entry is the position of its
    /// [`Pending`](super::Pending). `None` if what is given does not belong together.
    pub fn table(
        rows: Box<dyn LastNight>,
        end: usize,
        by_key: RowsByKey,
        flags: &[(u32, Flags)],
        over: impl FnOnce(&dyn Fn(KeyHash) -> Option<Entry>) -> Vec<Entry>,
    ) -> Option<(Table, Positions)> {
        let mut ordered = Self::new(rows, end, by_key.0)?;
        let flags: BTreeMap<u32, Flags> = flags.iter().copied().collect();
        let stored = |key: KeyHash| {
            let row = ordered.find(key);
            let flags = flags.get(&row).copied().unwrap_or_default();
            (row != NOWHERE).then(|| Entry { key, print: ordered.print(row), row, flags })
        };
        let over = over(&stored);
        let laid = ordered.lay_over(&over);
        let mut table = Table::in_order(ordered);
        flags.iter().for_each(|(at, flags)| table.flag(*at, *flags));
        laid.iter().for_each(|(at, entry)| table.flag(*at, entry.flags));
        let before = laid.into_iter().map(|(at, entry)| (at, entry.row)).collect();
        let positions = Positions::runs(table.positions(), before);
        Some((table, positions))
    }

    fn new(rows: Box<dyn LastNight>, end: usize, by_key: Huge<u32>) -> Option<Self> {
        if !by_key.as_slice().iter().all(|row| (*row as usize) < end) {
            return None;
        }
        // Rows that no entry refers to say nothing of the destination.
        let entries = (by_key.as_slice().len() != end).then(|| {
            let mut entries = Bits::new(end);
            for row in by_key.as_slice() {
                entries.insert(*row);
            }
            entries
        });
        let ordered = Ordered { rows, end, entries, by_key, over: BTreeMap::new() };
        let keys = ordered.by_key.as_slice().iter().step_by(SAMPLE).map(|at| ordered.key(*at));
        keys.is_sorted_by(|a, b| a < b).then_some(ordered)
    }

    /// Puts entries over those that are there, new ones after them. Returns them by position.
    fn lay_over(&mut self, entries: &[Entry]) -> BTreeMap<u32, Entry> {
        let (mut laid, mut new, mut free) = (BTreeMap::new(), Vec::new(), self.end as u32);
        for entry in entries {
            let at = self.rank(entry.key).map(|rank| self.at(rank)).unwrap_or_else(|rank| {
                new.push((rank, free));
                free += 1;
                free - 1
            });
            laid.insert(at, *entry);
        }
        self.over.extend(laid.iter().map(|(at, entry)| (*at, Slot::new(entry.key, entry.print))));
        if !new.is_empty() {
            let old = self.by_key.as_slice();
            let mut merged = Huge::with_capacity(old.len() + new.len());
            let mut new = new.into_iter().peekable();
            for rank in 0..=old.len() {
                while let Some((_, at)) = new.next_if(|(of, _)| *of == rank) {
                    merged.push(at);
                }
                old.get(rank).into_iter().for_each(|at| merged.push(*at));
            }
            self.by_key = merged;
        }
        laid
    }
}

/// The rows of entries in the order of their keys, to be filled.
#[derive(Debug)]
pub struct RowsByKey(Huge<u32>);

impl RowsByKey {
    /// Of so many entries.
    pub fn new(entries: usize) -> Self {
        RowsByKey(Huge::zeroed(entries))
    }

    /// By rank.
    pub fn as_mut_slice(&mut self) -> &mut [u32] {
        self.0.as_mut_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::TableBuilder;
    use crate::diff::places::WINDOW;
    use proptest::prelude::*;

    #[derive(Debug)]
    struct Rows(Vec<Slot>);

    impl LastNight for Rows {
        fn read(&self, first: u32, slots: &mut [Slot]) {
            slots.copy_from_slice(&self.0[first as usize..first as usize + slots.len()]);
        }
    }

    /// Keys are spread as hashes are.
    fn key(n: u32) -> KeyHash {
        KeyHash { hi: u64::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15), lo: n }
    }

    /// Rows of orgs 0, 1, 2, …; those in `holes` have no entry; `over`: orgs that have more to be said of, known or not.
    fn tables(rows: u32, holes: &[u32], over: &[u32]) -> (Table, Positions, Table) {
        let slots: Vec<Slot> = (0..rows).map(|n| Slot::new(key(n), u64::from(n))).collect();
        let mut known: Vec<u32> = (0..rows).filter(|n| !holes.contains(n)).collect();
        known.sort_by_key(|n| key(*n));
        let mut by_key = RowsByKey::new(known.len());
        by_key.as_mut_slice().copy_from_slice(&known);
        let mut over = over.to_vec();
        over.sort_by_key(|n| key(*n));
        over.dedup();
        let (pending, plain) = (Flags::PENDING, Flags::default());
        let entry = |n: u32| match over.iter().position(|of| *of == n) {
            Some(row) => Entry { key: key(n), print: 7, row: row as u32, flags: pending },
            None => Entry { key: key(n), print: u64::from(n), row: n, flags: plain },
        };
        let laid = |_: &dyn Fn(KeyHash) -> Option<Entry>| over.iter().map(|n| entry(*n)).collect();
        let (table, positions) = Ordered::table(Box::new(Rows(slots)), rows as usize, by_key, &[], laid).unwrap();
        known.extend(&over);
        known.sort_by_key(|n| key(*n));
        known.dedup();
        let mut builder = TableBuilder::new(known.len());
        known.iter().for_each(|n| assert!(builder.push(entry(*n))));
        (table, positions, builder.finish(0).0)
    }

    #[track_caller]
    fn check(rows: u32, holes: &[u32], over: &[u32], tonight: &[u32]) {
        let (ordered, positions, by_hash) = tables(rows, holes, over);
        assert_eq!((ordered.len(), ordered.there()), (by_hash.len(), by_hash.there()));
        for rank in 0..ordered.len() {
            let (a, b) = (ordered.at(rank), by_hash.at(rank));
            assert_eq!((ordered.key(a), ordered.print(a)), (by_hash.key(b), by_hash.print(b)));
            assert!(ordered.has_entry(a));
        }
        let keys: Vec<KeyHash> = tonight.iter().map(|n| key(*n)).collect();
        let mut looked = Vec::new();
        ordered.find_all(&keys, |_, found, prints| looked.extend(found.iter().copied().zip(prints.iter().copied())));
        assert_eq!(looked.len(), keys.len());
        for (&n, (at, print)) in tonight.iter().zip(looked) {
            let expected = by_hash.find(key(n));
            assert_eq!(at == NOWHERE, expected == NOWHERE, "{n}");
            assert_eq!(ordered.find(key(n)), at);
            if at != NOWHERE {
                assert_eq!((ordered.key(at), ordered.flags(at)), (key(n), by_hash.flags(expected)));
                assert!(print == by_hash.print(expected) || !ordered.flags(at).is_plain());
                assert!(over.contains(&n) || positions.get(at) == n);
            }
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_a_table_by_key_hash_finds(
            rows in 0..300u32,
            holes in prop::collection::vec(0..300u32, 0..4),
            over in prop::collection::vec(0..310u32, 0..4),
            steps in prop::collection::vec((0..310u32, 1..60u32), 0..12),
        ) {
            let tonight: Vec<u32> = steps.iter().flat_map(|(from, len)| *from..from + len).collect();
            check(rows, &holes, &over, &tonight);
        }
    }

    #[test]
    fn windows_and_chunks_have_no_seams() {
        let rows = 3 * WINDOW as u32 + 5;
        let all: Vec<u32> = (0..rows + 20).filter(|n| n % 701 > 2).collect();
        check(rows, &[], &[5, WINDOW as u32, rows + 3], &all);
    }

    /// How many of tonight's rows have to be searched for, where last night's rows from `known` on are those that were kept.
    fn searched(rows: u32, holes: &[u32], tonight: impl Iterator<Item = u32>) -> u64 {
        let keys: Vec<KeyHash> = tonight.map(key).collect();
        tables(rows, holes, &[]).0.find_all(&keys, |_, _, _| {})
    }

    #[test]
    fn what_comes_in_order_is_not_searched_for() {
        let rows = 20_000;
        assert_eq!(searched(rows, &[], 0..rows), 0);
        assert_eq!(searched(rows, &[], (0..rows).filter(|n| n % 100 > 6)), 0, "orgs that are gone");
        assert_eq!(searched(rows, &[], 5_000..rows), 0, "where a batch begins");
        assert_eq!(searched(rows, &[], (0..rows).chain(rows..rows + 9)), 9, "orgs that are new");
        assert_eq!(searched(rows, &[], [3, 9_000].into_iter().chain(4..rows)), 1, "a row that has moved there");
        assert_eq!(searched(rows, &[], (9_000..rows).chain(0..9_000)), 1, "a file of many that comes first");
    }

    #[test]
    fn rows_that_were_kept_are_searched_for_once() {
        // Every tenth of the first rows has no entry: its org's one is among those after them.
        let (rows, slot) = (10_000, |n: u32| Slot::new(key(n), u64::from(n)));
        let kept: Vec<u32> = (0..rows).filter(|n| n % 10 == 3).collect();
        let slots: Vec<Slot> = (0..rows).chain(kept.iter().copied()).map(slot).collect();
        let mut known: Vec<u32> = (0..slots.len() as u32).filter(|at| *at >= rows || at % 10 != 3).collect();
        known.sort_by_key(|at| slots[*at as usize].key());
        let mut by_key = RowsByKey::new(known.len());
        by_key.as_mut_slice().copy_from_slice(&known);
        let end = slots.len();
        let (table, _) = Ordered::table(Box::new(Rows(slots)), end, by_key, &[], |_| Vec::new()).unwrap();
        let keys: Vec<KeyHash> = (0..rows).map(key).collect();
        let mut at = 0;
        let searched = table.find_all(&keys, |_, found, prints| {
            for (found, print) in found.iter().zip(prints) {
                let expected = if at % 10 == 3 { rows + at / 10 } else { at };
                assert_eq!((*found, *print), (expected, u64::from(at)));
                at += 1;
            }
        });
        assert_eq!((at, searched), (rows, 1));
    }

    #[test]
    fn an_extract_in_another_order_is_noticed() {
        let judged = |rows: u64, searched: u64| Judged { at: vec![0; rows as usize], searched, ..Judged::default() };
        let mut strays = Strays::default();
        assert!(!strays.are_many(&judged(ENOUGH - 1, ENOUGH - 1)), "too few to tell");
        assert!(strays.are_many(&judged(1, 0)));
        let mut strays = Strays::default();
        assert!(!strays.are_many(&judged(ENOUGH, ENOUGH / SHARE)));
        assert!(strays.are_many(&judged(8, 2)));
        let rows = ENOUGH as u32;
        assert!(searched(rows, &[], (0..rows).map(|n| n.wrapping_mul(40_503) % rows)) > ENOUGH / SHARE);
    }

    #[test]
    fn rows_that_do_not_belong_together_are_refused() {
        let slots: Vec<Slot> = (0..3).map(|n| Slot::new(key(n), 0)).collect();
        let table = |row: u32| {
            let mut by_key = RowsByKey::new(1);
            by_key.as_mut_slice()[0] = row;
            Ordered::table(Box::new(Rows(slots.clone())), 3, by_key, &[], |_| Vec::new())
        };
        assert!(table(2).is_some() && table(3).is_none());
    }
}
