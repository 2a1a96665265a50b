//! A table in the order of last night's rows: an extract that comes in that order is compared by walking both in step, so
//! that what is read next is at hand, where a lookup by hash would wait for memory for every row.
//!
//! It is exact in any order: where the next row is another one, the key is searched for, which takes longer.

use super::huge::Huge;
use super::slot::Slot;
use super::table::{CHUNK, Flags, Index, NOWHERE, Table};
use super::{Bits, Entry, Positions};
use crate::row::KeyHash;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows of last night that may be missing in a row before the key is searched for.
const AHEAD: usize = 8;

/// Rows after which it can be said whether an extract is in order.
const ENOUGH: u64 = 1 << 16;

/// One row in so many may have to be searched for.
const SHARE: u64 = 8;

/// Every so many entries are looked at to see whether a table is sound.
const SAMPLE: usize = 1 << 10;

/// The entries by key hash, for the rows that do not come in order.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    /// Positions in the order of their keys. Positions that are not among them hold no entry.
    pub(super) by_key: Huge<u32>,
    looked: AtomicU64,
    missed: AtomicU64,
}

impl Ranks {
    /// The rank of a key, or the one that it would have. Hashes are spread evenly, which tells about where to look.
    fn rank(&self, slots: &[Slot], key: KeyHash) -> Result<usize, usize> {
        let by_key = self.by_key.as_slice();
        let of = |rank: usize| slots[by_key[rank] as usize].key();
        let entries = by_key.len();
        let guess = ((u128::from(key.hi) * entries as u128) >> 64) as usize;
        let mut step = entries.isqrt() / 2 + 1;
        let (mut low, mut high) = (guess.saturating_sub(step), (guess + step).min(entries));
        while low > 0 && of(low) > key {
            step *= 4;
            (low, high) = (low.saturating_sub(step), low);
        }
        while high < entries && of(high) < key {
            step *= 4;
            (low, high) = (high, (high + step).min(entries));
        }
        // Both ends are outside: what is at `high` is not below the key, what is at `low` not above it.
        high = (high + 1).min(entries);
        while low < high {
            let middle = low + (high - low) / 2;
            match of(middle).cmp(&key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    pub(super) fn find(&self, slots: &[Slot], key: KeyHash) -> u32 {
        self.rank(slots, key).map_or(NOWHERE, |rank| self.by_key.as_slice()[rank])
    }

    /// The positions of keys that come about in the order of the slots.
    pub(super) fn walk(&self, slots: &[Slot], keys: &[KeyHash], mut each: impl FnMut(usize, &[u32])) {
        let mut found = [NOWHERE; CHUNK];
        let (mut next, mut missed) = (usize::MAX, 0);
        for (chunk, keys) in keys.chunks(CHUNK).enumerate() {
            for (found, key) in found.iter_mut().zip(keys) {
                let wanted = Slot::new(*key, 0);
                *found = match slots.get(next) {
                    Some(slot) if slot.has_key_of(wanted) && !wanted.is_blank() => next as u32,
                    _ => {
                        let ahead = slots.get(next..).unwrap_or_default().iter().take(AHEAD);
                        match ahead.skip(1).position(|slot| slot.has_key_of(wanted) && !wanted.is_blank()) {
                            Some(ahead) => (next + 1 + ahead) as u32,
                            None => {
                                missed += 1;
                                self.find(slots, *key)
                            }
                        }
                    }
                };
                if *found != NOWHERE {
                    next = *found as usize + 1;
                }
            }
            each(chunk * CHUNK, &found[..keys.len()]);
        }
        self.looked.fetch_add(keys.len() as u64, Ordering::Relaxed);
        // Where a batch begins is always searched for.
        self.missed.fetch_add(u64::saturating_sub(missed, 1), Ordering::Relaxed);
    }

    pub(super) fn is_astray(&self) -> bool {
        let looked = self.looked.load(Ordering::Relaxed);
        looked >= ENOUGH && self.missed.load(Ordering::Relaxed) * SHARE > looked
    }

    /// Whether an entry stands at a position.
    pub(super) fn refers_to(&self, slots: &[Slot], at: u32) -> bool {
        let slot = slots[at as usize];
        !slot.is_blank() || self.find(slots, slot.key()) == at
    }
}

/// A table in the order of last night's rows, in the making.
#[derive(Debug)]
pub struct Ordered {
    slots: Huge<Slot>,
    by_key: Huge<u32>,
    rows: usize,
}

impl Ordered {
    /// For a base of so many `rows`, of which so many are `entries`; `more` entries may be laid over them.
    pub fn new(rows: usize, entries: usize, more: usize) -> Self {
        Ordered { slots: Huge::zeroed(rows + more), by_key: Huge::zeroed(entries), rows }
    }

    /// The rows of the base and their numbers by key hash, to be filled.
    pub fn parts(&mut self) -> (&mut [Slot], &mut [u32]) {
        (&mut self.slots.as_mut_slice()[..self.rows], self.by_key.as_mut_slice())
    }

    /// The table. `flags`: of the rows that are not plain. `over`: what more is known, in the order of keys, given what the
    /// table has; the row of such an entry is the position of its [`Pending`](super::Pending). `None` if the parts do not belong
    /// together.
    pub fn finish(
        self,
        flags: &[(u32, Flags)],
        over: impl FnOnce(&dyn Fn(KeyHash) -> Option<Entry>) -> Vec<Entry>,
    ) -> Option<(Table, Positions)> {
        let Ordered { mut slots, by_key, rows } = self;
        if !by_key.as_slice().iter().all(|row| (*row as usize) < rows) {
            return None;
        }
        if by_key.as_slice().len() < rows {
            // Rows that no entry refers to say nothing of the destination.
            let mut entries = Bits::new(rows);
            for row in by_key.as_slice() {
                entries.insert(*row);
            }
            entries.missing(rows).for_each(|row| slots.as_mut_slice()[row as usize] = bytemuck::Zeroable::zeroed());
        }
        let sampled: Vec<_> = by_key.as_slice().iter().step_by(SAMPLE).map(|row| slots.as_slice()[*row as usize]).collect();
        if !sampled.is_sorted_by(|a, b| a.key() < b.key()) {
            return None;
        }
        let mut table = Table { slots, flags: Vec::new(), index: Index::Ranks(Ranks { by_key, ..Ranks::default() }) };
        flags.iter().for_each(|(row, flags)| table.flag(*row, *flags));
        let stored = |key: KeyHash| {
            let at = table.find(key);
            (at != NOWHERE).then(|| Entry { key, print: table.print(at), row: at, flags: table.flags(at) })
        };
        let over = over(&stored);
        let before = table.lay_over(rows as u32, &over);
        let positions = table.positions();
        Some((table, Positions::runs(positions, before)))
    }
}

impl Table {
    fn flag(&mut self, at: u32, flags: Flags) {
        if self.flags.is_empty() {
            self.flags.resize(self.slots.as_slice().len(), Flags::default());
        }
        self.flags[at as usize] = flags;
    }

    /// Puts entries over those that are there, new ones at the positions from `free` on. Returns the row of each position that
    /// has got one.
    fn lay_over(&mut self, mut free: u32, over: &[Entry]) -> BTreeMap<u32, u32> {
        let (mut rows, mut new) = (BTreeMap::new(), Vec::new());
        for entry in over {
            let Index::Ranks(ranks) = &self.index else { return rows };
            let at = match ranks.rank(self.slots.as_slice(), entry.key) {
                Ok(rank) => ranks.by_key.as_slice()[rank],
                Err(rank) => {
                    new.push((rank, free));
                    free += 1;
                    free - 1
                }
            };
            self.slots.as_mut_slice()[at as usize] = Slot::new(entry.key, entry.print);
            self.flag(at, entry.flags);
            rows.insert(at, entry.row);
        }
        if let (Index::Ranks(ranks), false) = (&mut self.index, new.is_empty()) {
            let old = std::mem::take(&mut ranks.by_key);
            let mut merged = Huge::with_capacity(old.as_slice().len() + new.len());
            let mut new = new.into_iter().peekable();
            for rank in 0..=old.as_slice().len() {
                while let Some((_, at)) = new.next_if(|(of, _)| *of == rank) {
                    merged.push(at);
                }
                old.as_slice().get(rank).into_iter().for_each(|at| merged.push(*at));
            }
            ranks.by_key = merged;
        }
        rows
    }
}
