//! What `{{last_success}}` is: the start of the newest run after which the destination had everything.
//!
//! A query such as `WHERE updated_at > {{last_success}}` gives only the orgs that have changed since. So that no change is lost, the time must
//! be one that the destination surely is up to: **every change made before it is acknowledged.**
//!
//! That is kept from run to run. The manifest of a published run says from when on its extract had the changed orgs (`since`; none: from the
//! beginning). What the run found different, and nothing else, can be unacknowledged, and all of it was in its extract. So
//! - once all of it is acknowledged, the destination is up to the moment at which the run started, before its extract was read:
//!   `{{last_success}}` is that start;
//! - until then it stays what it was for that run, and every org of the run is in the next extract again.
//!
//! A run that publishes nothing (held, failed, discarded) changes nothing, for it leaves the manifest as it was. What a run had left passes with
//! its manifest to the run that supersedes it, whose extract began where that of the earlier one did. The time goes with the snapshot: one that is
//! restored from a backup has the time that it had then, and one that is moved away begins anew.
//!
//! Where there is doubt, it is the earlier time: it costs rows, which are compared and not sent.

use super::PipelineError;
use crate::job::spec::Job;
use crate::receipt::Counts;
use crate::snapshot::Manifest;
use crate::source;
use crate::store::{RunRecord, RunState, RunStore};
use chrono::{DateTime, Utc};
use std::path::Path;

/// From where on the orgs are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Those that have changed since the last success, if the query asks so.
    #[default]
    SinceLastSuccess,
    /// All: `{{last_success}}` is the beginning of 1970.
    All,
}

/// `{{last_success}}` of a run that starts now; `None`: there was no such run.
///
/// # Errors
/// A manifest or a state store that cannot be read.
pub(super) async fn last_success(
    dir: &Path,
    store: Option<&dyn RunStore>,
    now: DateTime<Utc>,
    reach: Reach,
) -> Result<Option<DateTime<Utc>>, PipelineError> {
    let (Some(manifest), Reach::SinceLastSuccess) = (Manifest::load(dir)?, reach) else { return Ok(None) };
    let record = match store {
        Some(store) => store.run(&manifest.run).await?,
        None => None,
    };
    Ok(up_to(&manifest, record.as_ref(), now))
}

/// `record`: of the manifest's run; `None`: the state store does not know it, so that nothing of it counts as acknowledged.
fn up_to(manifest: &Manifest, record: Option<&RunRecord>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    // A change of an earlier run that waits for its org to come back is not acknowledged either.
    let waits = manifest.waiting.as_ref().is_some_and(|file| file.rows > 0);
    let started = record.filter(|run| has_everything(run) && !waits).map(|run| run.started_at);
    // A start that is still to come was taken from a clock that was wrong.
    started.filter(|at| *at <= now).or(manifest.since).filter(|at| *at <= now)
}

/// Whether the destination has acknowledged every change that a run found, and the run could judge every row. A run that found no row at all proves
/// nothing: it may have looked while the table was being filled anew, whose rows then are older than its start. To stay where it was costs no row.
fn has_everything(run: &RunRecord) -> bool {
    let Counts { extracted, acknowledged, rejected, .. } = run.counts;
    run.state == RunState::Finished && acknowledged == run.counts.planned() && rejected == 0 && extracted > 0
}

/// Whether an extract of the job has only some of the orgs. A query that cannot be read is told where the source is opened.
pub(super) fn is_partial(job: &Job) -> bool {
    source::is_partial(&job.source)
}

#[cfg(test)]
mod tests;
