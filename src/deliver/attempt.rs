//! One parcel from its first attempt to the final word about each of its rows.
//!
//! Always holds: a permit is held only while a request is in flight; an attempt that has begun is seen through; a row
//! that may have been applied never ends as refused or pending; several rows that are refused together are sent again in two
//! halves, until each has its own answer, and are in doubt meanwhile (`shares`).

use super::engine::Run;
use super::limits::{Opened, Permit};
use super::receipts::Word;
use super::retry::next_wait;
use super::shares::{Doubt, Shares, shares};
use super::verdict::{Attempt, Peer, RETRY_AFTER_CAP, Verdict, judge};
use super::words::so_far;
use super::{FailureKind, Message, Parcel, StopKind, Stopped};
use crate::receipt::{Failure, Outcome, Receipt};
use crate::spans;
use chrono::{DateTime, SecondsFormat, Utc};
use std::time::Duration;
use tokio::time::Instant;
use tracing::Span;

/// The longest break after a 429 or 503 that does not say how long.
const BREATHER: Duration = Duration::from_secs(1);

/// A parcel on its way.
pub(super) struct Job {
    pub(super) parcel: Parcel,
    history: History,
}

impl Job {
    pub(super) fn new(parcel: Parcel) -> Self {
        Job { parcel, history: History::default() }
    }

    /// What every line of the log about it says.
    pub(super) fn span(&self) -> Span {
        let rows = self.parcel.messages();
        spans::parcel(rows.first().map_or(0, |row| row.seq), rows.len())
    }

    /// Both halves, and words about rows that have no body without the others. What is known of all rows is known of each half;
    /// it has its own attempts.
    fn split(self, run: &Run) -> (Vec<Job>, Vec<Word>) {
        let Job { parcel, history } = self;
        let bytes = run.engine.destination.batch.map_or(usize::MAX, |batch| batch.bytes);
        let known = |detail: Option<String>| History {
            attempts: 0,
            earlier: history.earlier + history.attempts,
            detail,
            rejected: false,
            ..history
        };
        let packed = parcel.split(bytes);
        let of = |parcel| Job { parcel, history: known(history.detail.clone()) };
        let jobs = packed.parcels.into_iter().map(of).collect();
        let at = run.engine.clock.now();
        let word = |(row, problem)| known(Some(problem)).word(row, Some(Outcome::Refused), at);
        (jobs, packed.unfit.into_iter().map(word).collect())
    }
}

/// What is known about the rows of a parcel so far.
#[derive(Default)]
struct History {
    attempts: u32,
    /// Those that were made when the rows were part of a larger parcel.
    earlier: u32,
    doubt: Doubt,
    status: Option<u16>,
    detail: Option<String>,
    /// The destination refused it in so many words; otherwise it was given up without having been taken.
    rejected: bool,
}

/// What comes after an attempt.
enum Step {
    Done(Outcome),
    /// Each row has an answer of its own.
    Each(Vec<Result<(), String>>),
    Split,
    Again(Duration),
    Leave,
}

/// Attempts a parcel once, and hands over the final word about its rows or puts it back to be attempted later.
pub(super) async fn attempt(run: &Run, mut job: Job, permit: Permit) {
    failpoint!("request.before");
    let began = Instant::now();
    let attempt = run.engine.client.send(&job.parcel, run.engine.clock.now()).await;
    failpoint!("request.answered");
    let peer = run.engine.peers.get(job.parcel.operation());
    let verdict = judge(&attempt, peer, run.engine.clock.now());
    run.observer.attempted(verdict.as_str(), began.elapsed());
    let opened = permit.ended(&attempt, &verdict, run.engine.clock.random());
    let row = &mut job.history;
    row.attempts += 1;
    row.status = attempt.status();
    let (made, status) = (row.attempts, row.status);
    let rows = job.parcel.messages().len();
    let step = match shares(verdict, &attempt, peer, rows) {
        Shares::Alike(verdict) => decide(run, row, &attempt, peer, verdict),
        Shares::Each(each) => Step::Each(each),
        Shares::Halves { in_doubt, detail } => {
            row.doubt.in_part |= in_doubt;
            row.detail = Some(run.engine.redactor.clean(&detail));
            Step::Split
        }
    };
    if let Some(opened) = opened {
        breaker_opened(run, row, opened);
    }
    if let Some(first) = job.parcel.messages().first() {
        tracing::debug!(event = "attempted", key = first.key, attempt = made, status, %step, "attempted");
    }
    match step {
        Step::Done(outcome) => run.desk.finish(words(run, job, Some(outcome))),
        Step::Each(each) => run.desk.finish(words_of_each(run, job, each)),
        Step::Split => {
            let (halves, words) = job.split(run);
            run.desk.replace(halves, words);
        }
        Step::Leave => run.desk.finish(words(run, job, None)),
        Step::Again(wait) => run.desk.park(job, Instant::now() + wait),
    }
}

