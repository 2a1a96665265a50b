//! The daemon's jobs: found, taken and run by their schedules.

use crate::cli::resources::ResourceArgs;
use crate::cli::{Context, run};
use crate::daemon::alone::Alone;
use crate::daemon::holds;
use crate::daemon::scheduler::Scheduler;
use crate::daemon::work::Runs;
use crate::job::load::load_all;
use crate::job::spec::Job;
use crate::metrics::{Metrics, Watched};
use crate::store::StateStore;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long runs may take to stop in order: requests in flight end, and have 30 seconds at most (DESIGN.md §6).
const PATIENCE: Duration = Duration::from_secs(35);

/// The jobs that have a schedule, and the home folder for this daemon alone if there are any.
///
/// # Errors
/// Another daemon has it.
pub(super) fn take(context: &Context, metrics: &dyn Metrics) -> anyhow::Result<(Option<Alone>, Vec<Job>)> {
    let (jobs, problems) = load_all(&context.home);
    for problem in &problems {
        tracing::error!(event = "job_invalid", "this job does not run: {problem}");
        eprintln!("this job does not run: {problem}");
    }
    // Those that are run by hand as well: their state is here.
    metrics.watches(jobs.iter().map(watched).collect());
    let jobs: Vec<Job> = jobs.into_iter().filter(|job| job.schedule.is_some()).collect();
    let alone = match jobs.is_empty() {
        true => None,
        false => Some(Alone::take(
            context.home.dir(),
            &format!("process {}, since {}", std::process::id(), context.clock.now()),
        )?),
    };
    Ok((alone, jobs))
}

/// What runs the jobs until it is told to stop. `bell`: rung at the end of each run.
///
/// # Errors
/// A state store that cannot be read or written.
pub(super) async fn begin(
    context: &Context,
    jobs: Vec<Job>,
    store: &Arc<dyn StateStore>,
    metrics: &Arc<dyn Metrics>,
    bell: &Arc<Notify>,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let resources = ResourceArgs::default().resources();
    let runner = run::runner(context, store, Arc::new(()), Arc::clone(metrics), resources, stopping.clone());
    let expiring = holds::expire(runner.clone(), jobs.clone(), stopping.clone());
    let work = Arc::new(Runs::new(runner, context.settings.runs.at_once).with_bell(Arc::clone(bell)));
    let scheduler =
        Scheduler::new(jobs, Arc::clone(store) as _, Arc::clone(&context.clock), work, holder(context)).await?;
    let scheduler = scheduler.with_metrics(Arc::clone(metrics));
    if !context.json && scheduler.jobs() > 0 {
        crate::say!("jobs      {} by schedule; when: nightmark schedule", scheduler.jobs());
    }
    let mut told = stopping.clone();
    Ok(async move {
        if scheduler.jobs() == 0 {
            return;
        }
        let late = async {
            let _ = told.wait_for(|stop| *stop).await;
            tokio::time::sleep(PATIENCE).await;
        };
        let running = async { tokio::join!(scheduler.run(stopping), expiring) };
        tokio::select! {
            _ = running => {}
            () = late => tracing::warn!(event = "run_not_stopped", "a run did not stop in time; the next start goes on with it"),
        }
    })
}

fn watched(job: &Job) -> Watched {
    Watched { job: job.name.clone(), dead_letter_after: job.destination.dead_letter_after }
}

/// The same for each daemon that serves this home folder on this machine.
pub(super) fn holder(context: &Context) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", host.trim(), context.home.dir().display())
}
