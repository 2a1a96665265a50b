//! Daemons of a fleet help each other with large deliveries.
//!
//! In: the offers in the store. Out: chunks that are delivered from here. Always holds: a daemon that has a lease `daemon/FLEET/PLACE` is there to help, and counted.

use super::timetable::Known;
use super::turns::Fleet;
use crate::job::spec::Job;
use crate::lease::Kept;
use crate::pipeline::{Runner, member};
use crate::store::{Offer, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks for offers.
const LOOK: Duration = Duration::from_secs(1);

/// Helps whoever offers a delivery, one at a time, until it is told to stop.
pub async fn help(
    runner: Runner,
    fleet: Fleet,
    jobs: watch::Receiver<Vec<Known>>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut membership = None;
    while !*stopping.borrow() {
        if let Err(error) = look(&runner, &fleet, &jobs, &mut membership).await {
            tracing::warn!(event = "offers_not_read", %error, "delivery: what other daemons offer could not be read; it is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stopping.changed() => {}
        }
    }
    if let Some(kept) = membership {
        kept.end().await;
    }
}

async fn look(
    runner: &Runner,
    fleet: &Fleet,
    jobs: &watch::Receiver<Vec<Known>>,
    membership: &mut Option<Kept>,
) -> Result<(), StoreError> {
    let in_force: Vec<Arc<Job>> = jobs.borrow().iter().filter_map(|one| one.job.clone()).collect();
    if in_force.is_empty() {
        return Ok(());
    }
    if !membership.as_ref().is_some_and(|kept| kept.tenure().is_good()) {
        let name = member(&fleet.name, fleet.leases.holder());
        let note = fleet.note.with_extension("member");
        let what = format!("process {}", std::process::id());
        *membership = fleet.leases.take_from(&note, &name, &what).await?.ok();
    }
    for offer in fleet.leases.shares().offers(&fleet.name).await? {
        if let Some(job) = in_force.iter().find(|job| job.name == offer.job) {
            lend_a_hand(runner, job, &offer).await;
        }
    }
    Ok(())
}

async fn lend_a_hand(runner: &Runner, job: &Arc<Job>, offer: &Offer) {
    match runner.help(Arc::clone(job), offer).await {
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(event = "help_ended", job = job.name, run = offer.run, %error, "delivery: this daemon helps no more with a run of another, which goes on without");
        }
    }
}
