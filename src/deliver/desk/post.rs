//! The collector's side of the desk.

use super::{Desk, State};
use crate::deliver::Parcel;
use crate::deliver::attempt::Job;
use crate::deliver::receipts::Word;
use std::ops::Range;
use tokio::time::{Instant, sleep_until};

/// What the collector is to make durable next.
pub(in crate::deliver) struct Load {
    pub(in crate::deliver) words: Vec<Word>,
    /// The rows that may be attempted then, as ranges of `seq`.
    pub(in crate::deliver) grant: Vec<Range<u64>>,
}

/// The rows of these parcels. Parcels of several rows may lie across each other.
pub(super) fn ranges(parcels: &[Parcel]) -> Vec<Range<u64>> {
    let mut rows: Vec<u64> = parcels.iter().flat_map(Parcel::messages).map(|message| message.seq).collect();
    if rows.len() > parcels.len() {
        rows.sort_unstable();
    }
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for seq in rows {
        match ranges.last_mut() {
            Some(last) if last.end == seq => last.end += 1,
            _ => ranges.push(seq..seq + 1),
        }
    }
    ranges
}

impl Desk {
    /// Waits until something is worth a durable write; `None`: all is done.
    pub(in crate::deliver) async fn load(&self) -> Option<Load> {
        loop {
            let due = {
                let mut state = self.lock();
                let due = state.oldest.map(|oldest| oldest + self.options.receipt_interval);
                let full = state.outbox.len() >= self.options.receipt_rows;
                if state.wants_grant() || full || state.closed || due.is_some_and(|at| at <= Instant::now()) {
                    let load = self.take(&mut state);
                    self.room.notify_one();
                    return (!load.words.is_empty() || !load.grant.is_empty()).then_some(load);
                }
                due
            };
            match due {
                Some(at) => tokio::select! {
                    () = self.post.notified() => {}
                    () = sleep_until(at) => {}
                },
                None => self.post.notified().await,
            }
        }
    }

    fn take(&self, state: &mut State) -> Load {
        let count = state.outbox.len().min(self.options.receipt_rows.max(1));
        let words = state.outbox.drain(..count).collect();
        if state.outbox.is_empty() {
            state.oldest = None;
        }
        if state.wants_grant() {
            let most = self.options.receipt_rows.max(self.limits.concurrency());
            let most = most.min(self.limits.within(self.options.receipt_interval));
            let lasted = state.granted_at.map(|at| at.elapsed());
            let count = state.size.next(lasted, most).min(state.rendered.len());
            state.granting = state.rendered.drain(..count).collect();
        }
        Load { words, grant: ranges(&state.granting) }
    }

    /// The grant that was asked for is durable now.
    pub(in crate::deliver) fn release(&self) {
        let mut state = self.lock();
        let rows = std::mem::take(&mut state.granting);
        if rows.is_empty() {
            return;
        }
        state.granted_at = Some(Instant::now());
        state.granted.extend(rows.into_iter().map(Job::new));
        self.work.notify_one();
    }

    /// No more words will come, and no row will be asked for.
    pub(in crate::deliver) fn close(&self) {
        self.lock().closed = true;
        self.post.notify_one();
        self.room.notify_one();
    }

    pub(super) fn post(&self, state: &mut State, word: Word) {
        state.outbox.push(word);
        if state.oldest.is_none() {
            state.oldest = Some(Instant::now());
            self.post.notify_one();
        } else if state.outbox.len() == self.options.receipt_rows {
            self.post.notify_one();
        }
    }
}
