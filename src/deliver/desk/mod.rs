//! Where the parcels of one run lie until their rows have their final word.
//!
//! In: rendered parcels, words about rows, durable grants. Out: a parcel and a permit for each worker that asks, words and
//! grants for the collector, room for the renderer.
//! Always holds: a parcel is handed to a worker only after the grant of all its rows is durable; about `window` parcels lie here
//! without a final word; once delivery has stopped none is handed out.
//!
//! A parcel goes rendered → granted → at a worker → (parked → at a worker …) → outbox. One whose rows are refused together comes
//! back as two, which are granted. One worker at a time looks for work
//! and waits for it, the others queue behind it: a new row wakes one of them and not all. `work` is the workers' side, `post` the collector's.

mod post;
#[cfg(test)]
mod tests;
mod work;

use super::attempt::Job;
use super::grants::GrantSize;
use super::limits::Limits;
use super::receipts::Word;
use super::{Options, Parcel, StopKind, Stopped};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;
use work::Parked;

/// How much is rendered ahead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    /// Parcels under way at least, whatever the concurrency.
    least: usize,
    /// Parcels under way per request in flight.
    per_slot: usize,
    /// They are rendered so many at a time, if there is room.
    stride: usize,
}

impl Ahead {
    /// Of parcels of one row.
    pub(super) const ROWS: Ahead = Ahead { least: 256, per_slot: 16, stride: 64 };
    /// Of parcels that may be megabytes.
    pub(super) const BATCHES: Ahead = Ahead { least: 2, per_slot: 2, stride: 1 };
}

/// Batches of words that may lie in the outbox before the renderer waits for the ledger.
const FULL_BATCHES: usize = 4;

pub(super) struct Desk {
    state: Mutex<State>,
    limits: Arc<Limits>,
    options: Options,
    window: usize,
    stride: usize,
    /// Held by the worker that looks for work.
    turn: tokio::sync::Mutex<()>,
    /// Something has changed for that worker.
    work: Notify,
    /// … for the collector.
    post: Notify,
    /// … for the renderer.
    room: Notify,
}

struct State {
    rendered: VecDeque<Parcel>,
    /// Their grant is being made durable.
    granting: Vec<Parcel>,
    granted: VecDeque<Job>,
    parked: BinaryHeap<Reverse<Parked>>,
    /// What was handed out last had been tried before.
    retried_last: bool,
    /// Parcels here without a final word, those at workers included.
    open: usize,
    /// No more will be rendered.
    drained: bool,
    outbox: Vec<Word>,
    /// When the oldest word came into the outbox.
    oldest: Option<Instant>,
    /// No more words will come.
    closed: bool,
    /// The worker that looks for work waits for a place in the concurrency limit.
    waits_for_place: bool,
    halted: bool,
    stopped: Option<Stopped>,
    size: GrantSize,
    granted_at: Option<Instant>,
}

impl Desk {
    pub(super) fn new(limits: Arc<Limits>, concurrency: usize, ahead: Ahead, mut options: Options) -> Self {
        options.receipt_rows = options.receipt_rows.max(1);
        let size = GrantSize::new(limits.concurrency(), options.receipt_interval);
        let state = State {
            rendered: VecDeque::new(),
            granting: Vec::new(),
            granted: VecDeque::new(),
            parked: BinaryHeap::new(),
            retried_last: false,
            open: 0,
            drained: false,
            outbox: Vec::new(),
            oldest: None,
            closed: false,
            waits_for_place: false,
            halted: false,
            stopped: None,
            size,
            granted_at: None,
        };
        Desk {
            state: Mutex::new(state),
            limits,
            window: concurrency.saturating_mul(ahead.per_slot).max(ahead.least),
            stride: ahead.stride,
            options,
            turn: tokio::sync::Mutex::default(),
            work: Notify::new(),
            post: Notify::new(),
            room: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room; how many parcels may be rendered now. `None`: delivery has stopped, or nobody asks for rows any
    /// more.
    pub(super) async fn room(&self) -> Option<usize> {
        loop {
            {
                let state = self.lock();
                if state.halted || state.closed {
                    return None;
                }
                if let Some(room) = self.room_in(&state) {
                    return Some(room);
                }
            }
            self.room.notified().await;
        }
    }

    /// Room for a stride; or any room, if there is nothing that could be attempted before there is room for a stride.
    fn room_in(&self, state: &State) -> Option<usize> {
        let room = self.window.saturating_sub(state.open);
        let starving = state.rendered.is_empty() && state.granting.is_empty() && state.granted.is_empty();
        let posted = state.outbox.len() < self.options.receipt_rows.saturating_mul(FULL_BATCHES);
        (posted && (room >= self.stride || starving && room > 0)).then_some(room.min(self.stride))
    }

    /// Takes rendered parcels in, and words about rows that could not be rendered.
    pub(super) fn put(&self, parcels: Vec<Parcel>, words: Vec<Word>) {
        let mut state = self.lock();
        state.open += parcels.len();
        state.rendered.extend(parcels);
        for word in words {
            self.post(&mut state, word);
        }
        self.ask_for_grant(&state);
    }

    /// No more rows will come.
    pub(super) fn drained(&self) {
        self.lock().drained = true;
        self.work.notify_one();
    }

    /// From now on nothing new is sent. Returns whether this was the first reason. A later one takes its place only if it says
    /// more about the destination: what is under way is still answered.
    pub(super) fn throw(&self, stopped: Stopped) -> bool {
        let mut state = self.lock();
        let first = !state.halted;
        if state.stopped.as_ref().is_none_or(|known| weight(stopped.kind) > weight(known.kind)) {
            state.stopped = Some(stopped);
        }
        state.halted = true;
        self.work.notify_one();
        self.room.notify_one();
        first
    }

    /// Why delivery has stopped, if it has.
    pub(super) fn reason(&self) -> Option<Stopped> {
        self.lock().stopped.clone()
    }

    /// What is not at a worker; to be called when no worker is left.
    pub(super) fn leftovers(&self) -> Vec<Job> {
        let mut state = self.lock();
        let parked = std::mem::take(&mut state.parked).into_iter().map(|parked| parked.0.job);
        let mut jobs: Vec<Job> = parked.collect();
        jobs.extend(std::mem::take(&mut state.granted));
        jobs.extend(std::mem::take(&mut state.granting).into_iter().map(Job::new));
        jobs.extend(std::mem::take(&mut state.rendered).into_iter().map(Job::new));
        jobs
    }

    fn ask_for_grant(&self, state: &State) {
        if state.wants_grant() {
            self.post.notify_one();
        }
    }
}

/// For how long a reason keeps anything from being sent: until somebody says otherwise, until a time, until it is tried.
fn weight(kind: StopKind) -> u8 {
    match kind {
        StopKind::Disabled => 3,
        StopKind::Paused => 2,
        StopKind::Config => 1,
        StopKind::Asked | StopKind::Breaker => 0,
    }
}

impl State {
    fn wants_grant(&self) -> bool {
        !self.halted && !self.closed && !self.rendered.is_empty() && self.granted.len() <= self.size.low()
    }
}
