//! The dead man's switch: a URL of a watchdog elsewhere is called after each run that went through. When the calls stay away (the machine is off, the network is gone), the
//! watchdog speaks up, which no daemon can do for itself.

use super::webhook::{client, failure};
use crate::config::Home;
use crate::job::Secrets;
use crate::job::spec::Job;
use crate::metrics::Metrics;
use secrecy::ExposeSecret as _;

const TRIES: u32 = 3;

/// Calls the job's `alerts.ping_url` (GET), if it has one. What fails is logged and counted: the watchdog notices.
pub async fn ping(home: &Home, job: &Job, metrics: &dyn Metrics) {
    let Some(url) = &job.alerts.ping_url else { return };
    let secrets = Secrets::new(home);
    let mut last = String::new();
    for _ in 0..TRIES {
        last = match secrets.resolve("alerts.ping_url", url) {
            Err(error) => error.to_string(),
            Ok(url) => match call(url.expose_secret()).await {
                Ok(()) => return metrics.pinged(&job.name, true),
                Err(why) => why,
            },
        };
    }
    metrics.pinged(&job.name, false);
    tracing::warn!(event = "ping_failed", job = job.name, error = last, "the ping after a run did not get through");
}

async fn call(url: &str) -> Result<(), String> {
    let answer = client(url)?.get(url).send().await.map_err(|error| failure(&error))?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("HTTP {}", status.as_u16())),
    }
}
