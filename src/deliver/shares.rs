//! What an answer to a request means for each of its rows, and in what a row ends of which some answers are in doubt. Pure.
//!
//! In: the [`Verdict`] on the request as a whole, and the answer. Out: [`Shares`]; at a row's end, what [`Doubt`] leaves of its last answer.
//! Always holds: a row is acknowledged or refused only by an answer about that row, which is an entry of its own in a list with one for
//! each row, an answer to a request without other rows, or a yes to all of them. A refusal of several rows may hide that some of them
//! were applied: until there is an answer about a row itself, it is in doubt.

use super::verdict::{Answer, Attempt, Peer, Verdict, settle};
use super::words::{in_a_list, object, rejection, taken_back};
use crate::job::spec::DestinationKind;
use crate::receipt::Outcome;
use serde_json::{Map, Value};

/// What is to be done about the rows of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shares {
    /// The same about all of them.
    Alike(Verdict),
    /// Each has an answer of its own, in the order of the rows; a refusal with what was said.
    Each(Vec<Result<(), String>>),
    /// There is no knowing which were taken: both halves are asked for again.
    Halves {
        /// Whether some may have been applied.
        in_doubt: bool,
        /// What the destination said.
        detail: String,
    },
}

/// What `verdict` on a request of so many `rows` means for each, if `attempt` is what it came to.
pub(super) fn shares(verdict: Verdict, attempt: &Attempt, peer: &Peer, rows: usize) -> Shares {
    let Attempt::Answered(answer) = attempt else { return Shares::Alike(verdict) };
    match verdict {
        Verdict::Acknowledged | Verdict::Refused { .. } => {}
        other => return Shares::Alike(other),
    }
    if let Some(each) = each(&verdict, answer, peer, rows) {
        return Shares::Each(each);
    }
    match verdict {
        Verdict::Refused { detail } if rows > 1 => {
            Shares::Halves { in_doubt: leaves_doubt(answer.status, peer.kind), detail }
        }
        Verdict::Acknowledged if rows > 1 && answer.status == 207 && peer.kind == DestinationKind::Http => {
            let detail = "answered 207, and not in `results` which rows were taken".to_owned();
            Shares::Halves { in_doubt: true, detail }
        }
        verdict => Shares::Alike(verdict),
    }
}

/// Whether a refusal of several rows may hide that some were applied. Not by 413: the request was too large to be looked at. Nor by a
/// status of Segment or RudderStack: both take or refuse a batch as a whole. But a 2xx that the body takes back is in part a yes.
fn leaves_doubt(status: u16, kind: DestinationKind) -> bool {
    match status {
        413 => false,
        200..=299 => true,
        _ => !kind.takes_events(),
    }
}

/// One answer for each row, if this is what came. `None` also where it contradicts itself or has come in part.
fn each(verdict: &Verdict, answer: &Answer, peer: &Peer, rows: usize) -> Option<Vec<Result<(), String>>> {
    if !(200..=299).contains(&answer.status) || answer.broken.is_some() {
        return None;
    }
    let said = object(answer)?;
    match peer.kind {
        DestinationKind::Http if peer.is_batched => {
            let each = by_results(&said, rows)?;
            let is_refused = matches!(verdict, Verdict::Refused { .. });
            (!is_refused || each.iter().any(Result::is_err)).then_some(each)
        }
        kind if kind.takes_events() && rows > 1 => by_rejections(answer, &said, rows),
        _ => None,
    }
}

/// `"results"`: an object for each row, in order, with a `success` of its own. What our receiver answers to an array.
fn by_results(said: &Map<String, Value>, rows: usize) -> Option<Vec<Result<(), String>>> {
    let results = said.get("results")?.as_array()?;
    let one = |result: &Value| {
        let result = result.as_object()?;
        let is_taken = result.get("success")?.as_bool()?;
        Some(if is_taken { Ok(()) } else { Err(in_a_list(result)) })
    };
    (results.len() == rows).then(|| results.iter().map(one).collect()).flatten()
}

/// `"rejected"`, how many events, and `"rejectedIndexes"`, which. What our receiver answers to a batch of events.
fn by_rejections(answer: &Answer, said: &Map<String, Value>, rows: usize) -> Option<Vec<Result<(), String>>> {
    let rejected = usize::try_from(rejected(said)).ok().filter(|count| *count > 0)?;
    if said.get("success") == Some(&Value::Bool(false)) {
        return None;
    }
    let mut each = vec![Ok(()); rows];
    for index in indexes(said.get("rejectedIndexes")?.as_str()?, rows)? {
        each[index] = Err(rejection(said, index).unwrap_or_else(|| taken_back(answer, said)));
    }
    (each.iter().filter(|one| one.is_err()).count() == rejected).then_some(each)
}

/// How many events were rejected.
pub(super) fn rejected(said: &Map<String, Value>) -> u64 {
    said.get("rejected").and_then(Value::as_u64).unwrap_or(0)
}

/// `0-4,7`, all below `rows`.
fn indexes(text: &str, rows: usize) -> Option<Vec<usize>> {
    let mut all = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if last >= rows {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

/// What may have been done to a row at the destination besides what its last answer says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Doubt {
    /// An attempt may have been applied, whatever came of later ones.
    pub(super) maybe_applied: bool,
    /// It was in a larger request that was refused and may have been taken in part.
    pub(super) in_part: bool,
}

impl Doubt {
    /// How a row ends whose last attempt came to `last`; `last` is `None` if delivery stops before that, and what is returned is `None`
    /// if it stays pending. `is_answered`: the destination has said so of this very row; otherwise it was given up.
    pub(super) fn end(self, last: Option<Outcome>, is_answered: bool) -> Option<Outcome> {
        let may_be = self.maybe_applied || self.in_part && !is_answered;
        match last {
            None => may_be.then_some(Outcome::Unknown),
            Some(last) => Some(settle(may_be, last)),
        }
    }
}

#[cfg(test)]
mod tests;
