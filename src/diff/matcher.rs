//! The comparison: a hash join over key hashes.

use super::{Change, Diff, Known, Next, Operation, Tonight};
use crate::job::spec::Triggers;
use crate::row::Fingerprint;
use std::collections::HashMap;

/// Compares tonight's rows with the known ones. Keys are unique on either side (`check_keys` and the base see to it).
///
/// `adopt_added`: new orgs become part of the baseline and are not sent (a first run that adopts).
pub fn diff(known: &[Known], tonight: &[Tonight], on: Triggers, adopt_added: bool) -> Diff {
    let mut matcher = Matcher {
        known,
        by_key: known.iter().enumerate().map(|(at, k)| (k.key, at)).collect(),
        seen: vec![false; known.len()],
        on: Triggers { added: on.added && !adopt_added, ..on },
        diff: Diff { known: known.iter().filter(|k| k.fingerprint.is_some()).count() as u64, ..Diff::default() },
    };
    for (at, row) in tonight.iter().enumerate() {
        matcher.row(at, *row);
    }
    matcher.rest();
    matcher.diff
}

struct Matcher<'a> {
    known: &'a [Known],
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
            let keeps = entry.filter(|&at| first_sight && self.known[at].is_there());
            self.diff.next.extend(keeps.map(|at| Next::Known { at, gone: false }));
            return;
        }
        let known = entry.map(|at| self.known[at]);
        let before = known.and_then(|k| k.fingerprint);
        let uncertain = known.is_some_and(|k| k.uncertain);
        if before == Some(row.fingerprint) && !uncertain {
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
            self.diff.next.push(match (operation, entry) {
                // Without "added" a new org becomes part of the baseline, so that its later changes are seen.
                (Operation::Added, _) if !uncertain => Next::Tonight(at),
                (_, Some(at)) => Next::Known { at, gone: false },
                (_, None) => Next::Tonight(at),
            });
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

    /// What the extract no longer has.
    fn rest(&mut self) {
        for (at, known) in self.known.iter().enumerate() {
            if self.seen[at] || !known.is_there() {
                continue;
            }
            if known.fingerprint.is_some() && !known.gone {
                self.diff.vanished += 1;
            }
            if !self.on.removed {
                self.diff.next.push(Next::Known { at, gone: true });
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
    use crate::diff::Pending;

    const ALL: Triggers = Triggers { added: true, changed: true, removed: true };
    const DEFAULT: Triggers = Triggers { removed: false, ..ALL };

    fn known(key: u128, fingerprint: u128) -> Known {
        Known { key, fingerprint: Some(fingerprint), uncertain: false, gone: false, pending: None }
    }

    fn row(key: u128, fingerprint: u128) -> Tonight {
        Tonight { key, fingerprint, rejected: false }
    }

    fn check(known: &[Known], tonight: &[Tonight], on: Triggers, changes: &[(Operation, u128)], next: &[Next]) {
        let diff = diff(known, tonight, on, false);
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
    fn an_unsent_addition_that_disappears_is_forgotten() {
        let unsent = Known { fingerprint: None, ..known(1, 0) };
        check(&[unsent], &[], ALL, &[], &[]);
    }

    #[test]
    fn a_repeat_of_the_same_version_keeps_its_id_and_another_version_does_not() {
        let pending = Known { pending: Some(Pending { after: Some(11), at: 5 }), ..known(1, 10) };
        assert_eq!(diff(&[pending], &[row(1, 11)], DEFAULT, false).changes[0].repeats, Some(5));
        assert_eq!(diff(&[pending], &[row(1, 12)], DEFAULT, false).changes[0].repeats, None);
    }

    #[test]
    fn adopting_sends_nothing_and_knows_everything() {
        let adopted = diff(&[], &[row(1, 10), row(2, 20)], DEFAULT, true);
        assert_eq!((adopted.changes.len(), adopted.next.len(), adopted.suppressed), (0, 2, 2));
    }
}
