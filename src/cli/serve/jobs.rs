//! The daemon's jobs: found, taken and run by their schedules.

use crate::cli::Context;
use crate::cli::resources::ResourceArgs;
use crate::daemon::alone::Alone;
use crate::daemon::door::Door;
use crate::daemon::scheduler::Scheduler;
use crate::daemon::timetable::{Known, take_over};
use crate::daemon::work::Runs;
use crate::deliver::Http;
use crate::job::load::load_all;
use crate::pipeline::Runner;
use crate::store::StateStore;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long runs may take to stop in order: requests in flight end, and have 30 seconds at most (DESIGN.md §6).
const PATIENCE: Duration = Duration::from_secs(35);

/// The jobs, and the home folder for this daemon alone if there are any.
///
/// # Errors
/// Another daemon has it.
pub(super) fn take(context: &Context) -> anyhow::Result<(Option<Alone>, Vec<Known>)> {
    let (jobs, problems) = load_all(&context.home);
    for problem in &problems {
        tracing::error!("this job does not run: {problem}");
        eprintln!("this job does not run: {problem}");
    }
    let known = take_over(&[], jobs, &problems);
    let alone = match known.is_empty() {
        true => None,
        false => Some(Alone::take(
            context.home.dir(),
            &format!("process {}, since {}", std::process::id(), context.clock.now()),
        )?),
    };
    Ok((alone, known))
}

/// What runs the jobs until it is told to stop, and the way to it.
///
/// # Errors
/// A state store that cannot be read or written.
pub(super) async fn begin(
    context: &Context,
    known: Vec<Known>,
    store: &Arc<dyn StateStore>,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<(Door, impl Future<Output = ()> + use<>)> {
    let runner = Runner {
        home: context.home.clone(),
        settings: context.settings.clone(),
        store: Arc::clone(store) as _,
        clock: Arc::clone(&context.clock),
        connect: Arc::new(Http),
        progress: Arc::new(()),
        resources: ResourceArgs::default().resources(),
        stop: stopping.clone(),
    };
    let work = Arc::new(Runs::new(runner, context.settings.runs.at_once));
    let jobs = known.iter().filter_map(|one| one.job.clone()).collect();
    let scheduler =
        Scheduler::new(jobs, Arc::clone(store) as _, Arc::clone(&context.clock), work, holder(context)).await?;
    if !context.json && scheduler.jobs() > 0 {
        crate::say!("jobs      {}; when: nightmark schedule", scheduler.jobs());
    }
    let (knows, known) = watch::channel(known);
    let (door, orders) = Door::new(known, Arc::clone(store) as _, Arc::clone(&context.clock));
    let mut told = stopping.clone();
    let running = async move {
        let _knows = knows;
        let late = async {
            let _ = told.wait_for(|stop| *stop).await;
            tokio::time::sleep(PATIENCE).await;
        };
        tokio::select! {
            () = scheduler.run(stopping, orders) => {}
            () = late => tracing::warn!("a run did not stop in time; the next start goes on with it"),
        }
    };
    Ok((door, running))
}

/// The same for each daemon that serves this home folder on this machine.
fn holder(context: &Context) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", host.trim(), context.home.dir().display())
}
