//! What a write of grants and receipts makes of what is stored: bitmaps in chunks, rows for what did not get through, refusals
//! by version. Pure; each store loads the chunks that are touched, and writes what comes out, in one transaction.

use super::StoreError;
use super::columns::Columns;
use crate::receipt::{FailureKind, Outcome, Progress, Receipt};
use chrono::{DateTime, Utc};
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A chunk is what one container of a Roaring bitmap holds: at most 8 KiB, a few bytes if all its rows are alike.
const CHUNK_BITS: u32 = 16;

/// Chunks by their number.
pub(super) type Chunks = BTreeMap<u32, Progress>;

/// What is to be written, in this order.
#[derive(Debug)]
pub(super) struct Merged<'a> {
    /// To be replaced.
    pub chunks: Chunks,
    /// Rows of which what was told is no longer true: to be dropped.
    pub mended: Vec<i64>,
    /// Rows that did not get through, by position: to be put.
    pub failures: BTreeMap<i64, FailureRow<'a>>,
    /// Refused versions by webhook id: to be counted.
    pub refusals: BTreeMap<&'a str, RefusalRow<'a>>,
}

/// A row of `receipts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FailureRow<'a> {
    pub outcome: Outcome,
    pub status: Option<i64>,
    pub attempts: i64,
    pub detail: Option<&'a str>,
    pub at: DateTime<Utc>,
    pub key: &'a str,
    pub kind: FailureKind,
}

/// What is to be told of a refused version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefusalRow<'a> {
    pub key: &'a str,
    /// How many of the receipts refuse it.
    pub count: i64,
    pub status: Option<i64>,
    pub detail: Option<&'a str>,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
}

/// The chunks that grants and receipts touch.
pub(super) fn touched(attempting: &[Range<u64>], receipts: &[Receipt]) -> BTreeSet<u32> {
    let granted = attempting.iter().filter(|rows| !rows.is_empty());
    let granted = granted.flat_map(|rows| chunk_of(rows.start)..=chunk_of(rows.end - 1));
    granted.chain(receipts.iter().map(|receipt| chunk_of(receipt.seq))).collect()
}

/// Takes grants and receipts in. `chunks`: those of [`touched`] that are stored.
pub(super) fn merge<'a>(mut chunks: Chunks, attempting: &[Range<u64>], receipts: &'a [Receipt]) -> Merged<'a> {
    for rows in attempting.iter().filter(|rows| !rows.is_empty()) {
        for chunk in chunk_of(rows.start)..=chunk_of(rows.end - 1) {
            let start = u64::from(chunk) << CHUNK_BITS;
            let part = rows.start.max(start)..rows.end.min(start + (1 << CHUNK_BITS));
            chunks.entry(chunk).or_default().attempt(part);
        }
    }
    let (mut mended, mut failures, mut refusals) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for receipt in receipts {
        let progress = chunks.entry(chunk_of(receipt.seq)).or_default();
        let (row, seq) = (position(receipt.seq), i64::from(position(receipt.seq)));
        if progress.refused.contains(row) || progress.unknown.contains(row) {
            mended.push(seq);
        }
        progress.receive(receipt.seq, receipt.outcome);
        // Its refusal says nothing about an earlier attempt, which may have been applied.
        let is_doubtful = receipt.outcome == Outcome::Refused && progress.unknown.contains(row);
        match failure_row(receipt, is_doubtful) {
            Some(failure) => drop(failures.insert(seq, failure)),
            None => drop(failures.remove(&seq)),
        }
        count_refusal(&mut refusals, receipt);
    }
    Merged { chunks, mended, failures, refusals }
}

fn failure_row(receipt: &Receipt, is_doubtful: bool) -> Option<FailureRow<'_>> {
    let failure = receipt.failure.as_ref()?;
    let told = (receipt.outcome, failure.kind);
    let (outcome, kind) = if is_doubtful { (Outcome::Unknown, FailureKind::Unknown) } else { told };
    Some(FailureRow {
        outcome,
        status: receipt.status.map(i64::from),
        attempts: i64::from(receipt.attempts),
        detail: receipt.detail.as_deref(),
        at: receipt.at,
        key: &failure.key,
        kind,
    })
}

