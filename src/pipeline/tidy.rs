//! What the state store need not remember any longer.

use super::Runner;
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