fn decide(run: &Run, row: &mut History, attempt: &Attempt, peer: &Peer, verdict: Verdict) -> Step {
    match verdict {
        Verdict::Acknowledged => {
            row.detail = None;
            Step::Done(Outcome::Acknowledged)
        }
        Verdict::Refused { detail } => {
            row.rejected = attempt.status().is_some();
            row.detail = Some(run.engine.redactor.clean(&detail));
            Step::Done(Outcome::Refused)
        }
        Verdict::Unknown { detail } => {
            row.detail = Some(run.engine.redactor.clean(&detail));
            Step::Done(Outcome::Unknown)
        }
        Verdict::ConfigFault { maybe_applied, reason, remedy } => {
            row.doubt.maybe_applied |= maybe_applied;
            config_fault(run, row, &reason, &remedy)
        }
        Verdict::Retry { maybe_applied, after, pause, detail } => {
            row.doubt.maybe_applied |= maybe_applied;
            row.detail = Some(run.engine.redactor.clean(&so_far(attempt, &detail, row.attempts, peer.address)));
            match after.filter(|_| pause) {
                Some(time) if time > run.engine.destination.retry.max => long_pause(run, row.status, time),
                Some(time) => {
                    tracing::debug!(
                        event = "pause_asked",
                        status = row.status,
                        seconds = time.as_secs(),
                        "the destination asks for a pause"
                    );
                    leave_alone(run, time);
                    again(run, row, after)
                }
                None => match again(run, row, after) {
                    Step::Again(wait) if busy(run, row) => {
                        leave_alone(run, wait.min(BREATHER));
                        Step::Again(wait)
                    }
                    step => step,
                },
            }
        }
    }
}

fn leave_alone(run: &Run, time: Duration) {
    run.engine.limits.pause(time);
    run.observer.paused(time);
}

/// The report prints reason and remedy, so the log has them only for those who ask for details. It goes without the
/// reason: that has the destination's words in it, and bodies are never logged.
fn config_fault(run: &Run, row: &mut History, reason: &str, remedy: &str) -> Step {
    let reason = run.engine.redactor.clean(reason);
    row.detail = Some(reason.clone());
    let kind = if row.status == Some(410) { StopKind::Disabled } else { StopKind::Config };
    if run.desk.throw(Stopped { kind, reason, remedy: remedy.to_owned(), until: None }) {
        tracing::debug!(
            event = "delivery_stopped",
            status = row.status,
            remedy,
            "delivery stopped: the job or the destination needs mending"
        );
    }
    Step::Leave
}

/// Whether a destination that does not say for how long asks for a break, and cannot be slowed down otherwise.
fn busy(run: &Run, row: &History) -> bool {
    matches!(row.status, Some(429 | 503)) && run.engine.limits.concurrency() == 1
}

