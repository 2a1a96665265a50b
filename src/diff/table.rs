//! What the destination is known to have: a lookup table, whole or one partition of the key space, sorted by key hash; or in
//! the order of last night's rows ([`Ordered`](super::Ordered)).

use super::Positions;
use super::buckets::Buckets;
use super::huge::Huge;
use super::ordered::Ordered;
use super::slot::Slot;
use crate::row::{KeyHash, Print};

/// The position of a key that the table does not have.
pub const NOWHERE: u32 = u32::MAX;

/// What is said of a known row besides its fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Flags(u16);

impl Flags {
    /// The destination does not have the org, as far as is known; the fingerprint says nothing.
    pub const ABSENT: Flags = Flags(1);
    /// The last send may or may not have been applied.
    pub const UNCERTAIN: Flags = Flags(2);
    /// The org was missing from the last extract already.
    pub const GONE: Flags = Flags(4);
    /// Only in memory: the entry's row is the position of a [`Pending`](super::Pending), which knows more.
    pub const PENDING: Flags = Flags(8);
    const BASIS_SHIFT: u32 = 4;

    /// As stored in a sidecar; bits of ours that only exist in memory are refused.
    pub fn from_bits(bits: u16) -> Option<Self> {
        (bits & Self::PENDING.0 == 0).then_some(Flags(bits))
    }

    /// The stored form.
    pub fn bits(self) -> u16 {
        self.0 & !Self::PENDING.0
    }

    /// Whether all of `other`'s bits are set.
    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The same with `other`'s bits, if `so`.
    #[must_use]
    pub fn with(self, other: Flags, so: bool) -> Self {
        if so { Flags(self.0 | other.0) } else { Flags(self.0 & !other.0) }
    }

    /// Which set of columns is not known of the row; 0: none. There are at most 4,095 others.
    pub fn basis(self) -> u16 {
        self.0 >> Self::BASIS_SHIFT
    }

    /// The same with another basis.
    #[must_use]
    pub fn with_basis(self, basis: u16) -> Self {
        Flags((self.0 & ((1 << Self::BASIS_SHIFT) - 1)) | (basis << Self::BASIS_SHIFT))
    }

    /// Nothing to be said: known, certain, seen last night.
    pub fn is_plain(self) -> bool {
        self.0 == 0
    }
}

/// One known row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The hash of its key.
    pub key: KeyHash,
    /// The fingerprint of its compared columns.
    pub print: Print,
    /// Its row in the base, or the position of its [`Pending`](super::Pending).
    pub row: u32,
    /// What else is known.
    pub flags: Flags,
}

/// Known rows by key hash. An entry's position is its place in memory, or its row in the base.
#[derive(Debug, Default)]
pub struct Table {
    /// Those of a table by key hash.
    slots: Huge<Slot>,
    /// By position; empty as long as all are plain, as nearly always.
    flags: Vec<Flags>,
    index: Index,
}

/// How a key is found.
#[derive(Debug)]
enum Index {
    /// Positions are in the order of the keys.
    Buckets(Buckets),
    /// Positions are last night's rows.
    Ordered(Ordered),
}

impl Default for Index {
    fn default() -> Self {
        Index::Buckets(Buckets::default())
    }
}

