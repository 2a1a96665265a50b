//! What a plan is to be, beyond its extract.

use super::selection::Selection;
use crate::snapshot::Manifest;
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// What comes of a plan besides the change set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It is shown: nothing is kept.
    Preview,
    /// It is to be published.
    Run,
    /// Its change set is kept, and sent by a backfill.
    Backfill,
}

/// What a plan is to be, beyond its extract.
#[derive(Debug, Clone)]
pub(super) struct Aim {
    pub(super) purpose: Purpose,
    pub(super) versus: Versus,
    pub(super) share: Share,
    /// The orgs that it is about; `None`: all. Others are as if the extract did not have them, and nothing is said of them.
    pub(super) only: Option<Arc<Selection>>,
    /// Where `only` is said: what `{{last_success}}` stays at.
    pub(super) since: Option<DateTime<Utc>>,
}

/// What of the differences is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// As the job says.
    Usual,
    /// What a backfill sends as a run: no removals. Nothing is said of orgs that the extract does not have.
    Differing,
    /// What a backfill sends besides: orgs that the destination has as they are, and no others.
    Same,
}

/// What an extract is compared with.
#[derive(Debug, Clone)]
pub(super) enum Versus {
    /// The snapshot that is in force.
    Current,
    /// Nothing: all that the extract has counts as what the destination has.
    Nothing,
    /// An earlier snapshot.
    Earlier(Box<Manifest>),
}

impl Aim {
    /// As every night.
    pub(super) fn usual(purpose: Purpose) -> Self {
        Aim { purpose, versus: Versus::Current, share: Share::Usual, only: None, since: None }
    }

    /// A baseline, whatever is known.
    pub(super) fn baseline(purpose: Purpose) -> Self {
        Aim { versus: Versus::Nothing, ..Aim::usual(purpose) }
    }
}
