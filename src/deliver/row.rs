//! One row from its first attempt to its final word.
//!
//! Always holds: a permit is held only while a request is in flight; an attempt that has begun is seen through; a row
//! that may have been applied never ends as refused or pending.

use super::engine::Run;
use super::receipts::Word;
use super::retry::next_wait;
use super::verdict::{Attempt, RETRY_AFTER_CAP, Verdict, judge, settle};
use super::words::so_far;
use super::{FailureKind, Message, Stopped};
use crate::receipt::{Outcome, Receipt};
use chrono::SecondsFormat;
use std::time::Duration;

/// What is known about a row so far.
#[derive(Default)]
struct History {
    attempts: u32,
    maybe_applied: bool,
    status: Option<u16>,
    detail: Option<String>,
    /// The destination refused it in so many words; otherwise it was given up without having been taken.
    rejected: bool,
}

/// What comes after an attempt.
enum Step {
    Done(Outcome),
    Again(Duration),
    Leave,
}

/// Attempts `message` until its final word, and hands that over.
pub(super) async fn deliver(run: &Run, message: Message) {
    let word = attempts(run, message).await;
    // No one listens any more if the ledger failed; the run is ending with that error then.
    let _ = run.words.send(word).await;
}

async fn attempts(run: &Run, message: Message) -> Word {
    let mut row = History::default();
    loop {
        let Some(permit) = run.halt.unless(run.engine.limits.admit()).await else { return leave(run, message, row) };
        failpoint!("request.before");
        let attempt = run.engine.client.send(&message, run.engine.clock.now()).await;
        failpoint!("request.answered");
        drop(permit);
        row.attempts += 1;
        row.status = attempt.status();
        let verdict = judge(&attempt, run.engine.clock.now());
        let seen = (row.attempts, row.status);
        let step = decide(run, &mut row, &attempt, verdict);
        tracing::debug!(seq = message.seq, key = message.key, attempt = seen.0, status = seen.1, %step, "attempted");
        match step {
            Step::Done(outcome) => return finish(run, message, row, outcome),
            Step::Leave => return leave(run, message, row),
            Step::Again(wait) => {
                if run.halt.unless(tokio::time::sleep(wait)).await.is_none() {
                    return leave(run, message, row);
                }
            }
        }
    }
}

fn decide(run: &Run, row: &mut History, attempt: &Attempt, verdict: Verdict) -> Step {
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
        Verdict::ConfigFault { reason, remedy } => config_fault(run, row, &reason, remedy),
        Verdict::Retry { maybe_applied, after, pause, detail } => {
            row.maybe_applied |= maybe_applied;
            row.detail = Some(run.engine.redactor.clean(&so_far(attempt, &detail, row.attempts)));
            match after.filter(|_| pause) {
                Some(time) if time > run.engine.policy.max => long_pause(run, row.status, time),
                Some(time) => {
                    tracing::debug!(status = row.status, seconds = time.as_secs(), "the destination asks for a pause");
                    run.engine.limits.pause(time);
                    again(run, row, after)
                }
                None => again(run, row, after),
            }
        }
    }
}

/// The report prints reason and remedy, so the log has them only for those who ask for details. It goes without the
/// reason: that has the destination's words in it, and bodies are never logged.
fn config_fault(run: &Run, row: &mut History, reason: &str, remedy: &str) -> Step {
    let reason = run.engine.redactor.clean(reason);
    row.detail = Some(reason.clone());
    if run.halt.throw(Stopped { reason, remedy: remedy.to_owned() }) {
        tracing::debug!(status = row.status, remedy, "delivery stopped: the job or the destination needs mending");
    }
    Step::Leave
}

fn again(run: &Run, row: &History, after: Option<Duration>) -> Step {
    match next_wait(&run.engine.policy, row.attempts, after, run.engine.clock.random()) {
        Some(wait) => Step::Again(wait),
        None => Step::Done(if row.maybe_applied { Outcome::Unknown } else { Outcome::Refused }),
    }
}

/// Nobody waits for hours inside a run: the rest is left to the next one.
fn long_pause(run: &Run, status: Option<u16>, time: Duration) -> Step {
    let until = run.engine.clock.now() + time.min(RETRY_AFTER_CAP);
    let until = until.to_rfc3339_opts(SecondsFormat::Secs, true);
    let status = status.map_or_else(String::new, |s| format!(" ({s} with Retry-After)"));
    let stopped = Stopped {
        reason: format!("the destination asks to wait until {until}{status}"),
        remedy: "nothing needs mending: a run after that time sends the rest; if this happens often, lower \
                 destination.rate, or raise destination.retry.max to wait within the run"
            .to_owned(),
    };
    if run.halt.throw(stopped) {
        tracing::debug!(until, "delivery stopped: the destination asks for a pause longer than retry.max");
    }
    Step::Leave
}

fn finish(run: &Run, message: Message, row: History, last: Outcome) -> Word {
    let outcome = settle(row.maybe_applied, last);
    let failure = match outcome {
        Outcome::Acknowledged => None,
        Outcome::Refused if row.rejected => Some(FailureKind::Refused),
        Outcome::Refused => Some(FailureKind::NotDelivered),
        Outcome::Unknown => Some(FailureKind::Unknown),
    };
    let receipt = Receipt {
        seq: message.seq,
        outcome,
        status: row.status,
        attempts: row.attempts,
        detail: row.detail,
        at: run.engine.clock.now(),
    };
    Word::Final { key: message.key, receipt, failure }
}

/// The run stops before the row has its answer: it stays pending, unless an earlier attempt may have been applied.
fn leave(run: &Run, message: Message, row: History) -> Word {
    if row.maybe_applied { finish(run, message, row, Outcome::Unknown) } else { Word::Pending }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Done(outcome) => write!(f, "{outcome:?}"),
            Step::Again(wait) => write!(f, "again in {} ms", wait.as_millis()),
            Step::Leave => f.write_str("left to the next run"),
        }
    }
}
