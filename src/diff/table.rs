//! What the destination is known to have, sorted by key hash: a lookup table, whole or one partition of the key space.

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

/// Known rows by key hash. 20 bytes a row are touched by a lookup: a bucket of about four hashes, then one line each.
#[derive(Debug, Default)]
pub struct Table {
    hi: Vec<u64>,
    lo: Vec<u32>,
    print: Vec<Print>,
    flags: Vec<Flags>,
    /// The first position of each bucket, and the end.
    index: Vec<u32>,
    /// How many leading bits of a hash all keys of the table share (the partition).
    prefix: u32,
    /// How far a hash without its prefix is shifted to give its bucket.
    shift: u32,
}

impl Table {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.hi.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.hi.is_empty()
    }

    /// The position of a key, or [`NOWHERE`].
    pub fn find(&self, key: KeyHash) -> u32 {
        let bucket = ((key.hi << self.prefix) >> self.shift) as usize;
        let Some([start, end]) = self.index.get(bucket..bucket + 2) else { return NOWHERE };
        for at in *start..*end {
            if self.hi[at as usize] == key.hi && self.lo[at as usize] == key.lo {
                return at;
            }
        }
        NOWHERE
    }

    /// The key hash at a position.
    pub fn key(&self, at: u32) -> KeyHash {
        KeyHash { hi: self.hi[at as usize], lo: self.lo[at as usize] }
    }

    /// The fingerprint at a position.
    pub fn print(&self, at: u32) -> Print {
        self.print[at as usize]
    }

    /// The flags at a position.
    pub fn flags(&self, at: u32) -> Flags {
        self.flags[at as usize]
    }

    /// How many orgs the destination has, as far as is known.
    pub fn there(&self) -> u64 {
        self.flags.iter().filter(|flags| !flags.has(Flags::ABSENT)).count() as u64
    }

    /// Replaces a fingerprint, when what is compared has changed.
    pub fn set_print(&mut self, at: u32, print: Print) {
        self.print[at as usize] = print;
    }
}

/// Takes entries in the order of their key hashes.
#[derive(Debug, Default)]
pub struct TableBuilder {
    table: Table,
    rows: Vec<u32>,
}

impl TableBuilder {
    /// `expected`: about how many entries will come.
    pub fn new(expected: usize) -> Self {
        let table = Table {
            hi: Vec::with_capacity(expected),
            lo: Vec::with_capacity(expected),
            print: Vec::with_capacity(expected),
            flags: Vec::with_capacity(expected),
            ..Table::default()
        };
        TableBuilder { table, rows: Vec::with_capacity(expected) }
    }

    /// Adds an entry. `false`, and nothing is added, if its key is not above the last one's: such a file is not a sidecar.
    #[must_use]
    pub fn push(&mut self, entry: Entry) -> bool {
        let table = &mut self.table;
        if let (Some(&hi), Some(&lo)) = (table.hi.last(), table.lo.last())
            && (KeyHash { hi, lo }) >= entry.key
        {
            return false;
        }
        table.hi.push(entry.key.hi);
        table.lo.push(entry.key.lo);
        table.print.push(entry.print);
        table.flags.push(entry.flags);
        self.rows.push(entry.row);
        true
    }

    /// The table, and the row of each entry. `prefix`: how many leading bits all keys share.
    pub fn finish(mut self, prefix: u32) -> (Table, Vec<u32>) {
        let entries = self.table.hi.len();
        let bits = (entries / 4).next_power_of_two().trailing_zeros().max(1);
        self.table.prefix = prefix;
        self.table.shift = 64 - bits;
        let mut index = vec![0u32; (1usize << bits) + 1];
        let mut bucket = 0;
        for (at, hi) in self.table.hi.iter().enumerate() {
            let of = ((hi << prefix) >> self.table.shift) as usize;
            while bucket <= of {
                index[bucket] = at as u32;
                bucket += 1;
            }
        }
        index[bucket..].fill(entries as u32);
        self.table.index = index;
        (self.table, self.rows)
    }
}
