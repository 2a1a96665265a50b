//! The comparison of one batch with the table, on any thread.

use super::{Flags, NOWHERE, Operation, Table};
use crate::job::spec::Triggers;
use crate::row::{KeyHash, Print};

/// Which differences are sent.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// `diff.on`
    pub on: Triggers,
    /// New orgs become part of the baseline and are not sent: a first run that adopts.
    pub adopt_added: bool,
    /// Orgs of which it is known what the destination has are sent, whether or not they differ; whether they do is for the writer of the change set to
    /// find, which has the values.
    pub again: bool,
}

/// One batch as the comparison sees it. All slices by row of the batch.
#[derive(Clone, Copy)]
pub struct Sight<'a> {
    /// Key hashes; those of rows without a usable key are not looked at.
    pub keys: &'a [KeyHash],
    /// Fingerprints over all compared columns.
    pub prints: &'a [Print],
    /// The same over the columns that the table's plain entries are over, where columns are adopted tonight.
    pub against: Option<&'a [Print]>,
    /// Rows with a value that does not fit, ascending.
    pub rejected: &'a [u32],
    /// Rows without a usable key, ascending.
    pub keyless: &'a [u32],
    /// The fingerprint of a row over the columns that are known by this basis ([`Flags::basis`], not 0).
    pub narrow: &'a dyn Fn(u16, u32) -> Print,
}

/// What is to become of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The destination has it so.
    Unchanged,
    /// It is sent.
    Send(Operation),
    /// It differs and is not sent: the org stays as it is known.
    Keep,
    /// It is new and not sent: it becomes part of the baseline, so that its later changes are seen.
    Adopt,
    /// A value does not fit: nothing is said of the org.
    Rejected,
    /// There is no usable key: any org may be meant.
    Keyless,
}

/// A row of which there is more to say than that the destination has it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notable {
    /// The row of the batch.
    pub row: u32,
    /// The hash of its key.
    pub key: KeyHash,
    /// Its fingerprint over all compared columns.
    pub print: Print,
    /// The known one, if its key is known.
    pub known: Print,
    /// What is to become of it.
    pub verdict: Verdict,
}

/// A judged batch.
#[derive(Debug, Default)]
pub struct Judged {
    /// For each row its position in the table, or [`NOWHERE`].
    pub at: Vec<u32>,
    /// In the order of rows; every row that is [`NOWHERE`] is among them.
    pub notable: Vec<Notable>,
    /// Rows that had to be searched for, where the table is in last night's order.
    pub searched: u64,
}

impl Judged {
    /// The rows that are to be sent.
    pub fn sent(&self) -> impl Iterator<Item = u32> + '_ {
        self.notable.iter().filter(|n| matches!(n.verdict, Verdict::Send(_))).map(|n| n.row)
    }
}

/// Judges batches against one table.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// What is known.
    pub table: &'a Table,
    /// What is sent.
    pub rules: Rules,
}

impl Judge<'_> {
    /// Judges a batch. Whether a key stands twice in the extract is for the [`Matcher`](super::Matcher) to find.
    pub fn batch(&self, sight: &Sight<'_>) -> Judged {
        let mut judged = Judged { at: Vec::with_capacity(sight.keys.len()), notable: Vec::new(), searched: 0 };
        let all_plain = self.table.is_all_plain();
        let (mut rejected, mut keyless) = (sight.rejected.iter().peekable(), sight.keyless.iter().peekable());
        judged.searched = self.table.find_all(sight.keys, |first, found, prints| {
            judged.at.extend_from_slice(found);
            for (i, (&at, &known)) in found.iter().zip(prints).enumerate() {
                let (row, print) = (first + i, sight.prints[first + i]);
                let is_keyless = keyless.next_if_eq(&&(row as u32)).is_some();
                let is_rejected = rejected.next_if_eq(&&(row as u32)).is_some();
                let is_plain = all_plain || at == NOWHERE || self.table.flags(at).is_plain();
                if at != NOWHERE && known == print && is_plain {
                    // Nearly every row of nearly every night. With columns adopted tonight it goes on only if they are NULL.
                    let as_known = sight.against.is_none_or(|against| against[row] == print);
                    if as_known && !is_rejected && !is_keyless && !self.rules.again {
                        continue;
                    }
                }
                let known = if is_plain { known } else { self.table.print(at) };
                let verdict = match (is_keyless, is_rejected) {
                    (true, _) => Verdict::Keyless,
                    (_, true) => Verdict::Rejected,
                    _ => self.verdict(sight, at, row, known),
                };
                judged.notable.push(Notable { row: row as u32, key: sight.keys[row], print, known, verdict });
            }
        });
        judged
    }

    fn verdict(&self, sight: &Sight<'_>, at: u32, row: usize, known: Print) -> Verdict {
        let on = self.rules.on;
        let flags = if at == NOWHERE { Flags::ABSENT } else { self.table.flags(at) };
        let uncertain = flags.has(Flags::UNCERTAIN);
        if flags.has(Flags::ABSENT) {
            return match (on.added && !self.rules.adopt_added, uncertain) {
                (true, _) => Verdict::Send(Operation::Added),
                (false, true) => Verdict::Keep,
                (false, false) => Verdict::Adopt,
            };
        }
        if self.rules.again {
            // What may have been applied is for the next run to send.
            return if uncertain { Verdict::Keep } else { Verdict::Send(Operation::Changed) };
        }
        let tonight = match (flags.basis(), sight.against) {
            (0, None) => sight.prints[row],
            (0, Some(against)) => against[row],
            (basis, _) => (sight.narrow)(basis, row as u32),
        };
        if tonight == known && !uncertain {
            Verdict::Unchanged
        } else if on.changed {
            Verdict::Send(Operation::Changed)
        } else {
            Verdict::Keep
        }
    }
}
