//! `nightmark retry JOB`: what the last run has left is sent, without a new extract.

use super::{Context, Exit, run};
use crate::job::load::load_job;
use crate::pipeline::Runner;
use crate::store::sqlite::SqliteStore;
use std::sync::Arc;
use std::time::Instant;

/// Arguments of `nightmark retry`.
#[derive(Debug, clap::Args)]
pub struct RetryArgs {
    /// The job's name, or the path of its file
    pub job: String,
}

/// Runs the command. Ctrl-C or SIGTERM ends it in order.
///
/// # Errors
/// Nothing published; whatever keeps changes from being sent.
pub async fn run(context: &Context, args: RetryArgs) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let job = Arc::new(load_job(&context.home, &args.job)?);
    let store = Arc::new(SqliteStore::open(&context.home.database()).await?);
    let runner = Runner {
        home: context.home.clone(),
        settings: context.settings.clone(),
        store: Arc::clone(&store) as _,
        clock: Arc::clone(&context.clock),
        progress: run::bar(),
        resources: super::resources::ResourceArgs::default().resources(),
        stop: run::stop_on_signal()?,
    };
    let outcome = runner.retry(Arc::clone(&job)).await;
    drop(runner);
    store.close().await;
    let report = outcome?;
    run::print(context, &job.name, &report, started.elapsed());
    Ok(run::exit(&report))
}
