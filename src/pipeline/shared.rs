//! Snapshots that daemons share (`[snapshots]`), as the settings say.

use super::{PipelineError, Runner, plan};
use crate::config::{Home, Settings};
use crate::job::Secrets;
use crate::objects::Objects;
use crate::snapshot::{JobLock, Shared, Sharing, SnapshotError};
use crate::store::RunStore;
use secrecy::ExposeSecret as _;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Brings a job's local snapshot to the state of the shared one. `None`: they are not shared. For who holds the job's lock.
pub(super) async fn begin(runner: &Runner, job: &str) -> Result<Option<Arc<Sharing>>, PipelineError> {
    let (home, settings, job) = (runner.home.clone(), runner.settings.clone(), job.to_owned());
    let beginning = tokio::task::spawn_blocking(move || begin_blocking(&home, &settings, &job));
    beginning.await.map_err(|e| PipelineError::Internal(e.to_string()))?
}

/// The same, on a thread that may block. Where nothing is shared of the job yet, what this machine has is from now on.
pub(super) fn begin_blocking(
    home: &Home,
    settings: &Settings,
    job: &str,
) -> Result<Option<Arc<Sharing>>, PipelineError> {
    let Some(sharing) = bring(home, settings, job)? else { return Ok(None) };
    sharing.give(&home.snapshots(job))?;
    Ok(Some(Arc::new(sharing)))
}

fn bring(home: &Home, settings: &Settings, job: &str) -> Result<Option<Sharing>, PipelineError> {
    let Some(shared) = open(home, settings)? else { return Ok(None) };
    Ok(Some(Sharing::begin(shared, job, &home.snapshots(job))?))
}

/// Brings a job's local snapshot to the state of the shared one, for commands that look at it. `false`: a run of the job is on here, which has done
/// that at its beginning. Nothing is written to the store.
///
/// # Errors
/// A store that cannot be reached, a disk that cannot be written.
pub async fn freshen(home: &Home, settings: &Settings, job: &str) -> Result<bool, PipelineError> {
    if settings.snapshots.shared.is_none() {
        return Ok(true);
    }
    let (home, settings, job) = (home.clone(), settings.clone(), job.to_owned());
    let looking = tokio::task::spawn_blocking(move || {
        let holder = format!("process {}, which looks", std::process::id());
        let _lock = match JobLock::take(&home.snapshots(&job), &job, &holder) {
            Err(SnapshotError::Busy { .. }) => return Ok(false),
            taken => taken?,
        };
        bring(&home, &settings, &job).map(|_| true)
    });
    looking.await.map_err(|e| PipelineError::Internal(e.to_string()))?
}

/// A store without a manifest that has the files of a published run has lost it, as [`plan::refuse_if_lost`] says of the local folder.
pub(super) async fn refuse_if_lost(store: &dyn RunStore, sharing: &Arc<Sharing>) -> Result<(), PipelineError> {
    let of = Arc::clone(sharing);
    let looking = tokio::task::spawn_blocking(move || of.unclaimed());
    let unclaimed = looking.await.map_err(|e| PipelineError::Internal(e.to_string()))??;
    plan::refuse_if_lost(&sharing.place(), unclaimed, Some(store)).await
}

fn open(home: &Home, settings: &Settings) -> Result<Option<Shared>, PipelineError> {
    let Some(remote) = &settings.snapshots.shared else { return Ok(None) };
    let secrets = Secrets::new(home);
    let address = secrets.resolve("snapshots.url", &remote.address)?;
    let (mut options, mut hidden) = (BTreeMap::new(), Vec::new());
    for (name, written) in &remote.options {
        let value = secrets.resolve(&format!("snapshots.options.{name}"), written)?;
        if written.has_reference() {
            hidden.push(value.expose_secret().to_owned());
        }
        options.insert(name.clone(), value.expose_secret().to_owned());
    }
    let opened = Objects::open(address.expose_secret(), &options, hidden);
    let (objects, folder) = opened
        .map_err(|fault| SnapshotError::Shared { place: remote.address.written.clone(), problem: fault.message })?;
    Ok(Some(Shared::new(objects, &folder)))
}
