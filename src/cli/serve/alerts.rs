//! Who is told when something is wrong, as the settings say.

use super::jobs::Begun;
use crate::alerts::channel::Channel;
use crate::alerts::email::Email;
use crate::alerts::watch::{Jobs, Watch};
use crate::alerts::webhook::Webhook;
use crate::cli::Context;
use crate::daemon::fires;
use crate::job::load::load_all;
use crate::job::spec::Job;
use crate::metrics::Metrics;
use crate::store::StateStore;
use chrono::{DateTime, Utc};
use std::future::{Future, pending};
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// Those that are set.
pub fn channels(context: &Context) -> Vec<Box<dyn Channel>> {
    let settings = &context.settings.alerts;
    let mut channels: Vec<Box<dyn Channel>> = Vec::new();
    if let Some(url) = &settings.webhook {
        channels.push(Box::new(Webhook::new(&context.home, url.clone())));
    }
    if let Some(email) = &settings.email {
        channels.push(Box::new(Email::new(&context.home, email.clone())));
    }
    channels
}

/// What looks at all jobs as their files are now, and tells these channels.
pub fn watch(context: &Context, store: &Arc<dyn StateStore>, channels: Vec<Box<dyn Channel>>) -> Watch {
    let home = context.home.clone();
    let jobs = move || {
        let (jobs, problems) = load_all(&home);
        Jobs::new(jobs, &problems)
    };
    over(context, store, channels, Arc::new(jobs))
}

fn over(
    context: &Context,
    store: &Arc<dyn StateStore>,
    channels: Vec<Box<dyn Channel>>,
    jobs: Arc<dyn Fn() -> Jobs + Send + Sync>,
) -> Watch {
    let next_fire = |job: &Job, after: DateTime<Utc>| fires::next(job.schedule.as_ref()?, after);
    let limit = context.settings.alerts.no_success_for;
    Watch::new(Arc::clone(store), Arc::clone(&context.clock), channels, jobs)
        .at(place(context))
        .with_limit(limit, Arc::new(next_fire))
}

/// One that comes after this daemon has the same; so have all daemons of a fleet, of which one tells.
fn place(context: &Context) -> String {
    context.settings.fleet.name.as_ref().map_or_else(|| context.place_name(), |name| format!("fleet {name}"))
}

/// Tells until the daemon stops, on a task of its own: no request or run waits for it, whatever becomes of it.
pub(super) fn begin<R>(
    context: &Context,
    store: &Arc<dyn StateStore>,
    metrics: &Arc<dyn Metrics>,
    bell: &Arc<Notify>,
    begun: &Begun<R>,
    stopping: watch::Receiver<bool>,
) -> impl Future<Output = ()> + use<R> {
    let known = begun.known.clone();
    let in_force = move || {
        let known = known.borrow();
        let faulty = known.iter().filter_map(|one| Some((one.name.clone(), one.faulty.clone()?)));
        Jobs { sound: known.iter().filter_map(|one| one.job.clone()).collect(), faulty: faulty.collect() }
    };
    let watch = over(context, store, channels(context), Arc::new(in_force)).in_turn(begun.turn.clone());
    let watch = watch.with_metrics(Arc::clone(metrics)).with_bell(Arc::clone(bell));
    let (mut known, bell) = (begun.known.clone(), Arc::clone(bell));
    let watching = tokio::spawn(async move {
        // Whoever has broken a file is told while they remember it.
        let ringing = async {
            while known.changed().await.is_ok() {
                bell.notify_one();
            }
            pending::<()>().await;
        };
        tokio::select! {
            () = watch.run(stopping) => {}
            () = ringing => {}
        }
    });
    async move {
        let _ = watching.await;
    }
}
