//! What is known in the order of last night's rows: an extract that comes in that order is compared by walking both in step,
//! reading on in the one as in the other, where a lookup by hash would wait for memory for every row.
//!
//! It is exact in any order: where the next row is another one, the key is searched for, which takes longer.

use super::huge::Huge;
use super::slot::Slot;
use super::table::{CHUNK, Flags, NOWHERE, Table};
use super::{Bits, Entry, Positions};
use crate::row::{KeyHash, Print};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows of last night that are looked at before a key is searched for: some may be missing tonight.
const AHEAD: usize = 8;

/// Rows that are read on at a time.
const WINDOW: usize = 1 << 11;

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
    rows: Box<dyn LastNight>,
    /// How many rows there are.
    end: usize,
    /// Rows that entries refer to; `None`: all.
    entries: Option<Bits>,
    /// Positions in the order of their keys.
    by_key: Huge<u32>,
    /// What is laid over the rows, and what comes after them.
    over: BTreeMap<u32, Slot>,
    looked: AtomicU64,
    missed: AtomicU64,
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

    /// The positions of keys that come about in the order of the rows, and the fingerprints there.
    pub(super) fn walk(&self, keys: &[KeyHash], mut each: impl FnMut(usize, &[u32], &[Print])) {
        let (mut found, mut prints) = ([NOWHERE; CHUNK], [0; CHUNK]);
        let mut window = Window { of: self, slots: Vec::new(), first: 0 };
        let (mut next, mut missed) = (usize::MAX, 0);
        for (chunk, keys) in keys.chunks(CHUNK).enumerate() {
            for ((at, print), key) in found.iter_mut().zip(&mut prints).zip(keys) {
                (*at, *print) = match window.find(next, *key) {
                    Some(found) => found,
                    None => {
                        missed += 1;
                        let at = self.find(*key);
                        (at, if at == NOWHERE { 0 } else { self.print(at) })
                    }
                };
                if *at != NOWHERE {
                    next = *at as usize + 1;
                }
            }
            each(chunk * CHUNK, &found[..keys.len()], &prints[..keys.len()]);
        }
        self.looked.fetch_add(keys.len() as u64, Ordering::Relaxed);
        // Where a batch begins is always searched for.
        self.missed.fetch_add(u64::saturating_sub(missed, 1), Ordering::Relaxed);
    }

    pub(super) fn is_astray(&self) -> bool {
        let looked = self.looked.load(Ordering::Relaxed);
        looked >= ENOUGH && self.missed.load(Ordering::Relaxed) * SHARE > looked
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
        let (looked, missed, over) = Default::default();
        let ordered = Ordered { rows, end, entries, by_key, over, looked, missed };
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

/// Rows that are at hand.
struct Window<'a> {
    of: &'a Ordered,
    slots: Vec<Slot>,
    first: usize,
}

impl Window<'_> {
    /// A key at a position or a little after it, with the fingerprint there.
    #[inline]
    fn find(&mut self, next: usize, key: KeyHash) -> Option<(u32, Print)> {
        let wanted = Slot::new(key, 0);
        let ahead = self.ahead(next);
        let skipped = ahead.iter().position(|slot| slot.has_key_of(wanted))?;
        let (at, print) = ((next + skipped) as u32, ahead[skipped].print());
        self.of.has_entry(at).then_some((at, print))
    }

    /// The rows from a position on; none where there is none.
    #[inline]
    fn ahead(&mut self, at: usize) -> &[Slot] {
        let wanted = AHEAD.min(self.of.end.saturating_sub(at));
        if wanted == 0 {
            return &[];
        }
        if at < self.first || at + wanted > self.first + self.slots.len() {
            self.slots.resize(WINDOW.min(self.of.end - at), Slot::default());
            self.of.rows.read(at as u32, &mut self.slots);
            self.first = at;
        }
        &self.slots[at - self.first..at - self.first + wanted]
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
