//! Held runs that nobody has decided on end by themselves.

use crate::job::spec::Job;
use crate::pipeline::Runner;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(600);

/// Gives up, now and every ten minutes, the runs of these jobs that have been held for longer than `guard.hold_expires`, until it is told to stop.
pub async fn expire(runner: Runner, jobs: Vec<Job>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        for job in &jobs {
            match runner.expire_held(job).await {
                Ok(expired) => expired.iter().for_each(|run| {
                    tracing::warn!(
                        event = "hold_expired",
                        job = job.name,
                        run = run.id,
                        "nobody has decided on a held run in time: it is discarded"
                    );
                }),
                Err(error) => {
                    tracing::warn!(event = "holds_not_expired", job = job.name, %error, "held runs could not be looked through; it is tried again");
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stopping.changed() => {}
        }
    }
}
