//! What the state store need not remember any longer.

use super::{PipelineError, Runner};
use crate::snapshot::run_folders;
use crate::store::Past;
use chrono::{DateTime, Duration, Utc};
use std::path::Path;

/// Forgets runs of the job that are at their end and old, as the settings `[runs]` say. For who holds the job's lock. A run whose
/// snapshot is on the disk is never forgotten: what is known of its rows is what tells which of its changes the destination
/// has. What fails is tried again by the next run.
pub(super) async fn forget_old_runs(runner: &Runner, job: &str, dir: &Path) {
    let except = match run_folders(dir) {
        Ok(runs) => runs,
        Err(error) => return tracing::warn!(event = "runs_not_forgotten", %error, "old runs are not forgotten now"),
    };
    let settings = runner.settings.runs;
    let before = runner.clock.now().checked_sub_signed(Duration::days(i64::from(settings.keep_days)));
    let before = before.unwrap_or(DateTime::<Utc>::MIN_UTC);
    let past = Past { before, rows_of: settings.keep_rows_of, except: &except };
    if let Err(error) = runner.store.forget_runs(job, &past).await {
        tracing::warn!(event = "runs_not_forgotten", %error, "old runs are not forgotten now");
    }
}

impl Runner {
    /// Forgets what is past of jobs, as each of their runs does, for those that do not run any more: every job that has a snapshot in the home folder,
    /// without `running`, and without one that runs just now, which do it themselves. The jobs that were looked at.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub async fn tidy(&self, running: &[String]) -> Result<Vec<String>, PipelineError> {
        let mut jobs = Vec::new();
        for job in self.with_snapshots()?.into_iter().filter(|job| !running.contains(job)) {
            // Whoever has the lock is at it.
            let Ok(hold) = self.hold_job(&job, "tidying up").await else { continue };
            forget_old_runs(hold.runner(), &job, &self.home.snapshots(&job)).await;
            hold.end().await;
            jobs.push(job);
        }
        Ok(jobs)
    }

    fn with_snapshots(&self) -> Result<Vec<String>, PipelineError> {
        let dir = self.home.dir().join("snapshots");
        let failed = |error: std::io::Error| PipelineError::Internal(format!("{}: {error}", dir.display()));
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut jobs = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            // A job's folder has a lock from its first run on; anything else there is none of ours.
            if let Some(name) = path.file_name().and_then(|name| name.to_str())
                && path.join("lock").is_file()
            {
                jobs.push(name.to_owned());
            }
        }
        jobs.sort();
        Ok(jobs)
    }
}
