//! The workers' side of the desk.

use super::{Desk, State};
use crate::deliver::attempt::Job;
use crate::deliver::limits::{Admission, Permit, Standing, Turn};
use crate::deliver::receipts::Word;
use std::cmp::Reverse;
use tokio::time::{Instant, sleep_until};

impl Desk {
    /// Waits for a parcel and the right to attempt it. `None`: every row has its final word, or delivery has stopped.
    pub(in crate::deliver) async fn next(&self) -> Option<(Job, Permit)> {
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
            if state.has_untried() && state.prefers_untried(self.limits.standing()) {
                wake = None;
            } else {
                match self.limits.admit(Turn::Retry(due)) {
                    // First attempts need no budget, and their number adds to it.
                    Admission::NoBudget(at) => wake = Some(at),
                    other => return self.found(&mut state, other, Turn::Retry(due)),
                }
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
                state.retried_last = matches!(turn, Turn::Retry(_));
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

    /// Takes the final words about the rows of a parcel. Its permit has been given back.
    pub(in crate::deliver) fn finish(&self, words: impl Iterator<Item = Word>) {
        let mut state = self.lock();
        words.for_each(|word| self.post(&mut state, word));
        state.open -= 1;
        if state.waits_for_place || state.drained && state.open == 0 {
            self.work.notify_one();
        }
        if self.room_in(&state).is_some() {
            self.room.notify_one();
        }
    }

    /// Takes what a parcel was split into, to be attempted before all others, and final words about rows that are in no part.
    /// Its permit has been given back; its rows stay granted.
    pub(in crate::deliver) fn replace(&self, parts: Vec<Job>, words: Vec<Word>) {
        let mut state = self.lock();
        words.into_iter().for_each(|word| self.post(&mut state, word));
        state.open += parts.len();
        state.open -= 1;
        parts.into_iter().rev().for_each(|part| state.granted.push_front(part));
        self.work.notify_one();
        if self.room_in(&state).is_some() {
            self.room.notify_one();
        }
    }

    /// Keeps a parcel until `at`, when it may be attempted again. Its permit has been given back.
    pub(in crate::deliver) fn park(&self, job: Job, at: Instant) {
        self.lock().parked.push(Reverse(Parked { at, job }));
        self.work.notify_one();
    }
}

impl State {
    /// A row that has not been tried can be attempted now, or once its grant is durable.
    fn has_untried(&self) -> bool {
        !(self.granted.is_empty() && self.granting.is_empty() && self.rendered.is_empty())
    }

    /// Whether such a row goes before one that is due again. Rows that the destination fails whatever its health must not
    /// be all that it is judged by: a probe is a row that has not failed yet, and after the breaker was open both kinds go by
    /// turns, so that the same rows alone cannot open it again.
    fn prefers_untried(&self, standing: Standing) -> bool {
        match standing {
            Standing::Well => false,
            Standing::Recovered => self.retried_last,
            Standing::Down => true,
        }
    }
}

/// What a worker that looks for work finds.
#[expect(clippy::large_enum_variant, reason = "its only caller takes it apart at once")]
enum Found {
    Job(Job, Permit),
    /// Nothing before then, or before something changes.
    Wait(Option<Instant>),
    End,
}

/// A parcel that waits for its next attempt.
pub(super) struct Parked {
    at: Instant,
    pub(super) job: Job,
}

impl Parked {
    fn order(&self) -> (Instant, u64) {
        (self.at, self.job.parcel.messages().first().map_or(0, |message| message.seq))
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
