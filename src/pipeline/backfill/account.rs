//! Which orgs of a backfill runs have sent since it was made, or are to send.

use super::super::PipelineError;
use crate::diff::{Flags, NOWHERE};
use crate::receipt::Progress;
use crate::row::KeyHash;
use crate::snapshot::{self, Basis, ChangeSet, Manifest, Partition, Snapshot, SnapshotError, Unknown};
use roaring::RoaringBitmap;
use std::collections::HashSet;
use std::path::Path;

/// What is compared with what.
pub(super) struct Account<'a> {
    pub(super) dir: &'a Path,
    pub(super) job: &'a str,
    /// Of the backfill's change set.
    pub(super) spool: &'a Manifest,
    /// What is published now.
    pub(super) current: &'a Manifest,
    /// What is known of its deliveries.
    pub(super) progress: &'a Progress,
    /// The published run up to which this is known.
    pub(super) from: &'a str,
}

impl Account<'_> {
    /// The rows, of those that are not `done`, that are not the backfill's to send any more: their org is not known, surely, as it was; or a run since
    /// `from` has it in its change set. What such a run could not deliver is for the next one.
    ///
    /// # Errors
    /// What is known can no longer be compared with what was; files that cannot be read.
    pub(super) fn passed(&self, done: &RoaringBitmap) -> Result<RoaringBitmap, PipelineError> {
        self.refuse_if_unlike()?;
        let sent = self.sent()?;
        let basis = Basis::of(self.current);
        let snapshot = Snapshot::open(self.dir, self.current.clone(), self.progress)?;
        let known = snapshot.known(&basis, &mut Unknown::new(Some(self.current)), Partition::ALL)?;
        let (mut passed, mut row) = (RoaringBitmap::new(), 0u32);
        ChangeSet::published(self.dir, self.spool)?.marks(&Basis::of(self.spool), &mut |marks| {
            for (key, before) in marks {
                let at = if done.contains(row) { NOWHERE } else { known.table.find(key) };
                let is_as_it_was = at != NOWHERE && Some(known.table.print(at)) == before && {
                    let flags = known.table.flags(at);
                    !flags.has(Flags::ABSENT) && !flags.has(Flags::UNCERTAIN) && !flags.has(Flags::PENDING)
                };
                if !done.contains(row) && (!is_as_it_was || sent.contains(&key)) {
                    passed.insert(row);
                }
                row += 1;
            }
        })?;
        Ok(passed)
    }

    fn refuse_if_unlike(&self) -> Result<(), PipelineError> {
        let (then, now) = (self.spool, self.current);
        if then.hash_seed == now.hash_seed && then.key == now.key && then.compared == now.compared {
            return Ok(());
        }
        Err(PipelineError::Backfill {
            job: self.job.to_owned(),
            why: format!(
                "what is compared has changed since {} was made (diff.key, diff.compare, a column, or a new baseline), so that it cannot be told which of its \
                 orgs runs have sent\n  hint: `nightmark backfill {} --cancel`, and begin another",
                then.run, self.job
            ),
        })
    }

    /// The keys of what runs after `from` were to send, as far as their change sets are kept.
    fn sent(&self) -> Result<HashSet<KeyHash>, SnapshotError> {
        let mut sent = HashSet::new();
        let since = snapshot::published(self.dir)?.into_iter().filter(|published| published.run.as_str() > self.from);
        for manifest in since.filter_map(|published| published.manifest) {
            let manifest = manifest?;
            if manifest.hash_seed != self.spool.hash_seed || manifest.key != self.spool.key {
                continue;
            }
            let changes = ChangeSet::published(self.dir, &manifest)?;
            changes.marks(&Basis::of(&manifest), &mut |marks| sent.extend(marks.into_iter().map(|(key, _)| key)))?;
        }
        Ok(sent)
    }
}
