//! `nightmark approve` and `nightmark discard`: what becomes of a run that a guard holds.

use super::resources::ResourceArgs;
use super::table::shown;
use super::{Context, Exit, audit, run};
use crate::job::load::load_job;
use crate::pipeline::Runner;
use std::sync::Arc;
use tokio::sync::watch;

/// Arguments of `nightmark approve` and of `nightmark discard`.
#[derive(Debug, clap::Args)]
pub struct DecisionArgs {
    /// A job, whose newest held run is meant, or the id of a held run
    #[arg(value_name = "JOB|RUN")]
    pub of: String,
    /// Who decides, for the record [default: the user of this process]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// Sends what a held run has found. Ctrl-C or SIGTERM ends it in order.
///
/// # Errors
/// Nothing held; what it was compared with has changed since; whatever keeps changes from being sent.
pub async fn approve(context: &Context, args: DecisionArgs) -> anyhow::Result<Exit> {
    let (job, held) = args.find(context).await?;
    let who = args.who();
    let does = async |runner: &Runner, job| runner.approve(job, held.as_deref(), &who).await;
    run::work(context, &job, ResourceArgs::default(), does).await
}

/// Gives up a held run.
///
/// # Errors
/// Nothing held; a folder that cannot be removed.
pub async fn discard(context: &Context, args: DecisionArgs) -> anyhow::Result<Exit> {
    let (job, held) = args.find(context).await?;
    // The job's file may be gone by now, or have mistakes.
    let job = load_job(&context.home, &job).map_or(job, |job| job.name);
    let store = context.store().await?;
    let (_stop, stopping) = watch::channel(false);
    let resources = ResourceArgs::default().resources();
    let runner = run::runner(context, &store, Arc::new(()), Arc::new(()), resources, stopping);
    let outcome = runner.discard(&job, held.as_deref(), &args.who()).await;
    drop(runner);
    store.close().await;
    let record = outcome?;
    match context.json {
        true => crate::say!("{}", serde_json::json!(record)),
        false => crate::say!(
            "{job}: run {} is discarded: nothing of it was or will be sent. The next run compares anew\n  {}",
            record.id,
            shown(record.reason.as_deref().unwrap_or_default())
        ),
    }
    Ok(Exit::Done)
}

impl DecisionArgs {
    /// The job, and the run if one was named.
    async fn find(&self, context: &Context) -> anyhow::Result<(String, Option<String>)> {
        let run = match context.look_into_store().await? {
            Some(store) => {
                let run = store.run(&self.of).await?;
                store.close().await;
                run
            }
            None => None,
        };
        Ok(match run {
            Some(run) => (run.job, Some(run.id)),
            None => (self.of.clone(), None),
        })
    }

    fn who(&self) -> String {
        who(self.by.as_deref())
    }
}

/// Who uses the command line, as records say it. `by`: as given with `--by`.
pub(super) fn who(by: Option<&str>) -> String {
    format!("{} (command line)", audit::who(by))
}
