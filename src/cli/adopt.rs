//! `nightmark adopt JOB`: a baseline without sending.

use super::confirm::Consent;
use super::report::{self, grouped, plural};
use super::resources::ResourceArgs;
use super::{Context, Exit, decide, run};
use crate::job::load::load_job;
use crate::job::spec::Job;
use crate::pipeline::{RunReport, preview_adoption};
use crate::snapshot::Manifest;
use crate::store::StateStore;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::watch;

/// Arguments of `nightmark adopt`.
#[derive(Debug, clap::Args)]
pub struct AdoptArgs {
    /// The job's name, or the path of its file
    pub job: String,
    /// Also if the job has a snapshot: it is forgotten, with all changes of it that are not acknowledged
    #[arg(long)]
    pub replace: bool,
    /// Go on although a guard says no to the extract
    #[arg(long)]
    pub approve: bool,
    /// Who wants it, for the record [default: the user of this process]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Whether to ask.
    #[command(flatten)]
    pub consent: Consent,
    /// How much it may take.
    #[command(flatten)]
    pub resources: ResourceArgs,
}

/// Runs the command. Nothing is sent.
///
/// # Errors
/// No yes; a snapshot that is there and not to be replaced; whatever keeps the extract from being read or published.
pub async fn run(context: &Context, args: AdoptArgs) -> anyhow::Result<Exit> {
    let job = Arc::new(load_job(&context.home, &args.job)?);
    let store = context.store().await?;
    let outcome = adopt(context, &args, &job, &store).await;
    store.close().await;
    let report = outcome?;
    print(context, &job.name, &report);
    Ok(Exit::Done)
}

async fn adopt(
    context: &Context,
    args: &AdoptArgs,
    job: &Arc<Job>,
    store: &Arc<dyn StateStore>,
) -> anyhow::Result<RunReport> {
    let resources = args.resources.resources();
    if !args.consent.yes {
        context.freshen_for_run(&job.name, Some(&**store as _)).await?;
        let look = preview_adoption(
            Arc::clone(job),
            &context.home,
            Some(&**store as _),
            &context.clock,
            resources,
            args.replace,
        );
        let orgs = look.await?.suppressed;
        let left = what_is_left(context, &job.name, store).await?;
        args.consent.ask(&format!(
            "job `{}`: {} of tonight's extract would count as what the destination has, and nothing would be sent to it{left}",
            job.name,
            plural(orgs, "org")
        ))?;
    }
    let (_stop, stopping) = watch::channel(false);
    let runner = run::runner(context, store, Arc::new(()), Arc::new(()), resources, stopping);
    let who = decide::who(args.by.as_deref());
    Ok(runner.adopt(Arc::clone(job), args.replace, args.approve, &who).await?)
}

/// What a replacement gives up, for the question.
async fn what_is_left(context: &Context, job: &str, store: &Arc<dyn StateStore>) -> anyhow::Result<String> {
    let Some(manifest) = Manifest::load(&context.home.snapshots(job))? else { return Ok(String::new()) };
    let acknowledged = store.progress(&manifest.run).await?.acknowledged.len();
    let left = manifest.changes.rows.saturating_sub(acknowledged);
    Ok(format!(
        ". What is known by run {} ({}) would be forgotten{}",
        manifest.run,
        plural(manifest.sidecar.rows, "org"),
        match left {
            0 => String::new(),
            n => format!(", with {} of it that the destination has not acknowledged", plural(n, "change")),
        }
    ))
}

fn print(context: &Context, job: &str, report: &RunReport) {
    let adopted = report.planned.as_ref().map_or(0, |planned| planned.suppressed);
    if context.json {
        let mut object = report::counts_json(Some(&report.run), job, &report.counts, 0);
        object.remove("duration_ms");
        object.insert("state".into(), json!(report.state));
        object.insert("adopted".into(), json!(adopted));
        return crate::say!("{}", serde_json::Value::Object(object));
    }
    crate::say!(
        "{job}: {} of {} taken as what the destination has; nothing was sent (run {})\nThe next run sends what differs from this extract.",
        plural(adopted, "org"),
        plural(report.counts.extracted, "row"),
        report.run
    );
    if report.counts.rejected > 0 {
        crate::say!(
            "{} rejected and no part of it: such an org is sent as new once its row is good",
            grouped(report.counts.rejected)
        );
    }
}
