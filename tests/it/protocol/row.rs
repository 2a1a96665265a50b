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
    /// And no other row with it.
    RefusedByName,
    /// Whether it may have been applied, and whether another attempt is worth it.
    Failed(bool, bool),
    /// Delivery stops.
    Halt,
}

fn meaning(request: &Request) -> Means {
    match request.answer {
        Answer::Success => Means::Applied,
        Answer::Refusal | Answer::TakenBack | Answer::InPart(_) => Means::Refused,
        Answer::Results(_) if request.answer.applies(request.place, request.together) => Means::Applied,
        Answer::Results(_) => Means::RefusedByName,
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
    // By an attempt, and as one of several rows that were refused together.
    let (mut may_be_applied, mut in_part) = (false, false);
    let unknown = End::Final(End::UNKNOWN.0, End::UNKNOWN.1);
    let (mut made, mut together) = (0, usize::MAX);
    for (at, request) in (1..).zip(requests) {
        if request.together > together {
            return Err(format!("in a larger request than before: {requests:?}"));
        }
        made += 1;
        together = request.together;
        let end = match meaning(request) {
            // The halves have attempts of their own.
            Means::Refused if together > 1 => {
                made = 0;
                together -= 1;
                in_part = true;
                End::Open { may_be_applied: true }
            }
            Means::Applied => End::Final(Outcome::Acknowledged, None),
            Means::Refused | Means::RefusedByName if may_be_applied => unknown,
            // What was said of the row alone goes for what was done with others as well.
            Means::Refused | Means::RefusedByName => End::Final(Outcome::Refused, Some(FailureKind::Refused)),
            Means::Failed(maybe, is_worth_it) => {
                may_be_applied |= maybe;
                let in_doubt = may_be_applied || in_part;
                match (is_worth_it && made < attempts, in_doubt) {
                    (true, _) => End::Open { may_be_applied: in_doubt },
                    (false, true) => unknown,
                    (false, false) => End::Final(Outcome::Refused, Some(FailureKind::NotDelivered)),
                }
            }
            Means::Halt => End::Open { may_be_applied: may_be_applied || in_part },
        };
        let is_over = matches!(end, End::Final(..)) || matches!(meaning(request), Means::Halt);
        if at == requests.len() {
            return Ok(end);
        }
        if is_over {
            return Err(format!("asked again: {requests:?}"));
        }
    }
    Ok(End::Open { may_be_applied: may_be_applied || in_part })
}
