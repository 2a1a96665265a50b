//! Where the rows of one run lie until they have their final word.
//!
//! In: rendered rows, words about them, durable grants. Out: a row and a permit for each worker that asks, words and
//! grants for the collector, room for the renderer.
//! Always holds: a row is handed to a worker only after its grant is durable; at most `window` rows lie here without a
//! final word; once delivery has stopped no row is handed out.
//!
//! A row goes rendered → granted → at a worker → (parked → at a worker …) → outbox. One worker at a time looks for work
//! and waits for it, the others queue behind it: a new row wakes one of them and not all.

#[cfg(test)]
mod tests;

use super::grants::GrantSize;
use super::limits::{Admission, Limits, Permit, Turn};
use super::receipts::Word;
use super::row::Job;
use super::{Message, Options, Stopped};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Rows under way at least, whatever the concurrency.
const MIN_WINDOW: usize = 256;
/// Rows under way per request in flight.
const WINDOW_PER_SLOT: usize = 16;
/// Rows are rendered in batches of so many, if there is room.
const BATCH: usize = 64;
/// Batches of words that may lie in the outbox before the renderer waits for the ledger.
const FULL_BATCHES: usize = 4;

pub(super) struct Desk {
    state: Mutex<State>,
    limits: Arc<Limits>,
    options: Options,
    window: usize,
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
    rendered: VecDeque<Message>,
    /// Their grant is being made durable.
    granting: Vec<Message>,
    granted: VecDeque<Job>,
    parked: BinaryHeap<Reverse<Parked>>,
    /// Rows here without a final word, those at workers included.
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

/// What the collector is to make durable next.
pub(super) struct Load {
    pub(super) words: Vec<Word>,
    /// The rows that may be attempted then, as ranges of `seq`.
    pub(super) grant: Vec<Range<u64>>,
}

fn ranges(rows: &[Message]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for message in rows {
        match ranges.last_mut() {
            Some(last) if last.end == message.seq => last.end += 1,
            _ => ranges.push(message.seq..message.seq + 1),
        }
    }
    ranges
}

impl Desk {
    pub(super) fn new(limits: Arc<Limits>, concurrency: usize, mut options: Options) -> Self {
        options.receipt_rows = options.receipt_rows.max(1);
        let size = GrantSize::new(limits.concurrency(), options.receipt_interval);
        let state = State {
            rendered: VecDeque::new(),
            granting: Vec::new(),
            granted: VecDeque::new(),
            parked: BinaryHeap::new(),
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
            window: concurrency.saturating_mul(WINDOW_PER_SLOT).max(MIN_WINDOW),
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

    // For the renderer.

    /// Waits for room; how many rows may be rendered now. `None`: delivery has stopped.
    pub(super) async fn room(&self) -> Option<usize> {
        loop {
            {
                let state = self.lock();
                if state.halted {
                    return None;
                }
                if let Some(room) = self.room_in(&state) {
                    return Some(room);
                }
            }
            self.room.notified().await;
        }
    }

    /// Room for a batch; or any room, if there is no row that could be attempted before there is room for a batch.
    fn room_in(&self, state: &State) -> Option<usize> {
        let room = self.window.saturating_sub(state.open);
        let starving = state.rendered.is_empty() && state.granting.is_empty() && state.granted.is_empty();
        let posted = state.outbox.len() < self.options.receipt_rows.saturating_mul(FULL_BATCHES);
        (posted && (room >= BATCH || starving && room > 0)).then_some(room.min(BATCH))
    }

    /// Takes rendered rows in, and words about rows that could not be rendered.
    pub(super) fn put(&self, rows: Vec<Message>, words: Vec<Word>) {
        let mut state = self.lock();
        state.open += rows.len();
        state.rendered.extend(rows);
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

    // For the workers.

    /// Waits for a row and the right to attempt it. `None`: every row has its final word, or delivery has stopped.
    pub(super) async fn next(&self) -> Option<(Job, Permit)> {
        let _turn = self.turn.lock().await;
        loop {
            let until = match self.look() {
                Found::Job(job, permit) => return Some((job, permit)),
                Found::End => return None,
                Found::Wait(until) => until,
            };
            match until {
                Some(at) => tokio::select! {
                    () = self.work.notified() => {}
                    () = sleep_until(at) => {}
                },
                None => self.work.notified().await,
            }
        }
    }

    fn look(&self) -> Found {
        let mut state = self.lock();
        state.waits_for_place = false;
        if state.halted || state.drained && state.open == 0 {
            return Found::End;
        }
        let mut wake = state.parked.peek().map(|parked| parked.0.at);
        if let Some(due) = wake.filter(|at| *at <= Instant::now()) {
            match self.limits.admit(Turn::Retry(due)) {
                // First attempts need no budget, and their number adds to it.
                Admission::NoBudget(at) => wake = Some(at),
                other => return self.found(&mut state, other, Turn::Retry(due)),
            }
        }
        if state.granted.is_empty() {
            return Found::Wait(wake);
        }
        match self.limits.admit(Turn::First) {
            Admission::At(at) => Found::Wait(Some(wake.map_or(at, |earlier| earlier.min(at)))),
            other => self.found(&mut state, other, Turn::First),
        }
    }

    fn found(&self, state: &mut State, admission: Admission, turn: Turn) -> Found {
        match admission {
            Admission::At(at) | Admission::NoBudget(at) => Found::Wait(Some(at)),
            Admission::Full => {
                state.waits_for_place = true;
                Found::Wait(None)
            }
            Admission::Go(permit) => {
                let job = match turn {
                    Turn::First => state.granted.pop_front(),
                    Turn::Retry(_) => state.parked.pop().map(|parked| parked.0.job),
                };
                self.ask_for_grant(state);
                if self.room_in(state).is_some() {
                    self.room.notify_one();
                }
                job.map_or(Found::Wait(None), |job| Found::Job(job, permit))
            }
        }
    }

    /// Takes a row's final word. Its permit has been given back.
    pub(super) fn finish(&self, word: Word) {
        let mut state = self.lock();
        self.post(&mut state, word);
        state.open -= 1;
        if state.waits_for_place || state.drained && state.open == 0 {
            self.work.notify_one();
        }
        if self.room_in(&state).is_some() {
            self.room.notify_one();
        }
    }

    /// Keeps a row until `at`, when it may be attempted again. Its permit has been given back.
    pub(super) fn park(&self, job: Job, at: Instant) {
        self.lock().parked.push(Reverse(Parked { at, job }));
        self.work.notify_one();
    }

    /// From now on nothing new is sent. Returns whether this was the first reason; later ones are dropped.
    pub(super) fn throw(&self, stopped: Stopped) -> bool {
        let mut state = self.lock();
        let first = !state.halted;
        if first {
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

    // For the collector.

    /// Waits until something is worth a durable write; `None`: all is done.
    pub(super) async fn load(&self) -> Option<Load> {
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
    pub(super) fn release(&self) {
        let mut state = self.lock();
        let rows = std::mem::take(&mut state.granting);
        if rows.is_empty() {
            return;
        }
        state.granted_at = Some(Instant::now());
        state.granted.extend(rows.into_iter().map(Job::new));
        self.work.notify_one();
    }

    // For the end.

    /// The rows that are not at a worker; to be called when no worker is left.
    pub(super) fn leftovers(&self) -> Vec<Job> {
        let mut state = self.lock();
        let parked = std::mem::take(&mut state.parked).into_iter().map(|parked| parked.0.job);
        let mut jobs: Vec<Job> = parked.collect();
        jobs.extend(std::mem::take(&mut state.granted));
        jobs.extend(std::mem::take(&mut state.granting).into_iter().map(Job::new));
        jobs.extend(std::mem::take(&mut state.rendered).into_iter().map(Job::new));
        jobs
    }

    /// No more words will come, and no row will be asked for.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.post.notify_one();
    }

    fn post(&self, state: &mut State, word: Word) {
        state.outbox.push(word);
        if state.oldest.is_none() {
            state.oldest = Some(Instant::now());
            self.post.notify_one();
        } else if state.outbox.len() == self.options.receipt_rows {
            self.post.notify_one();
        }
    }

    fn ask_for_grant(&self, state: &State) {
        if state.wants_grant() {
            self.post.notify_one();
        }
    }
}

impl State {
    fn wants_grant(&self) -> bool {
        !self.halted && !self.closed && !self.rendered.is_empty() && self.granted.len() <= self.size.low()
    }
}

/// What a worker that looks for work finds.
enum Found {
    Job(Job, Permit),
    /// Nothing before then, or before something changes.
    Wait(Option<Instant>),
    End,
}

/// A row that waits for its next attempt.
struct Parked {
    at: Instant,
    job: Job,
}

impl Parked {
    fn order(&self) -> (Instant, u64) {
        (self.at, self.job.message.seq)
    }
}

impl PartialEq for Parked {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Parked {}

impl PartialOrd for Parked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Parked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}
