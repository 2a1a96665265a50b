//! Tonight's rows against what the destination is known to have.
//!
//! In: fingerprints of the known rows ([`Known`]) and of tonight's ([`Tonight`]), by position. Out: [`Diff`]: the changes in
//! order, and the rows of the next base. Pure: it sees hashes and positions, never values.
//! Always holds: a row whose last send is not acknowledged is compared with what the destination had before; a row whose last
//! send *may* have been applied is sent again, even if tonight's value is the acknowledged one; an org that cannot be judged
//! tonight (rejected, bad key) keeps its place, and so does the id that its unacknowledged change went out under; while any
//! row has no usable key nothing counts as removed; every key is in the next base at most once.
//! Deliberately absent: IO, before-values (the snapshot reads them for changed rows alone), thresholds (`guard`).

mod keys;
mod matcher;

pub use keys::{BadKey, BadKeys, KeyFault, Unfit, check_keys};
pub use matcher::diff;

use crate::row::Fingerprint;

/// What the destination is known to have under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The keyed hash of the key.
    pub key: Fingerprint,
    /// The compared columns' fingerprint; `None`: the destination does not have the org, as far as is known.
    pub fingerprint: Option<Fingerprint>,
    /// Which columns `fingerprint` is over. 0: all compared ones; else see [`Extracted::narrower`].
    pub basis: usize,
    /// The last send may or may not have been applied.
    pub uncertain: bool,
    /// The org was missing from the last extract already.
    pub gone: bool,
    /// The change that was planned last and is not acknowledged.
    pub pending: Option<Pending>,
}

impl Known {
    /// Whether the destination has the org, or may have it.
    pub fn is_there(&self) -> bool {
        self.fingerprint.is_some() || self.uncertain
    }
}

/// An unacknowledged change: what it would have made of the row, and the id it went out under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// The fingerprint it leads to, over all compared columns; `None` for a removal.
    pub after: Option<Fingerprint>,
    /// Its position among the earlier changes, by which its id is found.
    pub at: usize,
    /// For how many publications it has waited since it was last sent or planned.
    pub waited: u32,
}

impl Pending {
    /// The change of an org that the destination surely does not have is forgotten after so many publications, so that
    /// orgs which never come back do not pile up. If one does come back, a fresh id does no harm: nothing was applied.
    pub const MAX_WAIT: u32 = 30;
}

/// One row of tonight's extract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tonight {
    /// The keyed hash of the key.
    pub key: Fingerprint,
    /// The compared columns' fingerprint.
    pub fingerprint: Fingerprint,
    /// The row cannot be judged: a value does not fit.
    pub rejected: bool,
}

/// Tonight's extract, as far as a comparison sees it.
#[derive(Debug, Clone, Copy)]
pub struct Extracted<'a> {
    /// The rows, in the extract's order.
    pub rows: &'a [Tonight],
    /// For basis 1, 2, …: the fingerprints of all rows over fewer columns, to compare with orgs of which the destination's
    /// values in the other columns are not known and not to be sent.
    pub narrower: &'a [Vec<Fingerprint>],
    /// Rows without a usable key: any missing org may be behind one of them.
    pub keyless: u64,
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
    pub key: Fingerprint,
    /// Position among the known rows, if there is an entry.
    pub known: Option<usize>,
    /// Position in tonight's extract; `None` for a removal.
    pub tonight: Option<usize>,
    /// What the destination had; `None`: nothing, as far as is known.
    pub before: Option<Fingerprint>,
    /// What it is to have; `None` for a removal.
    pub after: Option<Fingerprint>,
    /// An earlier send may have been applied, so `before` is not certain.
    pub uncertain: bool,
    /// The earlier unacknowledged change that led to the same state: its id is used again.
    pub repeats: Option<usize>,
}

/// A row of the next base: the state once every change is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// As tonight's extract has it.
    Tonight(usize),
    /// As it was known; `gone`: it is not in tonight's extract.
    Known {
        /// Position among the known rows.
        at: usize,
        /// Whether it is missing tonight.
        gone: bool,
    },
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// The change set: tonight's rows in the extract's order, then removals in the snapshot's.
    pub changes: Vec<Change>,
    /// The next base.
    pub next: Vec<Next>,
    /// Known rows whose unacknowledged change is neither repeated nor superseded tonight: its id is kept for its repeat.
    pub waiting: Vec<usize>,
    /// Tonight's rows that the destination is known to have as they are.
    pub unchanged: u64,
    /// Differences that `on` leaves out.
    pub suppressed: u64,
    /// Orgs that were there last night and are missing tonight, whether or not removals are sent.
    pub vanished: u64,
    /// Orgs that are missing and not removed, because some row has no usable key.
    pub spared: u64,
    /// Orgs that the destination has, before this run.
    pub known: u64,
}
