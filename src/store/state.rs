//! The states of a run, and which may follow which.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a record of a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// An extract, compared, published and sent.
    #[default]
    Run,
    /// Orgs that are sent once more. It publishes nothing: its states are `published` (ready), `delivering`, `finished` and `discarded` (cancelled).
    Backfill,
}

impl RunKind {
    /// The name that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            RunKind::Run => "run",
            RunKind::Backfill => "backfill",
        }
    }

    /// The reverse of [`as_str`](Self::as_str).
    pub fn parse(text: &str) -> Option<Self> {
        [RunKind::Run, RunKind::Backfill].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Where a run stands.
///
/// ```text
/// extracting → diffed → published → delivering → finished
///      ↓          ↓  ↘      ↓            ↓
///    failed    failed held  superseded   superseded
///    discarded discarded ↳ published (approved), superseded, discarded
/// ```
///
/// What sends nothing (`adopt`, `rollback`) is finished once it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Reads the extract and compares it. Nothing is published.
    Extracting,
    /// The change set is known, and no one but this run sees it.
    Diffed,
    /// Held by a guard: nothing was published or sent.
    Held,
    /// Base and change set are the snapshot's. Nothing was sent.
    Published,
    /// Changes are being sent. If no process works on it any more, it was stopped or cut off.
    Delivering,
    /// Every change has its final word; see the counts.
    Finished,
    /// A later run has taken over what was left of it.
    Superseded,
    /// Given up before anything was published.
    Discarded,
    /// Could not be done: nothing was published or sent.
    Failed,
}

impl RunState {
    /// All of them.
    pub const ALL: [RunState; 9] = [
        RunState::Extracting,
        RunState::Diffed,
        RunState::Held,
        RunState::Published,
        RunState::Delivering,
        RunState::Finished,
        RunState::Superseded,
        RunState::Discarded,
        RunState::Failed,
    ];

    /// The name that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            RunState::Extracting => "extracting",
            RunState::Diffed => "diffed",
            RunState::Held => "held",
            RunState::Published => "published",
            RunState::Delivering => "delivering",
            RunState::Finished => "finished",
            RunState::Superseded => "superseded",
            RunState::Discarded => "discarded",
            RunState::Failed => "failed",
        }
    }

    /// The reverse of [`as_str`](Self::as_str).
    pub fn parse(text: &str) -> Option<Self> {
        // Before there were steps, a run that had not ended was "running".
        if text == "running" {
            return Some(RunState::Delivering);
        }
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Nothing follows.
    pub fn is_final(self) -> bool {
        matches!(self, RunState::Finished | RunState::Superseded | RunState::Discarded | RunState::Failed)
    }

    /// Whether its change set is, or was, the snapshot's.
    pub fn is_published(self) -> bool {
        matches!(self, RunState::Published | RunState::Delivering | RunState::Finished | RunState::Superseded)
    }

    /// Whether a run in this state may enter `next`.
    pub fn may_become(self, next: RunState) -> bool {
        use RunState::{Delivering, Diffed, Discarded, Extracting, Failed, Finished, Held, Published, Superseded};
        match self {
            // A run that was killed between its publication and its record is found published by the next start.
            Extracting => matches!(next, Diffed | Held | Published | Failed | Discarded),
            Diffed => matches!(next, Held | Published | Failed | Discarded),
            // Somebody has approved it.
            Held => matches!(next, Published | Superseded | Discarded),
            // A baseline and a return to an earlier snapshot have nothing to send.
            Published => matches!(next, Delivering | Finished | Superseded),
            Delivering => matches!(next, Finished | Superseded),
            // What was refused may be sent again.
            Finished => matches!(next, Delivering),
            Superseded | Discarded | Failed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for state in RunState::ALL {
            assert_eq!(RunState::parse(state.as_str()), Some(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        assert_eq!(RunState::parse("Finished"), None);
    }

    #[test]
    fn nothing_is_sent_before_it_is_published_and_nothing_published_is_discarded() {
        for state in RunState::ALL {
            for next in RunState::ALL.into_iter().filter(|next| state.may_become(*next)) {
                assert!(next != RunState::Delivering || state.is_published(), "{state:?} → {next:?}");
                let gives_up = matches!(next, RunState::Discarded | RunState::Failed);
                assert!(!(gives_up && state.is_published()), "{state:?} → {next:?}");
                assert!(!state.is_final() || state == RunState::Finished, "{state:?} → {next:?}");
            }
        }
    }

    #[test]
    fn every_state_is_reached_and_every_open_one_can_end() {
        for state in RunState::ALL {
            let reached = RunState::ALL.into_iter().any(|from| from.may_become(state));
            assert!(reached || state == RunState::Extracting, "{state:?}");
            let (mut seen, mut next) = (vec![state], vec![state]);
            while let Some(at) = next.pop() {
                let new = RunState::ALL.into_iter().filter(|to| at.may_become(*to) && !seen.contains(to));
                let new: Vec<_> = new.collect();
                seen.extend(&new);
                next.extend(new);
            }
            assert!(seen.iter().any(|state| state.is_final()), "{state:?}");
        }
    }
}