fn count_refusal<'a>(refusals: &mut BTreeMap<&'a str, RefusalRow<'a>>, receipt: &'a Receipt) {
    let refused = receipt.failure.as_ref().filter(|failure| failure.kind == FailureKind::Refused);
    let Some(failure) = refused else { return };
    let refusal = refusals.entry(&failure.webhook_id).or_insert_with(|| RefusalRow {
        key: &failure.key,
        count: 0,
        status: None,
        detail: None,
        first_at: receipt.at,
        last_at: receipt.at,
    });
    refusal.count += 1;
    refusal.status = receipt.status.map(i64::from);
    refusal.detail = receipt.detail.as_deref();
    refusal.last_at = receipt.at;
}

/// Adds what a chunk knows to what is known of a run.
pub(super) fn add(progress: &mut Progress, chunk: Progress) {
    progress.acknowledged |= chunk.acknowledged;
    progress.refused |= chunk.refused;
    progress.unknown |= chunk.unknown;
    progress.attempting |= chunk.attempting;
}

/// A chunk with its number, of `progress`.
pub(super) fn chunk(row: &impl Columns) -> Result<(u32, Progress), StoreError> {
    let set = |column: &str| match row.optional_bytes(column)? {
        None => Ok(RoaringBitmap::new()),
        Some(bytes) => RoaringBitmap::deserialize_from(bytes)
            .map_err(|error| StoreError::Corrupt(format!("the `{column}` rows of a run: {error}"))),
    };
    let progress = Progress {
        forgotten: false,
        acknowledged: set("acknowledged")?,
        refused: set("refused")?,
        unknown: set("unknown")?,
        attempting: set("attempting")?,
    };
    Ok((row.number("chunk")?, progress))
}

/// A set as it is stored; `None` for an empty one.
pub(super) fn bytes(set: &mut RoaringBitmap) -> Option<Vec<u8>> {
    set.optimize();
    let mut bytes = Vec::with_capacity(set.serialized_size());
    // Writing to memory does not fail.
    let written = set.serialize_into(&mut bytes).is_ok();
    (written && !set.is_empty()).then_some(bytes)
}

fn chunk_of(seq: u64) -> u32 {
    position(seq) >> CHUNK_BITS
}

/// As [`Progress`] counts: a change set has fewer rows than 2³².
fn position(seq: u64) -> u32 {
    u32::try_from(seq).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipt::Failure;

    fn receipt(seq: u64, outcome: Outcome, kind: Option<FailureKind>) -> Receipt {
        let failure = kind.map(|kind| Failure { kind, key: format!("k{seq}"), webhook_id: format!("w{seq}") });
        let at = DateTime::from_timestamp_micros(seq as i64).unwrap();
        Receipt { seq, outcome, status: Some(400), attempts: 1, detail: None, at, failure }
    }

    #[test]
    fn only_what_is_touched_comes_out() {
        let far = 5 << CHUNK_BITS;
        let receipts = [receipt(far, Outcome::Acknowledged, None)];
        // An empty grant at the beginning of a chunk touches none.
        let grants = [65_530..65_540, far..far];
        assert_eq!(touched(&grants, &receipts), BTreeSet::from([0, 1, 5]));
        let merged = merge(Chunks::new(), &grants, &receipts);
        let attempting: Vec<_> =
            merged.chunks.iter().map(|(chunk, progress)| (*chunk, progress.attempting.len())).collect();
        assert_eq!(attempting, [(0, 6), (1, 4), (5, 0)]);
    }

    #[test]
    fn the_last_word_of_a_row_stands_and_each_refusal_counts() {
        let refused = receipt(3, Outcome::Refused, Some(FailureKind::Refused));
        let receipts = [refused.clone(), refused, receipt(4, Outcome::Unknown, Some(FailureKind::Unknown))];
        let merged = merge(Chunks::new(), &[], &receipts);
        assert_eq!(merged.failures.keys().collect::<Vec<_>>(), [&3, &4]);
        assert_eq!(merged.refusals.iter().map(|(id, row)| (*id, row.count)).collect::<Vec<_>>(), [("w3", 2)]);
        // What was told of it earlier in the same write is not told any more.
        let receipts = [receipts[0].clone(), receipt(3, Outcome::Acknowledged, None)];
        let merged = merge(Chunks::new(), &[], &receipts);
        assert_eq!((merged.failures.len(), merged.mended.as_slice()), (0, [3].as_slice()));
    }
}