impl Table {
    pub(super) fn in_order(rows: Ordered) -> Self {
        Table { index: Index::Ordered(rows), ..Table::default() }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        match &self.index {
            Index::Buckets(_) => self.slots.as_slice().len(),
            Index::Ordered(ordered) => ordered.len(),
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many positions there are; there may be some without an entry.
    pub fn positions(&self) -> usize {
        match &self.index {
            Index::Buckets(_) => self.slots.as_slice().len(),
            Index::Ordered(ordered) => ordered.positions(),
        }
    }

    /// The position of a key, or [`NOWHERE`].
    pub fn find(&self, key: KeyHash) -> u32 {
        match &self.index {
            Index::Buckets(buckets) => buckets.find(self.slots.as_slice(), key),
            Index::Ordered(ordered) => ordered.find(key),
        }
    }

    /// The positions of many keys and the fingerprints there, those of some rows at a time. The fingerprint is not the
    /// known one where something else is to be said of a row than that.
    /// Returns how many keys did not come in the order of a table that is in last night's.
    pub fn find_all(&self, keys: &[KeyHash], each: impl FnMut(usize, &[u32], &[Print])) -> u64 {
        match &self.index {
            Index::Buckets(buckets) => {
                buckets.find_all(self.slots.as_slice(), keys, each);
                0
            }
            Index::Ordered(ordered) => ordered.walk(keys, each),
        }
    }

    /// The position of the entry with the so-manieth key.
    pub(super) fn at(&self, rank: usize) -> u32 {
        match &self.index {
            Index::Buckets(_) => rank as u32,
            Index::Ordered(ordered) => ordered.at(rank),
        }
    }

    /// Puts positions of entries, and what goes with them, in the order of their keys.
    pub(super) fn sort<T: Copy>(&self, positions: &mut [T], at: impl Fn(&T) -> u32) {
        match &self.index {
            Index::Buckets(_) => positions.sort_unstable_by_key(|of| at(of)),
            Index::Ordered(ordered) => {
                let slots = ordered.slots(positions.iter().map(at));
                let mut keyed: Vec<(KeyHash, T)> =
                    slots.into_iter().map(Slot::key).zip(positions.iter().copied()).collect();
                keyed.sort_unstable_by_key(|(key, _)| *key);
                positions.iter_mut().zip(keyed).for_each(|(position, (_, of))| *position = of);
            }
        }
    }

    /// Whether there is an entry at a position.
    pub(super) fn has_entry(&self, at: u32) -> bool {
        match &self.index {
            Index::Buckets(_) => true,
            Index::Ordered(ordered) => ordered.has_entry(at),
        }
    }

    /// The key hash at a position.
    pub fn key(&self, at: u32) -> KeyHash {
        match &self.index {
            Index::Buckets(_) => self.slots.as_slice()[at as usize].key(),
            Index::Ordered(ordered) => ordered.key(at),
        }
    }

    /// The fingerprint at a position.
    pub fn print(&self, at: u32) -> Print {
        match &self.index {
            Index::Buckets(_) => self.slots.as_slice()[at as usize].print(),
            Index::Ordered(ordered) => ordered.print(at),
        }
    }

    /// The flags at a position.
    pub fn flags(&self, at: u32) -> Flags {
        self.flags.get(at as usize).copied().unwrap_or_default()
    }

    /// Whether nothing is to be said of any row besides its fingerprint.
    pub fn is_all_plain(&self) -> bool {
        self.flags.is_empty()
    }

    /// How many orgs the destination has, as far as is known.
    pub fn there(&self) -> u64 {
        self.len() as u64 - self.flags.iter().filter(|flags| flags.has(Flags::ABSENT)).count() as u64
    }

    /// Says more of a row.
    pub(super) fn flag(&mut self, at: u32, flags: Flags) {
        if self.flags.is_empty() {
            self.flags.resize(self.positions(), Flags::default());
        }
        self.flags[at as usize] = flags;
    }

    /// Nothing of tonight is taken to be what the destination has.
    pub fn set_uncertain(&mut self, at: u32) {
        self.flag(at, self.flags(at).with(Flags::UNCERTAIN, true));
    }

    /// Replaces a fingerprint, when what is compared has changed. Only in a table by key hash.
    pub fn set_print(&mut self, at: u32, print: Print) {
        let slot = &mut self.slots.as_mut_slice()[at as usize];
        *slot = Slot::new(slot.key(), print);
    }
}

/// A part of a table that is being filled.
#[derive(Debug)]
pub struct Section<'a> {
    slots: &'a mut [Slot],
    rows: &'a mut [u32],
    at: usize,
}

impl Section<'_> {
    /// Whether all of it is filled.
    pub fn is_full(&self) -> bool {
        self.at == self.slots.len()
    }

