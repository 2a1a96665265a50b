//! Who is told when something is wrong, as the settings say.

use super::jobs::holder;
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
use std::future::Future;
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

/// What looks at all jobs, and tells these channels.
pub fn watch(context: &Context, store: &Arc<dyn StateStore>, channels: Vec<Box<dyn Channel>>) -> Watch {
    let home = context.home.clone();
    let jobs = Arc::new(move || {
        let (jobs, problems) = load_all(&home);
        Jobs::new(jobs, &problems)
    });
    let next_fire = |job: &Job, after: DateTime<Utc>| fires::next(job.schedule.as_ref()?, after);
    let limit = context.settings.alerts.no_success_for;
    Watch::new(Arc::clone(store), Arc::clone(&context.clock), channels, jobs)
        .at(holder(context))
        .with_limit(limit, Arc::new(next_fire))
}

/// Tells until the daemon stops, on a task of its own: no request or run waits for it, whatever becomes of it.
pub(super) fn begin(
    context: &Context,
    store: &Arc<dyn StateStore>,
    metrics: &Arc<dyn Metrics>,
    bell: &Arc<Notify>,
    stopping: watch::Receiver<bool>,
) -> impl Future<Output = ()> + use<> {
    let watch = watch(context, store, channels(context)).with_metrics(Arc::clone(metrics)).with_bell(Arc::clone(bell));
    let watching = tokio::spawn(watch.run(stopping));
    async move {
        let _ = watching.await;
    }
}
