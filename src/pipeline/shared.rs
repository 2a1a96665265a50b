//! Snapshots that daemons share (`[snapshots]`), as the settings say.

use super::{PipelineError, Runner, plan};
use crate::config::{Home, Settings};
use crate::job::Secrets;
use crate::objects::Objects;
use crate::snapshot::{JobLock, Manifest, Shared, Sharing, SnapshotError};
use crate::spans::within;
use crate::store::RunStore;
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// Brings a job's local snapshot to the state of the shared one. `None`: they are not shared. For who holds the job's lock. Where nothing is
/// shared of the job yet, what this machine has is from now on.
pub(super) async fn begin(runner: &Runner, job: &str) -> Result<Option<Arc<Sharing>>, PipelineError> {
    let (home, settings, name) = (runner.home.clone(), runner.settings.clone(), job.to_owned());
    let beginning =
        tokio::task::spawn_blocking(within(move || bring(&home, &settings, &name).map(|s| s.map(Arc::new))));
    let Some(sharing) = beginning.await.map_err(|e| PipelineError::Internal(e.to_string()))?? else { return Ok(None) };
    let dir = runner.home.snapshots(job);
    let mine = Manifest::load(&dir)?.map(|mine| mine.run);
    refuse_if_lost(Some(&*runner.store), &sharing, mine.as_deref()).await?;
    let of = Arc::clone(&sharing);
    let giving = tokio::task::spawn_blocking(within(move || of.give(&dir)));
    giving.await.map_err(|e| PipelineError::Internal(e.to_string()))??;
    Ok(Some(sharing))
}

/// Brings a job's local snapshot to the state of the shared one, on a thread that may block. Nothing is given. `None`: they are not shared.
pub(super) fn bring(home: &Home, settings: &Settings, job: &str) -> Result<Option<Sharing>, PipelineError> {
    let Some(shared) = open(home, settings)? else { return Ok(None) };
    Ok(Some(Sharing::begin(shared, job, &home.snapshots(job))?))
}

/// Brings a job's local snapshot to the state of the shared one, for commands that look at it. `false`: a run of the job is on here, which has done
/// that at its beginning. Nothing is written to the store.
///
/// # Errors
/// A store that cannot be reached, a disk that cannot be written.
pub async fn freshen(home: &Home, settings: &Settings, job: &str) -> Result<bool, PipelineError> {
    Ok(!matches!(look(home, settings, job).await?, Look::Busy))
}

/// The same, for who shows what a run would do: that the store has lost the job's manifest keeps a run from being done.
///
/// # Errors
/// As [`freshen`]; a manifest that is lost.
pub async fn freshen_for_run(
    home: &Home,
    settings: &Settings,
    job: &str,
    store: Option<&dyn RunStore>,
) -> Result<bool, PipelineError> {
    match look(home, settings, job).await? {
        Look::Busy => return Ok(false),
        Look::Fresh => {}
        // No run of this machine publishes meanwhile.
        Look::Begun(sharing, _lock) => {
            let mine = Manifest::load(&home.snapshots(job))?.map(|mine| mine.run);
            refuse_if_lost(store, &sharing, mine.as_deref()).await?;
        }
    }
    Ok(true)
}

/// What a look at a shared snapshot has found.
enum Look {
    /// A run of the job is on here.
    Busy,
    /// The local snapshot is what is shared; or nothing is to be shared.
    Fresh,
    /// It has been brought to that state, if there is one, by who has the job's lock.
    Begun(Arc<Sharing>, JobLock),
}

async fn look(home: &Home, settings: &Settings, job: &str) -> Result<Look, PipelineError> {
    if settings.snapshots.shared.is_none() {
        return Ok(Look::Fresh);
    }
    let (home, settings, job) = (home.clone(), settings.clone(), job.to_owned());
    let looking = tokio::task::spawn_blocking(move || {
        // Nearly always there is nothing to fetch, and no run has to wait for a look.
        let dir = home.snapshots(&job);
        let Some(shared) = open(&home, &settings)? else { return Ok(Look::Fresh) };
        if Sharing::is_fresh(&shared, &job, &dir).is_ok_and(|is| is) {
            return Ok(Look::Fresh);
        }
        let holder = format!("process {}, which looks", std::process::id());
        let lock = match JobLock::take(&dir, &job, &holder) {
            Err(SnapshotError::Busy { .. }) => return Ok(Look::Busy),
            taken => taken?,
        };
        Ok(Look::Begun(Arc::new(Sharing::begin(shared, &job, &dir)?), lock))
    });
    looking.await.map_err(|e| PipelineError::Internal(e.to_string()))?
}

/// A store without a manifest that has the files of a published run has lost it, as [`plan::refuse_if_lost`] says of the local folder. `mine`: the run
/// that this machine has, and which may be given to the store; no later one may be there then.
async fn refuse_if_lost(
    store: Option<&dyn RunStore>,
    sharing: &Arc<Sharing>,
    mine: Option<&str>,
) -> Result<(), PipelineError> {
    let of = Arc::clone(sharing);
    let looking = tokio::task::spawn_blocking(within(move || of.unclaimed()));
    let mut unclaimed = looking.await.map_err(|e| PipelineError::Internal(e.to_string()))??;
    unclaimed.retain(|run| mine.is_none_or(|mine| run.as_str() > mine));
    plan::refuse_if_lost(&sharing.place(), unclaimed, store).await
}

/// Whether the store that snapshots are shared in can be written, read and removed from; then what time it is there, as far as it says so. `None`: they are not shared. `name`: of an object that nobody else writes.
///
/// # Errors
/// A store that cannot be used so.
pub async fn try_shared(
    home: &Home,
    settings: &Settings,
    name: String,
) -> Result<Option<Option<DateTime<Utc>>>, PipelineError> {
    let (home, settings) = (home.clone(), settings.clone());
    let trying = tokio::task::spawn_blocking(move || {
        let Some(shared) = open(&home, &settings)? else { return Ok(None) };
        Ok(Some(shared.try_out(&name)?))
    });
    trying.await.map_err(|e| PipelineError::Internal(e.to_string()))?
}

fn open(home: &Home, settings: &Settings) -> Result<Option<Shared>, PipelineError> {
    let Some(remote) = &settings.snapshots.shared else { return Ok(None) };
    let secrets = Secrets::new(home);
    let found = secrets.remote(remote, "snapshots.url", "snapshots.options")?;
    let opened = Objects::open(&found.address, &found.settings, found.secrets);
    let (objects, folder) = opened
        .map_err(|fault| SnapshotError::Shared { place: remote.address.written.clone(), problem: fault.message })?;
    Ok(Some(Shared::new(objects, &folder)))
}
