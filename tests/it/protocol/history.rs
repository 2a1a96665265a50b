//! What may happen to a job: histories, and how they are drawn.

use proptest::prelude::*;

/// At most so many orgs: few, so that much happens to each.
pub const ORGS: u8 = 5;
/// The values that an org can have: few, so that it often comes back to one.
pub const VALUES: u8 = 4;

/// What happens to one org of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Another value; an org that is away comes back with it.
    Change,
    /// The value before the last change.
    Revert,
    /// It is gone. The first org never goes: an empty extract is held.
    Delete,
    /// It is back as it was.
    Reappear,
}

/// How the destination meets one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// 200, applied.
    Success,
    /// 422, not applied.
    Refusal,
    /// 200 with `"success": false`, not applied.
    TakenBack,
    /// 429, not applied.
    Busy,
    /// 500; whether it was applied.
    Error(bool),
    /// 501; whether it was applied. Not worth a repeat.
    NotImplemented(bool),
    /// No answer; whether it was applied.
    TimeOut(bool),
    /// No connection.
    NoConnection,
    /// 401: delivery stops.
    Unauthorised,
    /// No, in words that do not say to which rows. Of several, those whose bit is set (by their place) were applied.
    InPart(u8),
    /// 200 with a result for each row: those whose bit is set were applied.
    Results(u8),
}

impl Answer {
    /// Whether the row at this place of a request of several, or alone, was applied.
    pub fn applies(self, place: usize, together: usize) -> bool {
        match self {
            Answer::Success => true,
            Answer::Error(applied) | Answer::NotImplemented(applied) | Answer::TimeOut(applied) => applied,
            Answer::InPart(rows) => together > 1 && rows >> place & 1 == 1,
            Answer::Results(rows) => rows >> place & 1 == 1,
            Answer::Refusal | Answer::TakenBack | Answer::Busy | Answer::NoConnection | Answer::Unauthorised => false,
        }
    }
}

/// The process is gone at one of the places that it comes by, counted from 0.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    pub at: u16,
    /// As by SIGKILL or a power cut: what is on the disk at that moment is all there is. Otherwise the run's future is dropped,
    /// and what threads have begun is seen through.
    pub is_kill: bool,
}

/// What the surroundings do during a run.
#[derive(Debug, Clone, Default)]
pub struct Weather {
    /// Answers in turn, by org and attempt; none: friendly.
    pub answers: Vec<Answer>,
    pub crash: Option<Crash>,
    /// Delivery is asked to stop at this request.
    pub stop: Option<u8>,
}

/// What is done.
#[derive(Debug, Clone)]
pub enum Act {
    /// `nightmark run`. What an earlier run has left is superseded.
    Run(Weather),
    /// `nightmark run --no-send`
    Publish(Weather),
    /// `nightmark retry`: what is left of the published run.
    Retry(Weather),
    /// `nightmark dead-letters retry`, of all.
    Lift,
    /// `nightmark dead-letters drop`, of all that are set aside.
    Drop,
}

/// The source turns, and then something is done.
#[derive(Debug, Clone)]
pub struct Step {
    pub turns: Vec<(u8, Turn)>,
    pub act: Act,
}

/// One history: a job and what happens to it.
#[derive(Debug, Clone)]
pub struct History {
    pub orgs: u8,
    /// Whether removals are sent.
    pub removals: bool,
    pub concurrency: u8,
    /// Requests for a row in one run, at most.
    pub attempts: u8,
    /// Rows in one request, at most; 0: each has its own.
    pub batch: u8,
    /// Refusals after which a row is set aside; 0: never.
    pub dead_letter_after: u8,
    /// Versions that the destination refuses whenever it is not friendly.
    pub disliked: Vec<(u8, u8)>,
    /// Receipts in one write, at most.
    pub receipt_rows: u8,
    /// Whether another undisturbed night follows the last one: what it must send follows from what is known, so that not every
    /// history has to.
    pub looks_again: bool,
    pub steps: Vec<Step>,
}

