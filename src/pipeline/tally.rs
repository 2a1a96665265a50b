//! The counts of all partitions.

use super::compare::Compared;
use crate::guard::Facts;
use crate::receipt::Counts;
use crate::snapshot::Written;

/// Sums over partitions.
#[derive(Debug, Default)]
pub(super) struct Tally {
    unchanged: u64,
    pub(super) suppressed: u64,
    rejected: u64,
    vanished: u64,
    pub(super) spared: u64,
    pub(super) known: u64,
}

impl Tally {
    pub(super) fn of(parts: &[Compared]) -> Self {
        let mut tally = Tally::default();
        for part in parts {
            tally.unchanged += part.counted.unchanged;
            tally.suppressed += part.counted.suppressed;
            tally.rejected += part.counted.rejected;
            tally.vanished += part.vanished;
            tally.spared += part.spared;
            tally.known += part.known;
        }
        tally
    }

    pub(super) fn counts(&self, rows: u32, written: &Written) -> Counts {
        let Written { added, changed, removed, .. } = *written;
        Counts {
            extracted: u64::from(rows),
            rejected: self.rejected,
            unchanged: self.unchanged,
            added,
            changed,
            removed,
            pending: added + changed + removed,
            ..Counts::default()
        }
    }

    /// `partial`: orgs that the extract does not have are not gone.
    pub(super) fn facts(&self, counts: &Counts, partial: bool) -> Facts {
        Facts {
            partial,
            extracted: counts.extracted,
            rejected: counts.rejected,
            known: self.known,
            changed: counts.changed,
            vanished: if partial { 0 } else { self.vanished },
        }
    }
}
