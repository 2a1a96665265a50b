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
//! Where there is doubt, it is the earlier time: it costs rows, which are compared and not sent. Where it has stayed for days, the report says so, and
//! what it waits for (`words`).

mod words;

use super::PipelineError;
use super::course::SOME;
use crate::receipt::Counts;
use crate::snapshot::Manifest;
use crate::store::{RunRecord, RunState, RunStore};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
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

/// `{{last_success}}` of a run, as its report has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Since {
    /// The time; `None`: all orgs are asked for.
    pub last_success: Option<DateTime<Utc>>,
    /// Why it is as early as that, if that is long ago.
    pub standstill: Option<Standstill>,
}

/// What `{{last_success}}` waits for. Until then every extract has all that has changed since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standstill {
    /// For how many days it has stood still; `None`: the destination never had everything.
    pub days: Option<i64>,
    /// What keeps it there, one reason each.
    pub why: Vec<String>,
    /// Commands and what they do, for each reason.
    pub what_to_do: Vec<String>,
}

/// What keeps the newest published run from being one after which the destination had everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    /// The state store does not know the run, so that nothing of it counts as acknowledged.
    Forgotten,
    /// Its start is still to come: it was taken from a clock that was wrong.
    Ahead,
    /// It found no row at all, which proves nothing: it may have looked while the table was being filled anew, whose rows then are older than its
    /// start. To stay where it was costs no row.
    Empty,
    /// Rows with a value that does not fit.
    Rejected(u64),
    Refused(u64),
    SetAside(u64),
    /// Changes that may or may not have been applied, that are still to be sent, or of a run that is not at its end.
    Left(u64),
    /// The run was about some orgs alone: what has changed of the others it did not see.
    Some,
    /// Changes of earlier runs that wait for their orgs to come back are not acknowledged either.
    Waiting(u64),
}

/// A standstill that is younger is the ordinary course of retries.
const LONG: TimeDelta = TimeDelta::days(3);

/// `{{last_success}}` of a run of `job` that starts now.
///
/// # Errors
/// A manifest or a state store that cannot be read.
pub(super) async fn last_success(
    job: &str,
    dir: &Path,
    store: Option<&dyn RunStore>,
    now: DateTime<Utc>,
    reach: Reach,
) -> Result<Since, PipelineError> {
    let (Some(manifest), Reach::SinceLastSuccess) = (Manifest::load(dir)?, reach) else { return Ok(Since::default()) };
    let record = match store {
        Some(store) => store.run(&manifest.run).await?,
        None => None,
    };
    let last_success = up_to(&manifest, record.as_ref(), now);
    let obstacles = obstacles(&manifest, record.as_ref(), now);
    let age = last_success.map(|at| now - at);
    let is_told = !obstacles.is_empty() && age.is_none_or(|age| age >= LONG);
    let standstill = is_told.then(|| Standstill {
        days: age.map(|age| age.num_days()),
        // A file that cannot be read is told where it is needed.
        why: words::why(&obstacles, &manifest, &manifest.waiting_keys(dir, words::NAMED).unwrap_or_default()),
        what_to_do: words::what_to_do(&obstacles, job, &manifest.run),
    });
    Ok(Since { last_success, standstill })
}

/// `record`: of the manifest's run; `None`: the state store does not know it.
pub(super) fn up_to(manifest: &Manifest, record: Option<&RunRecord>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let started = record.filter(|_| obstacles(manifest, record, now).is_empty()).map(|run| run.started_at);
    started.or(manifest.since).filter(|at| *at <= now)
}

/// None: the destination has acknowledged every change that the run found, and the run could judge every row.
fn obstacles(manifest: &Manifest, record: Option<&RunRecord>, now: DateTime<Utc>) -> Vec<Obstacle> {
    let waiting = manifest.waiting.as_ref().map_or(0, |file| file.rows);
    let mut found: Vec<Obstacle> = record.map_or_else(|| vec![Obstacle::Forgotten], |run| obstacles_of(run, now));
    found.extend((waiting > 0).then_some(Obstacle::Waiting(waiting)));
    found
}

fn obstacles_of(run: &RunRecord, now: DateTime<Utc>) -> Vec<Obstacle> {
    let Counts { extracted, acknowledged, rejected, refused, set_aside, .. } = run.counts;
    let left = run.counts.planned().saturating_sub(acknowledged + refused + set_aside);
    let is_finished = run.state == RunState::Finished;
    let all = [
        (run.started_at > now, Obstacle::Ahead),
        (is_finished && extracted == 0, Obstacle::Empty),
        (rejected > 0, Obstacle::Rejected(rejected)),
        (refused > 0, Obstacle::Refused(refused)),
        (set_aside > 0, Obstacle::SetAside(set_aside)),
        (!is_finished || left > 0, Obstacle::Left(left)),
        (run.report.as_ref().is_some_and(|report| report.get(SOME).is_some()), Obstacle::Some),
    ];
    all.into_iter().filter(|(is_there, _)| *is_there).map(|(_, obstacle)| obstacle).collect()
}

#[cfg(test)]
mod tests;
