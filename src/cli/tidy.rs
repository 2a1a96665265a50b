//! `nightmark tidy`: forgets now what the daemon forgets each day.

use super::resources::ResourceArgs;
use super::{Context, Exit, run};
use crate::daemon::retention;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::watch;

/// Runs the command.
///
/// # Errors
/// A state store that cannot be read or written.
pub async fn run(context: &Context) -> anyhow::Result<Exit> {
    let store = context.store().await?;
    let (_stop, stopping) = watch::channel(false);
    let resources = ResourceArgs::default().resources();
    let runner = run::runner(context, &store, Arc::new(()), Arc::new(()), resources, stopping);
    let jobs = runner.tidy(&[]).await?;
    let (days, now) = (context.settings.retention.history_days, context.clock.now());
    let forgotten = async {
        retention::history(&*store, now, days).await?;
        retention::fires(&*store, now).await?;
        retention::audit(&*store, now).await
    };
    let forgotten = forgotten.await;
    store.close().await;
    forgotten?;
    if context.json {
        crate::say!("{}", json!({ "jobs": jobs, "history_days": days }));
    } else {
        crate::say!("runs older than {} days are forgotten: {}", context.settings.runs.keep_days, listed(&jobs));
        match days {
            0 => crate::say!("the history of received orgs is kept ([retention] history_days)"),
            days => crate::say!("changes of received orgs older than {days} days are forgotten"),
        }
    }
    Ok(Exit::Done)
}

fn listed(jobs: &[String]) -> String {
    if jobs.is_empty() { "no job has a snapshot here".to_owned() } else { jobs.join(", ") }
}
