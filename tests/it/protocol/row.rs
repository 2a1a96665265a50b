//! What the answers to the requests for one row mean.

use super::history::Answer;
use super::life::Request;
use nightmark::receipt::{FailureKind, Outcome};

/// Where a row stands after its requests in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It has its final word.
    Final(Outcome, Option<FailureKind>),
    /// It is to be tried again, in this run or the next.
    Open { may_be_applied: bool },
}

impl End {
    pub const UNKNOWN: (Outcome, Option<FailureKind>) = (Outcome::Unknown, Some(FailureKind::Unknown));
}

/// What one answer means.
enum Means {
    Applied,
    Refused,
    /// Whether it may have been applied, and whether another attempt is worth it.
    Failed(bool, bool),
    /// Delivery stops.
    Halt,
}

fn meaning(answer: Answer) -> Means {
    match answer {
        Answer::Success => Means::Applied,
        Answer::Refusal | Answer::TakenBack => Means::Refused,
        Answer::Busy | Answer::NoConnection => Means::Failed(false, true),
        Answer::Error(_) | Answer::TimeOut(_) => Means::Failed(true, true),
        Answer::NotImplemented(_) => Means::Failed(true, false),
        Answer::Unauthorised => Means::Halt,
    }
}

/// `attempts`: requests for a row in one run, at most.
///
/// # Errors
/// A request too many.
pub fn end_of(requests: &[Request], attempts: u8) -> Result<End, String> {
    let mut may_be_applied = false;
    let unknown = End::Final(End::UNKNOWN.0, End::UNKNOWN.1);
    let (mut made, mut together) = (0, usize::MAX);
    for (at, request) in (1..).zip(requests) {
        if request.together > together {
            return Err(format!("in a larger request than before: {requests:?}"));
        }
        made += 1;
        together = request.together;
        let end = match meaning(request.answer) {
            // The halves have attempts of their own.
            Means::Refused if together > 1 => {
                made = 0;
                together -= 1;
                End::Open { may_be_applied }
            }
            Means::Applied => End::Final(Outcome::Acknowledged, None),
            Means::Refused if may_be_applied => unknown,
            Means::Refused => End::Final(Outcome::Refused, Some(FailureKind::Refused)),
            Means::Failed(maybe, is_worth_it) => {
                may_be_applied |= maybe;
                match (is_worth_it && made < attempts, may_be_applied) {
                    (true, _) => End::Open { may_be_applied },
                    (false, true) => unknown,
                    (false, false) => End::Final(Outcome::Refused, Some(FailureKind::NotDelivered)),
                }
            }
            Means::Halt => End::Open { may_be_applied },
        };
        let is_over = matches!(end, End::Final(..)) || matches!(meaning(request.answer), Means::Halt);
        if at == requests.len() {
            return Ok(end);
        }
        if is_over {
            return Err(format!("asked again: {requests:?}"));
        }
    }
    Ok(End::Open { may_be_applied })
}