/// The breaker lets nothing through for a while. If that is longer than anybody waits, the rest is left to the next run.
fn breaker_opened(run: &Run, row: &History, opened: Opened) {
    let (failures, attempts) = (opened.failures, opened.attempts);
    tracing::debug!(
        event = "breaker_opened",
        failures,
        attempts,
        too_long = opened.too_long,
        "the circuit breaker opened"
    );
    if !opened.too_long {
        return;
    }
    let last = row.detail.as_deref().unwrap_or("no answer");
    run.desk.throw(Stopped {
        kind: StopKind::Breaker,
        reason: format!("the destination failed {failures} of the last {attempts} attempts; the last: {last}"),
        remedy: "check that the destination is up: the next run sends the rest; raise destination.retry.max to wait \
                 longer within the run"
            .to_owned(),
        until: None,
    });
}

fn again(run: &Run, row: &History, after: Option<Duration>) -> Step {
    match next_wait(&run.engine.destination.retry, row.attempts, after, run.engine.clock.random()) {
        Some(wait) => Step::Again(wait),
        // Whether it may have been applied is settled with the word about it.
        None => Step::Done(Outcome::Refused),
    }
}

/// Nobody waits for hours inside a run: the rest is left to the next one.
fn long_pause(run: &Run, status: Option<u16>, time: Duration) -> Step {
    let until = run.engine.clock.now() + time.min(RETRY_AFTER_CAP);
    let shown = until.to_rfc3339_opts(SecondsFormat::Secs, true);
    let status = status.map_or_else(String::new, |s| format!(" ({s} with Retry-After)"));
    let stopped = Stopped {
        kind: StopKind::Paused,
        reason: format!("the destination asks to wait until {shown}{status}"),
        remedy: "nothing needs mending: a run after that time sends the rest; if this happens often, lower \
                 destination.rate, or raise destination.retry.max to wait within the run"
            .to_owned(),
        until: Some(until),
    };
    if run.desk.throw(stopped) {
        tracing::debug!(
            event = "delivery_paused",
            until = shown,
            "delivery stopped: the destination asks for a pause longer than retry.max"
        );
    }
    Step::Leave
}

/// The words about the rows of a parcel whose last attempt came to `last`. `None`: the run stops before it has its answer. Then the
/// rows stay pending, unless they may have been applied.
pub(super) fn words(run: &Run, job: Job, last: Option<Outcome>) -> impl Iterator<Item = Word> {
    let Job { parcel, history } = job;
    let at = run.engine.clock.now();
    parcel.into_messages().map(move |message| history.word(message, last, at))
}

/// The words about the rows of a parcel that were answered one by one.
fn words_of_each(run: &Run, job: Job, each: Vec<Result<(), String>>) -> impl Iterator<Item = Word> {
    let Job { parcel, mut history } = job;
    let at = run.engine.clock.now();
    let one = |(message, answer): (Message, Result<(), String>)| {
        let outcome = if answer.is_ok() { Outcome::Acknowledged } else { Outcome::Refused };
        history.rejected = answer.is_err();
        history.detail = answer.err().map(|detail| run.engine.redactor.clean(&detail));
        history.word(message, Some(outcome), at)
    };
    // Here and not under the desk's lock: taking secrets out of many words takes time.
    parcel.into_messages().zip(each).map(one).collect::<Vec<_>>().into_iter()
}

impl History {
    fn word(&self, message: Message, last: Option<Outcome>, at: DateTime<Utc>) -> Word {
        let Some(outcome) = self.doubt.end(last, self.rejected) else { return Word::Pending };
        let failure = match outcome {
            Outcome::Acknowledged => None,
            Outcome::Refused if self.rejected => Some(FailureKind::Refused),
            Outcome::Refused => Some(FailureKind::NotDelivered),
            Outcome::Unknown => Some(FailureKind::Unknown),
        };
        Word::Final(Receipt {
            seq: message.seq,
            outcome,
            status: self.status,
            attempts: self.earlier + self.attempts,
            detail: self.detail.clone(),
            at,
            failure: failure.map(|kind| Failure { kind, key: message.key, webhook_id: message.version }),
        })
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Done(outcome) => write!(f, "{outcome:?}"),
            Step::Each(_) => f.write_str("each row by itself"),
            Step::Split => f.write_str("again in two halves"),
            Step::Again(wait) => write!(f, "again in {} ms", wait.as_millis()),
            Step::Leave => f.write_str("left to the next run"),
        }
    }
}
