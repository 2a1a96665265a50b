//! The comparison: a hash join over key hashes.

use super::{Change, Diff, Extracted, Known, Next, Operation, Pending, Tonight};
use crate::job::spec::Triggers;
use crate::row::Fingerprint;
use std::collections::HashMap;

/// Compares tonight's rows with the known ones. Keys are unique on either side (`check_keys` and the base see to it).
///
/// `adopt_added`: new orgs become part of the baseline and are not sent (a first run that adopts).
pub fn diff(known: &[Known], tonight: &Extracted<'_>, on: Triggers, adopt_added: bool) -> Diff {
    let mut matcher = Matcher {
        known,
        tonight,
        by_key: known.iter().enumerate().map(|(at, k)| (k.key, at)).collect(),
        seen: vec![false; known.len()],
        on: Triggers { added: on.added && !adopt_added, ..on },
        diff: Diff { known: known.iter().filter(|k| k.fingerprint.is_some()).count() as u64, ..Diff::default() },
    };
    for (at, row) in tonight.rows.iter().enumerate() {
        matcher.row(at, *row);
    }
    matcher.rest();
    matcher.diff
}

struct Matcher<'a> {
    known: &'a [Known],
    tonight: &'a Extracted<'a>,
    by_key: HashMap<Fingerprint, usize>,
    seen: Vec<bool>,
    on: Triggers,
    diff: Diff,
}

