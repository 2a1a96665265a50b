//! `nightmark retry JOB`: what the last run has left is sent, without a new extract.

use super::resources::ResourceArgs;
use super::{Context, Exit, run};

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
    run::work(context, &args.job, ResourceArgs::default(), async |runner, job| runner.retry(job).await).await
}
