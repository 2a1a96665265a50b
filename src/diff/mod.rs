//! Tonight's rows against what the destination is known to have.
//!
//! In: a [`Table`] of the known rows, sorted by key hash (the sidecar port) or in the order of last night's rows ([`Ordered`],
//! which is read, through the port [`LastNight`], in step with an extract that comes in that order), and batches of tonight's key hashes and
//! fingerprints. Out: [`Change`]s in order, and the entries of the next sidecar ([`Next`]). Pure: it sees hashes and
//! positions, never values, and does no IO.
//!
//! The way of a batch: [`Judge`] compares it with the table, on any thread; [`Matcher`] takes what was judged in the
//! extract's order, on one, so that the outcome does not depend on how many threads there were.
//!
//! Always holds: a row whose last send is not acknowledged is compared with what the destination had before; a row whose last
//! send *may* have been applied is sent again, even if tonight's value is the acknowledged one; an org that cannot be judged
//! tonight (rejected, bad key) keeps its place, and so does the id that its unacknowledged change went out under; while any
//! row has no usable key nothing counts as removed; every key is in the next base at most once.
//! Deliberately absent: IO, before-values (the snapshot reads them for changed rows alone), thresholds (`guard`).

mod added;
mod bits;
mod buckets;
mod huge;
mod judge;
mod keys;
mod matcher;
mod next;
mod ordered;
mod places;
mod positions;
mod slot;
mod stats;
mod table;

pub use judge::{Judge, Judged, Notable, Rules, Sight, Verdict};
pub use keys::{BadKey, BadKeys, Duplicate, KeyFault, faulty_rows};
pub use matcher::{Counted, Matcher, Rest};
pub use next::{ByKey, Next};
pub use ordered::{LastNight, Ordered, RowsByKey, Strays};
pub use positions::Positions;
pub use slot::Slot;
pub use stats::ColumnStats;
pub use table::{Entry, Flags, NOWHERE, Section, Table, TableBuilder};

use bits::Bits;

use crate::row::{KeyHash, Print};

/// Where the values of a known row are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A row of the base, counted over its files in order.
    Base(u32),
    /// The `before` of an earlier change, by its `seq`.
    Before(u32),
    /// A row of the changes that wait for their repeat; only its key counts.
    Waiting(u32),
}

/// Where the version is that an unacknowledged change leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// The `after` of an earlier change, by its `seq`.
    After(u32),
    /// A row of the changes that wait for their repeat.
    Waiting(u32),
}

/// An unacknowledged change: what it would have made of the row, and the id it went out under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Where the known row's values are.
    pub origin: Origin,
    /// The fingerprint it leads to, over all compared columns; `None` for a removal.
    pub after: Option<Print>,
    /// Where its version is.
    pub version: Version,
    /// The id, without its prefix.
    pub id: u128,
    /// For how many publications it has waited since it was last sent or planned.
    pub waited: u32,
}

impl Pending {
    /// The change of an org that the destination surely does not have is forgotten after so many publications, so that
    /// orgs which never come back do not pile up. If one does come back, a fresh id does no harm: nothing was applied.
    pub const MAX_WAIT: u32 = 30;
}

/// What a change does to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// The destination does not have the org.
    Added,
    /// It has other values, or may have.
    Changed,
    /// The org is gone from the extract.
    Removed,
}

impl Operation {
    /// `added`, `changed` or `removed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Added => "added",
            Operation::Changed => "changed",
            Operation::Removed => "removed",
        }
    }

    /// The reverse of [`Operation::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Operation::Added, Operation::Changed, Operation::Removed].into_iter().find(|op| op.as_str() == text)
    }
}

/// One row of the change set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What is to happen.
    pub operation: Operation,
    /// The hash of the key.
    pub key: KeyHash,
    /// Position in the table and the entry's row there, if there is an entry.
    pub entry: Option<(u32, u32)>,
    /// Where the known row's values are, if there is an entry.
    pub origin: Option<Origin>,
    /// Position in tonight's extract; `None` for a removal.
    pub tonight: Option<u32>,
    /// What the destination had; `None`: nothing, as far as is known.
    pub before: Option<Print>,
    /// What it is to have; `None` for a removal.
    pub after: Option<Print>,
    /// An earlier send may have been applied, so `before` is not certain.
    pub uncertain: bool,
    /// Which set of columns is not known of the row ([`Flags::basis`]).
    pub basis: u16,
    /// The id of the earlier unacknowledged change that led to the same state: it is used again.
    pub repeats: Option<u128>,
}
