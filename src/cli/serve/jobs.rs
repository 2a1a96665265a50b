//! The daemon's jobs: found, taken and run by their schedules.

use crate::cli::resources::ResourceArgs;
use crate::cli::{Context, run};
use crate::clock::Clock;
use crate::config::Home;
use crate::daemon::alone::{Alone, AloneError};
use crate::daemon::decisions::Decisions;
use crate::daemon::door::Door;
use crate::daemon::reload::{JobFiles, Reload};
use crate::daemon::retention::Retention;
use crate::daemon::timetable::{Known, take_over, watched};
use crate::daemon::turns::{Fleet, Turns};
use crate::daemon::{helping, holds};
use crate::job::load::{fingerprint, load_all};
use crate::job::problem::Problem;
use crate::job::spec::Job;
use crate::lease::Turn;
use crate::metrics::Metrics;
use crate::store::StateStore;
use anyhow::Context as _;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long runs may take to stop in order, which is how long their requests in flight may take; as long as those of the receiver.
const PATIENCE: Duration = Duration::from_secs(20);

/// The job files of a home folder, and the folder for this daemon alone.
struct Files {
    home: Home,
    clock: Arc<dyn Clock>,
    alone: Mutex<Option<Alone>>,
}

impl JobFiles for Files {
    fn look(&self) -> u64 {
        fingerprint(&self.home)
    }

    fn load(&self) -> (Vec<Job>, Vec<Problem>) {
        load_all(&self.home)
    }

    fn take(&self) -> Result<(), String> {
        self.lock().map_err(|error| error.to_string())
    }
}

impl Files {
    fn lock(&self) -> Result<(), AloneError> {
        let mut alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        if alone.is_none() {
            let holder = format!("process {}, since {}", std::process::id(), self.clock.now());
            *alone = Some(Alone::take(self.home.dir(), &holder)?);
        }
        Ok(())
    }
}

/// The jobs of a home folder that is this daemon's alone, if there are any.
pub(super) struct Taken {
    files: Arc<Files>,
    known: Vec<Known>,
    /// How the files looked before.
    look: u64,
    metrics: Arc<dyn Metrics>,
}

/// Reads the job files.
///
/// # Errors
/// Another daemon has the home folder.
pub(super) fn take(context: &Context, metrics: &Arc<dyn Metrics>) -> anyhow::Result<Taken> {
    let files = Files { home: context.home.clone(), clock: Arc::clone(&context.clock), alone: Mutex::new(None) };
    let look = files.look();
    let (jobs, problems) = files.load();
    for problem in &problems {
        tracing::error!(event = "job_invalid", file = %problem.file.display(), "this job does not run: {problem}");
        eprintln!("this job does not run: {problem}");
    }
    let known = take_over(&[], jobs, &problems);
    metrics.watches(watched(&known));
    if !known.is_empty() {
        files.lock()?;
    }
    Ok(Taken { files: Arc::new(files), known, look, metrics: Arc::clone(metrics) })
}

/// Jobs that are run.
pub(super) struct Begun<R> {
    /// The way to whoever schedules.
    pub(super) door: Door,
    /// What becomes of held runs.
    pub(super) decisions: Decisions,
    /// The jobs, as they change.
    pub(super) known: watch::Receiver<Vec<Known>>,
    /// Its turn, while this daemon schedules.
    pub(super) turn: watch::Receiver<Option<Turn>>,
    /// Runs them until it is told to stop.
    pub(super) running: R,
}

/// What runs the jobs until it is told to stop, and the way to it. `at_once`: somebody wants their files to be read again.
/// `bell`: rung at the end of each run.
///
/// # Errors
/// A state store that cannot be read or written.
pub(super) async fn begin(
    context: &Context,
    jobs: Taken,
    store: &Arc<dyn StateStore>,
    at_once: Arc<Notify>,
    bell: &Arc<Notify>,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<Begun<impl Future<Output = ()> + use<>>> {
    let Taken { files, known, look, metrics } = jobs;
    let resources = ResourceArgs::default().resources();
    let runner = run::runner(context, store, Arc::new(()), Arc::clone(&metrics), resources, stopping.clone());
    let jobs: Vec<_> = known.iter().filter_map(|one| one.job.clone()).collect();
    let turns = Turns {
        fleet: fleet(context, store)?,
        store: Arc::clone(store) as _,
        clock: Arc::clone(&context.clock),
        runner: runner.clone(),
        at_once: context.settings.runs.at_once,
        holder: context.place_name(),
        metrics: Arc::clone(&metrics),
        bell: Arc::clone(bell),
        turn: watch::Sender::new(context.settings.fleet.name.is_none().then(|| Turn::alone(Arc::clone(store)))),
    };
    let turn = turns.turn.subscribe();
    let first = turns.first(&jobs, &stopping).await?;
    if !context.json && !jobs.is_empty() {
        crate::say!("jobs      {}; when: nightmark schedule", jobs.len());
    }
    let (knows, known) = watch::channel(known);
    let told_of = known.clone();
    let decisions = Decisions::new(runner.clone(), known.clone());
    let expiring = holds::expire(runner.clone(), known.clone(), stopping.clone());
    let helps = turns.fleet.clone().map(|fleet| helping::help(runner, fleet, known.clone(), stopping.clone()));
    let helps = async move {
        if let Some(helps) = helps {
            helps.await;
        }
    };
    let (door, orders) = Door::new(known, Arc::clone(store) as _, Arc::clone(&context.clock));
    let mut told = stopping.clone();
    let (way, deciding) = (door.clone(), decisions.clone());
    let running = async move {
        // Held to the end: the folder is this daemon's.
        let files: Arc<Files> = files;
        let following = Reload::new(Arc::clone(&files) as _, way, knows, look).with_metrics(metrics).follow(at_once);
        let late = async {
            let _ = told.wait_for(|stop| *stop).await;
            tokio::time::sleep(PATIENCE).await;
        };
        let running = async {
            tokio::join!(turns.run(first, jobs, orders, stopping), expiring, helps);
            deciding.finish().await;
        };
        tokio::select! {
            () = running => {}
            () = following => {}
            () = late => tracing::warn!(event = "run_not_stopped", "a run did not stop in time; the next start goes on with it"),
        }
    };
    Ok(Begun { door, decisions, known: told_of, turn, running })
}

/// The fleet that the settings name.
fn fleet(context: &Context, store: &Arc<dyn StateStore>) -> anyhow::Result<Option<Fleet>> {
    let Some(name) = context.settings.fleet.name.clone() else { return Ok(None) };
    let leases = run::leases(context, store);
    let leases = leases.context("[fleet] name is set, and [store] url is no Postgres database: a fleet needs one")?;
    Ok(Some(Fleet { name, leases, note: context.home.dir().join("daemon.lease") }))
}

/// What forgets each day what is past, until it is told to stop. `known`: the jobs, as they change.
pub(super) fn tidying(
    context: &Context,
    known: watch::Receiver<Vec<Known>>,
    store: &Arc<dyn StateStore>,
    stopping: watch::Receiver<bool>,
) -> impl Future<Output = ()> + use<> {
    let resources = ResourceArgs::default().resources();
    let runner = run::runner(context, store, Arc::new(()), Arc::new(()), resources, stopping.clone());
    let retention = Retention {
        runner,
        known,
        store: Arc::clone(store),
        clock: Arc::clone(&context.clock),
        history_days: context.settings.retention.history_days,
    };
    retention.daily(stopping)
}
