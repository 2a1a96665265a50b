//! What is known about each row of a change set, as four compressed bitmaps: a backfill of ten million orgs that were all
//! acknowledged is a few hundred bytes.

use super::Outcome;
use roaring::RoaringBitmap;
use std::ops::Range;

/// What is known about the delivery of one change set. Rows are positions in it, of which there are fewer than 2³².
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Nothing is known of this run, so that every row may have been sent.
    pub forgotten: bool,
    /// Rows that the destination has applied.
    pub acknowledged: RoaringBitmap,
    /// Rows that it surely has not applied, although they were tried.
    pub refused: RoaringBitmap,
    /// Rows that it may have applied.
    pub unknown: RoaringBitmap,
    /// Rows that may be in flight. Those of a run that was cut off may have been applied.
    pub attempting: RoaringBitmap,
}

/// The state of a row whose change the destination has not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unacknowledged {
    /// The destination surely still has the earlier value.
    NotApplied,
    /// It may have the earlier or the later value.
    MaybeApplied,
}

impl Progress {
    /// Of a run that nobody remembers.
    pub fn forgotten() -> Self {
        Progress { forgotten: true, ..Progress::default() }
    }

    /// `None` if the row is acknowledged.
    pub fn unacknowledged(&self, seq: u64) -> Option<Unacknowledged> {
        let seq = position(seq);
        if self.acknowledged.contains(seq) {
            return None;
        }
        let maybe = self.forgotten || self.unknown.contains(seq) || self.attempting.contains(seq);
        Some(if maybe { Unacknowledged::MaybeApplied } else { Unacknowledged::NotApplied })
    }

    /// These rows may leave from now on. Those that are acknowledged are never sent again.
    pub fn attempt(&mut self, rows: Range<u64>) {
        let mut attempted = RoaringBitmap::new();
        attempted.insert_range(position(rows.start)..position(rows.end));
        self.attempting |= attempted - &self.acknowledged;
    }

    /// A row has its final word. What was acknowledged stays so, and what may have been applied stays unknown until it is
    /// acknowledged: a later refusal says nothing about the earlier attempt.
    pub fn receive(&mut self, seq: u64, outcome: Outcome) {
        let seq = position(seq);
        self.attempting.remove(seq);
        if self.acknowledged.contains(seq) {
            return;
        }
        match outcome {
            Outcome::Refused if self.unknown.contains(seq) => {}
            Outcome::Refused => drop(self.refused.insert(seq)),
            Outcome::Acknowledged | Outcome::Unknown => {
                self.refused.remove(seq);
                self.unknown.remove(seq);
                let set = if outcome == Outcome::Unknown { &mut self.unknown } else { &mut self.acknowledged };
                set.insert(seq);
            }
        }
    }

    /// Delivery ended in order: what has no word has not left.
    pub fn release(&mut self) {
        self.attempting.clear();
    }

    /// Delivery was cut off: what may have been in flight is unknown.
    pub fn cut_off(&mut self) {
        let attempting = std::mem::take(&mut self.attempting);
        self.refused -= &attempting;
        self.unknown |= attempting;
    }

    /// The same of some rows, while the others go on.
    pub fn cut_off_in(&mut self, rows: Range<u64>) {
        let mut of = RoaringBitmap::new();
        of.insert_range(position(rows.start)..position(rows.end));
        of &= &self.attempting;
        self.attempting -= &of;
        self.refused -= &of;
        self.unknown |= of;
    }
}

/// A change set has fewer rows than a sidecar may have, which are counted by 31 bits.
fn position(seq: u64) -> u32 {
    u32::try_from(seq).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_part_is_cut_off_by_itself() {
        let mut progress = Progress::default();
        progress.attempt(0..10);
        progress.receive(2, Outcome::Acknowledged);
        progress.receive(7, Outcome::Refused);
        progress.cut_off_in(0..5);
        assert_eq!(progress.unknown.iter().collect::<Vec<_>>(), [0, 1, 3, 4]);
        assert_eq!(progress.attempting.iter().collect::<Vec<_>>(), [5, 6, 8, 9]);
        assert_eq!((progress.acknowledged.contains(2), progress.refused.contains(7)), (true, true));
    }

    fn state(progress: &Progress, seq: u64) -> &'static str {
        match progress.unacknowledged(seq) {
            None => "acknowledged",
            Some(Unacknowledged::NotApplied) => "not applied",
            Some(Unacknowledged::MaybeApplied) => "maybe",
        }
    }

    #[test]
    fn what_is_known_of_a_row() {
        use Outcome::{Acknowledged, Refused, Unknown};
        for (outcomes, expected) in [
            (vec![], "maybe"),
            (vec![Acknowledged], "acknowledged"),
            (vec![Refused], "not applied"),
            (vec![Unknown], "maybe"),
            (vec![Unknown, Refused], "maybe"),
            (vec![Refused, Unknown], "maybe"),
            (vec![Unknown, Acknowledged], "acknowledged"),
            (vec![Acknowledged, Refused], "acknowledged"),
            (vec![Acknowledged, Unknown], "acknowledged"),
        ] {
            let mut progress = Progress::default();
            progress.attempt(3..5);
            outcomes.iter().for_each(|outcome| progress.receive(4, *outcome));
            assert_eq!(state(&progress, 4), expected, "{outcomes:?}");
            assert_eq!(state(&progress, 2), "not applied");
        }
        assert_eq!(state(&Progress::forgotten(), 9), "maybe");
    }

    #[test]
    fn an_orderly_end_knows_what_has_not_left_and_a_crash_does_not() {
        let mut ended = Progress::default();
        ended.attempt(0..4);
        ended.receive(0, Outcome::Refused);
        ended.release();
        assert_eq!([0, 1, 3].map(|seq| state(&ended, seq)), ["not applied"; 3]);
        // A refused row is tried again, and the process dies.
        ended.attempt(0..2);
        assert_eq!([0, 1, 3].map(|seq| state(&ended, seq)), ["maybe", "maybe", "not applied"]);
        ended.cut_off();
        assert_eq!([0, 1, 3].map(|seq| state(&ended, seq)), ["maybe", "maybe", "not applied"]);
        ended.receive(0, Outcome::Refused);
        ended.release();
        assert_eq!(state(&ended, 0), "maybe", "the attempt before the crash may have been applied");
    }

    proptest! {
        #[test]
        fn no_row_is_in_two_final_states(steps in proptest::collection::vec((0u64..8, 0u8..6), 0..40)) {
            let mut progress = Progress::default();
            for (seq, step) in steps {
                match step {
                    0 => progress.attempt(seq..seq + 3),
                    1 => progress.receive(seq, Outcome::Acknowledged),
                    2 => progress.receive(seq, Outcome::Refused),
                    3 => progress.receive(seq, Outcome::Unknown),
                    4 => progress.release(),
                    _ => progress.cut_off(),
                }
                let sets = [&progress.acknowledged, &progress.refused, &progress.unknown];
                let all = sets.iter().fold(RoaringBitmap::new(), |all, set| all | *set);
                prop_assert_eq!(all.len(), sets.iter().map(|set| set.len()).sum::<u64>());
                prop_assert!(progress.acknowledged.is_disjoint(&progress.attempting));
            }
        }
    }
}