impl Matcher<'_> {
    fn row(&mut self, at: usize, row: Tonight) {
        let entry = self.by_key.get(&row.key).copied();
        let first_sight = entry.is_some_and(|at| !std::mem::replace(&mut self.seen[at], true));
        if row.rejected {
            // Rows of a duplicate key come here several times; the org keeps its place once.
            if let Some(at) = entry.filter(|_| first_sight) {
                self.keep(at, false);
            }
            return;
        }
        let known = entry.map(|at| self.known[at]);
        let before = known.and_then(|k| k.fingerprint);
        let uncertain = known.is_some_and(|k| k.uncertain);
        if before == Some(self.fingerprint(at, known.map_or(0, |k| k.basis))) && !uncertain {
            self.diff.unchanged += 1;
            self.diff.next.push(Next::Tonight(at));
            return;
        }
        let (operation, wanted) = match before {
            None => (Operation::Added, self.on.added),
            Some(_) => (Operation::Changed, self.on.changed),
        };
        if !wanted {
            self.diff.suppressed += 1;
            match (operation, entry) {
                (Operation::Changed, Some(known)) => self.keep(known, false),
                (Operation::Added, Some(known)) if uncertain => self.keep(known, false),
                // Without "added" a new org becomes part of the baseline, so that its later changes are seen.
                _ => self.diff.next.push(Next::Tonight(at)),
            }
            return;
        }
        self.diff.next.push(Next::Tonight(at));
        self.diff.changes.push(Change {
            operation,
            key: row.key,
            known: entry,
            tonight: Some(at),
            before,
            after: Some(row.fingerprint),
            uncertain,
            repeats: known.and_then(|k| k.pending).filter(|p| p.after == Some(row.fingerprint)).map(|p| p.at),
        });
    }

    /// Tonight's fingerprint of a row over the columns that a known row's is over.
    fn fingerprint(&self, at: usize, basis: usize) -> Fingerprint {
        match basis {
            0 => self.tonight.rows[at].fingerprint,
            narrower => self.tonight.narrower[narrower - 1][at],
        }
    }

    /// The org stays as it is known, if it is, and its unacknowledged change goes on waiting for its repeat.
    fn keep(&mut self, at: usize, gone: bool) {
        let known = &self.known[at];
        if known.is_there() {
            self.diff.next.push(Next::Known { at, gone });
        }
        if known.pending.is_some_and(|p| known.is_there() || p.waited < Pending::MAX_WAIT) {
            self.diff.waiting.push(at);
        }
    }

    /// What the extract no longer has.
    fn rest(&mut self) {
        let unclear = self.tonight.keyless > 0;
        for (at, known) in self.known.iter().enumerate() {
            if self.seen[at] {
                continue;
            }
            if known.fingerprint.is_some() && !known.gone {
                self.diff.vanished += 1;
            }
            if unclear || !self.on.removed || !known.is_there() {
                self.diff.spared += u64::from(unclear && self.on.removed && known.is_there());
                // An org that may be behind a damaged key is not called gone: the guards are to see it vanish later on.
                self.keep(at, known.gone || !unclear);
                continue;
            }
            self.diff.changes.push(Change {
                operation: Operation::Removed,
                key: known.key,
                known: Some(at),
                tonight: None,
                before: known.fingerprint,
                after: None,
                uncertain: known.uncertain,
                repeats: known.pending.filter(|p| p.after.is_none()).map(|p| p.at),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Triggers = Triggers { added: true, changed: true, removed: true };
    const DEFAULT: Triggers = Triggers { removed: false, ..ALL };

    fn known(key: u128, fingerprint: u128) -> Known {
        Known { key, fingerprint: Some(fingerprint), basis: 0, uncertain: false, gone: false, pending: None }
    }

    fn pending(after: Option<u128>) -> Option<Pending> {
        Some(Pending { after, at: 5, waited: 0 })
    }

    fn row(key: u128, fingerprint: u128) -> Tonight {
        Tonight { key, fingerprint, rejected: false }
    }

    fn of(rows: &[Tonight]) -> Extracted<'_> {
        Extracted { rows, narrower: &[], keyless: 0 }
    }

    fn check(known: &[Known], tonight: &[Tonight], on: Triggers, changes: &[(Operation, u128)], next: &[Next]) {
        let diff = diff(known, &of(tonight), on, false);
        let got: Vec<_> = diff.changes.iter().map(|c| (c.operation, c.key)).collect();
        assert_eq!(got, changes);
        assert_eq!(diff.next, next);
    }

    #[test]
    fn added_changed_removed_unchanged() {
        use Operation::{Added, Changed, Removed};
        let snapshot = [known(1, 10), known(2, 20), known(3, 30)];
        let tonight = [row(2, 21), row(4, 40), row(1, 10)];
        check(
            &snapshot,
            &tonight,
            ALL,
            &[(Changed, 2), (Added, 4), (Removed, 3)],
            &[Next::Tonight(0), Next::Tonight(1), Next::Tonight(2)],
        );
        let gone = Next::Known { at: 2, gone: true };
        check(
            &snapshot,
            &tonight,
            DEFAULT,
            &[(Changed, 2), (Added, 4)],
            &[Next::Tonight(0), Next::Tonight(1), Next::Tonight(2), gone],
        );
    }

    #[test]
    fn an_uncertain_row_is_sent_although_it_went_back() {
        let uncertain = Known { uncertain: true, ..known(1, 10) };
        check(&[uncertain], &[row(1, 10)], DEFAULT, &[(Operation::Changed, 1)], &[Next::Tonight(0)]);
        let maybe_there = Known { fingerprint: None, ..uncertain };
        check(&[maybe_there], &[], DEFAULT, &[], &[Next::Known { at: 0, gone: true }]);
        check(&[maybe_there], &[], ALL, &[(Operation::Removed, 1)], &[]);
    }

    #[test]
    fn a_rejected_row_keeps_its_place_and_is_not_removed() {
        let rejected = Tonight { rejected: true, ..row(1, 99) };
        check(&[known(1, 10)], &[rejected], ALL, &[], &[Next::Known { at: 0, gone: false }]);
        check(&[known(1, 10)], &[rejected, rejected], ALL, &[], &[Next::Known { at: 0, gone: false }]);
        check(&[], &[rejected], ALL, &[], &[]);
    }

    #[test]
    fn an_unsent_addition_that_disappears_is_not_known() {
        let unsent = Known { fingerprint: None, ..known(1, 0) };
        check(&[unsent], &[], ALL, &[], &[]);
    }

    #[test]
    fn a_repeat_of_the_same_version_keeps_its_id_and_another_version_does_not() {
        let pending = Known { pending: pending(Some(11)), ..known(1, 10) };
        assert_eq!(diff(&[pending], &of(&[row(1, 11)]), DEFAULT, false).changes[0].repeats, Some(5));
        assert_eq!(diff(&[pending], &of(&[row(1, 12)]), DEFAULT, false).changes[0].repeats, None);
    }

    #[test]
    fn adopting_sends_nothing_and_knows_everything() {
        let adopted = diff(&[], &of(&[row(1, 10), row(2, 20)]), DEFAULT, true);
        assert_eq!((adopted.changes.len(), adopted.next.len(), adopted.suppressed), (0, 2, 2));
    }

    /// Whether the change of a known row goes on waiting, with tonight's rows as given.
    #[track_caller]
    fn check_waiting(known: Known, tonight: &[Tonight], on: Triggers, waits: bool) {
        let waiting = diff(&[known], &of(tonight), on, false).waiting;
        assert_eq!(waiting, if waits { vec![0] } else { vec![] });
    }

    #[test]
    fn an_unacknowledged_change_waits_until_it_is_repeated_superseded_or_settled() {
        let there = Known { pending: pending(Some(11)), ..known(1, 10) };
        let refused_addition = Known { fingerprint: None, ..there };
        let rejected = Tonight { rejected: true, ..row(1, 99) };
        let adding_only = Triggers { changed: false, ..DEFAULT };
        for known in [there, refused_addition] {
            check_waiting(known, &[], DEFAULT, true);
            check_waiting(known, &[rejected, rejected], ALL, true);
            check_waiting(known, &[row(1, 11)], DEFAULT, false);
            check_waiting(known, &[row(1, 12)], DEFAULT, false);
        }
        check_waiting(there, &[row(1, 10)], DEFAULT, false);
        check_waiting(there, &[], ALL, false);
        check_waiting(there, &[row(1, 11)], adding_only, true);
        check_waiting(refused_addition, &[], ALL, true);
        check_waiting(Known { pending: None, ..there }, &[], DEFAULT, false);
    }

    #[test]
    fn refused_additions_that_never_come_back_are_forgotten_in_the_end() {
        let waited = |waited| Some(Pending { after: Some(11), at: 0, waited });
        let refused = Known { fingerprint: None, ..known(1, 0) };
        check_waiting(Known { pending: waited(Pending::MAX_WAIT - 1), ..refused }, &[], DEFAULT, true);
        check_waiting(Known { pending: waited(Pending::MAX_WAIT), ..refused }, &[], DEFAULT, false);
        check_waiting(Known { pending: waited(Pending::MAX_WAIT), ..known(1, 10) }, &[], DEFAULT, true);
    }

    #[test]
    fn nothing_is_removed_while_a_row_has_no_usable_key() {
        let keyless = Extracted { keyless: 1, ..of(&[]) };
        let left = Known { gone: true, ..known(2, 20) };
        let spared = diff(&[known(1, 10), left], &keyless, ALL, false);
        assert_eq!((spared.changes.len(), spared.spared, spared.vanished), (0, 2, 1));
        assert_eq!(spared.next, [Next::Known { at: 0, gone: false }, Next::Known { at: 1, gone: true }]);
        assert_eq!(diff(&[known(1, 10)], &keyless, DEFAULT, false).spared, 0, "removals are not sent anyway");
    }

    #[test]
    fn a_row_is_compared_over_the_columns_that_are_known_of_it() {
        let narrow = Known { basis: 2, ..known(1, 7) };
        let rows = [row(3, 30), row(1, 10)];
        let narrower = [vec![0, 0], vec![0, 7]];
        let same = diff(&[narrow], &Extracted { narrower: &narrower, ..of(&rows) }, DEFAULT, false);
        assert_eq!((same.unchanged, same.changes.len()), (1, 1));
        let other = [vec![0, 7], vec![0, 8]];
        let changed = diff(&[narrow], &Extracted { narrower: &other, ..of(&rows) }, DEFAULT, false);
        assert_eq!((changed.unchanged, changed.changes[1].after), (0, Some(10)), "the version is all compared columns");
    }
}