impl History {
    /// One in which nothing goes wrong.
    pub fn quiet() -> History {
        let step = |turns| Step { turns, act: Act::Run(Weather::default()) };
        History {
            orgs: 3,
            removals: true,
            concurrency: 1,
            attempts: 1,
            batch: 0,
            dead_letter_after: 2,
            disliked: Vec::new(),
            receipt_rows: 1,
            looks_again: true,
            steps: vec![step(vec![]), step(vec![(1, Turn::Change), (2, Turn::Delete)])],
        }
    }
}

/// `batches`: also those that only several rows in one request can meet.
fn answer(batches: bool) -> BoxedStrategy<Answer> {
    let any_row = prop_oneof![
        6 => Just(Answer::Success),
        4 => Just(Answer::Refusal),
        1 => Just(Answer::TakenBack),
        1 => Just(Answer::Busy),
        3 => any::<bool>().prop_map(Answer::Error),
        1 => any::<bool>().prop_map(Answer::NotImplemented),
        3 => any::<bool>().prop_map(Answer::TimeOut),
        1 => Just(Answer::NoConnection),
        1 => Just(Answer::Unauthorised),
    ];
    match batches {
        false => any_row.boxed(),
        true => prop_oneof![
            7 => any_row,
            2 => (0..16u8).prop_map(Answer::InPart),
            1 => (0..16u8).prop_map(Answer::Results),
        ]
        .boxed(),
    }
}

fn weather(batches: bool) -> impl Strategy<Value = Weather> {
    let crash = (0..70u16, any::<bool>()).prop_map(|(at, is_kill)| Crash { at, is_kill });
    (
        prop_oneof![1 => Just(Vec::new()), 3 => prop::collection::vec(answer(batches), 1..12)],
        prop_oneof![2 => Just(None), 1 => crash.prop_map(Some)],
        prop_oneof![8 => Just(None), 1 => (0..6u8).prop_map(Some)],
    )
        .prop_map(|(answers, crash, stop)| Weather { answers, crash, stop })
}

fn step(batches: bool) -> impl Strategy<Value = Step> {
    let turn = prop_oneof![3 => Just(Turn::Change), 3 => Just(Turn::Revert), 2 => Just(Turn::Delete), 2 => Just(Turn::Reappear)];
    let act = prop_oneof![
        11 => weather(batches).prop_map(Act::Run),
        1 => weather(batches).prop_map(Act::Publish),
        5 => weather(batches).prop_map(Act::Retry),
        1 => Just(Act::Lift),
        1 => Just(Act::Drop),
    ];
    (prop::collection::vec((0..ORGS, turn), 0..7), act).prop_map(|(turns, act)| Step { turns, act })
}

/// Any history with so many acts, of requests of one row or of several.
pub fn history(acts: std::ops::Range<usize>, batches: bool) -> impl Strategy<Value = History> {
    let batch = if batches { 1..=4u8 } else { 0..=0 };
    let delivery = (1..=3u8, 1..=3u8, batch, prop_oneof![2 => Just(1u8), 3 => Just(2u8), 1 => Just(0u8)], 1..=4u8);
    let disliked = prop::collection::vec((0..ORGS, 0..VALUES), 0..9);
    let job = (3..=ORGS, any::<bool>(), delivery, disliked, prop_oneof![5 => Just(false), 1 => Just(true)]);
    (job, any::<bool>(), prop::collection::vec(step(batches), acts)).prop_map(|(job, is_calm_at_first, mut steps)| {
        let (orgs, removals, delivery, disliked, looks_again) = job;
        let (concurrency, attempts, batch, dead_letter_after, receipt_rows) = delivery;
        if is_calm_at_first {
            // Much can only happen to what the destination has.
            steps[0] = Step { turns: Vec::new(), act: Act::Run(Weather::default()) };
        }
        History {
            orgs,
            removals,
            concurrency,
            attempts,
            batch,
            dead_letter_after,
            disliked,
            receipt_rows,
            looks_again,
            steps,
        }
    })
}
