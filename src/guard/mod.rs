//! May this change set be sent?
//!
//! In: the counts of a comparison and the job's thresholds. Out: every reason to hold it, in words. Pure.
//! Always holds: a share counts only above its absolute floor, so that small orgs tables are not held for a handful.
//! Deliberately absent: what happens to a held run (`pipeline`), approval.

use crate::job::spec::{Guard, Threshold};

/// What the guards look at, in orgs or rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether the extract only has orgs that have changed, so that it may well be empty.
    pub partial: bool,
    /// Rows of the extract.
    pub extracted: u64,
    /// Rows that cannot be judged.
    pub rejected: u64,
    /// Orgs that the destination was known to have.
    pub known: u64,
    /// Planned changes of orgs that it has.
    pub changed: u64,
    /// Orgs missing since last night.
    pub vanished: u64,
}

/// Every guard that trips, as a sentence with the setting that decides it. Empty: go on.
pub fn trips(facts: &Facts, guard: &Guard) -> Vec<String> {
    let mut reasons = Vec::new();
    // 1 is what holds without a word in the job: on a quiet night nothing has changed.
    let may_be_empty = facts.partial && guard.min_rows <= 1;
    if facts.extracted < guard.min_rows && !may_be_empty {
        reasons
            .push(format!("the extract has {} rows, fewer than guard.min_rows = {}", facts.extracted, guard.min_rows));
    }
    let shares = [
        (facts.changed, facts.known, guard.max_changed, "known orgs have changed", "max_changed"),
        (facts.vanished, facts.known, guard.max_removed, "known orgs are gone from the extract", "max_removed"),
        (facts.rejected, facts.extracted, guard.max_rejected, "rows are rejected", "max_rejected"),
    ];
    for (count, whole, threshold, what, setting) in shares {
        if exceeds(count, whole, threshold) {
            reasons.push(format!(
                "{count} of {whole} {what} ({:.1}%), more than guard.{setting} allows ({}% once above {})",
                count as f64 / whole.max(1) as f64 * 100.0,
                threshold.share * 100.0,
                threshold.floor
            ));
        }
    }
    reasons
}

fn exceeds(count: u64, whole: u64, threshold: Threshold) -> bool {
    count > threshold.floor && count as f64 > threshold.share * whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(facts: Facts, settings: &[&str]) {
        let guard = Guard {
            min_rows: 1,
            max_changed: Threshold { share: 0.5, floor: 100 },
            max_removed: Threshold { share: 0.2, floor: 10 },
            max_rejected: Threshold { share: 0.01, floor: 10 },
            hold_expires: std::time::Duration::from_secs(7 * 24 * 3600),
        };
        let reasons = trips(&facts, &guard);
        assert_eq!(reasons.len(), settings.len(), "{reasons:?}");
        for (reason, setting) in reasons.iter().zip(settings) {
            assert!(reason.contains(setting), "{reason}");
        }
    }

    #[test]
    fn share_and_floor_must_both_be_exceeded() {
        let facts = Facts { extracted: 1000, known: 1000, ..Facts::default() };
        check(facts, &[]);
        check(Facts { changed: 500, ..facts }, &[]);
        check(Facts { changed: 501, ..facts }, &["max_changed"]);
        check(Facts { known: 100, changed: 100, ..facts }, &[]);
        check(Facts { vanished: 201, rejected: 11, ..facts }, &["max_removed", "max_rejected"]);
        check(Facts { extracted: 0, known: 1000, vanished: 1000, ..facts }, &["min_rows", "max_removed"]);
    }

    #[test]
    fn what_has_changed_may_be_nothing_unless_the_job_says_how_much_it_is() {
        let guard = |min_rows| Guard {
            min_rows,
            max_changed: Threshold { share: 0.5, floor: 100 },
            max_removed: Threshold { share: 0.2, floor: 10 },
            max_rejected: Threshold { share: 0.01, floor: 10 },
            hold_expires: std::time::Duration::from_secs(7 * 24 * 3600),
        };
        let quiet = Facts { partial: true, known: 1000, ..Facts::default() };
        assert!(trips(&quiet, &guard(1)).is_empty());
        assert_eq!(trips(&quiet, &guard(2)).len(), 1);
        assert_eq!(trips(&Facts { partial: false, ..quiet }, &guard(1)).len(), 1);
        assert_eq!(trips(&Facts { extracted: 600, changed: 600, ..quiet }, &guard(1)).len(), 1);
    }
}
