//! Who is told when something is wrong, as the settings say.

use crate::alerts::channel::Channel;
use crate::alerts::email::Email;
use crate::alerts::watch::Watch;
use crate::alerts::webhook::Webhook;
use crate::cli::Context;
use crate::job::load::load_all;
use crate::store::StateStore;
use std::sync::Arc;

/// What looks at all jobs, and tells.
pub(super) fn watch(context: &Context, store: &Arc<dyn StateStore>) -> Watch {
    let settings = &context.settings.alerts;
    let mut channels: Vec<Box<dyn Channel>> = Vec::new();
    if let Some(url) = &settings.webhook {
        channels.push(Box::new(Webhook::new(&context.home, url.clone())));
    }
    if let Some(email) = &settings.email {
        channels.push(Box::new(Email::new(&context.home, email.clone())));
    }
    let home = context.home.clone();
    let jobs = Box::new(move || load_all(&home));
    Watch::new(Arc::clone(store), Arc::clone(&context.clock), channels, jobs, settings.no_success_for)
}