    /// Adds an entry. `false` if it is not plain, its key is not above the last one's, or the section is full.
    #[must_use]
    pub fn push(&mut self, entry: Entry) -> bool {
        let at = self.at;
        let above = at == 0 || self.slots.get(at - 1).is_some_and(|last| last.key() < entry.key);
        let (Some(slot), Some(row)) = (self.slots.get_mut(at), self.rows.get_mut(at)) else { return false };
        *slot = Slot::new(entry.key, entry.print);
        *row = entry.row;
        self.at += 1;
        above && entry.flags.is_plain()
    }
}

/// Takes entries in the order of their key hashes.
#[derive(Debug, Default)]
pub struct TableBuilder {
    table: Table,
    rows: Huge<u32>,
}

impl TableBuilder {
    /// `expected`: about how many entries will come.
    pub fn new(expected: usize) -> Self {
        let table = Table { slots: Huge::with_capacity(expected), ..Table::default() };
        TableBuilder { table, rows: Huge::with_capacity(expected) }
    }

    /// Takes whole sections of entries at once, each filled by whoever likes, on any thread. `None` if they cannot be one table:
    /// keys out of order, or flags, for which entries go one by one.
    ///
    /// # Errors
    /// What `fill` fails with: it is given the sections, of `sizes` entries each, and fills all of them.
    pub fn sections<E>(
        sizes: &[usize],
        fill: impl FnOnce(Vec<Section<'_>>) -> Result<bool, E>,
    ) -> Result<Option<Self>, E> {
        let entries = sizes.iter().sum();
        let mut slots: Huge<Slot> = Huge::zeroed(entries);
        let mut rows: Huge<u32> = Huge::zeroed(entries);
        let (mut left, mut left_rows) = (slots.as_mut_slice(), rows.as_mut_slice());
        let mut sections = Vec::with_capacity(sizes.len());
        for size in sizes {
            let (slots, rest) = left.split_at_mut(*size);
            let (rows, rest_rows) = left_rows.split_at_mut(*size);
            sections.push(Section { slots, rows, at: 0 });
            (left, left_rows) = (rest, rest_rows);
        }
        let plain = fill(sections)?;
        // Within a section the order was seen to; the sections follow each other if their borders do.
        let borders = sizes.iter().scan(0, |at, size| {
            *at += size;
            Some(*at)
        });
        let all = slots.as_slice();
        let follows = |at: usize| at == 0 || at >= all.len() || all[at - 1].key() < all[at].key();
        let in_order = borders.into_iter().all(follows);
        let builder = TableBuilder { table: Table { slots, ..Table::default() }, rows };
        Ok(Some(builder).filter(|_| plain && in_order))
    }

    /// Adds an entry. `false`, and nothing is added, if its key is not above the last one's: such a file is not a sidecar.
    #[must_use]
    pub fn push(&mut self, entry: Entry) -> bool {
        let table = &mut self.table;
        if table.slots.as_slice().last().is_some_and(|last| last.key() >= entry.key) {
            return false;
        }
        if !entry.flags.is_plain() || !table.flags.is_empty() {
            table.flags.resize(table.slots.as_slice().len(), Flags::default());
            table.flags.push(entry.flags);
        }
        table.slots.push(Slot::new(entry.key, entry.print));
        self.rows.push(entry.row);
        true
    }

    /// The table, and the row of each entry. `prefix`: how many leading bits all keys share.
    pub fn finish(mut self, prefix: u32) -> (Table, Positions) {
        let buckets = Buckets::new(self.table.slots.as_slice(), prefix);
        self.table.index = Index::Buckets(buckets);
        (self.table, Positions::each(self.rows))
    }
}
