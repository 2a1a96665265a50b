//! A delivery that the daemons of a fleet share: a change set in chunks, each of them one daemon's at a time.
//!
//! In: a published run, the fleet's leases. Out: receipts of every daemon in one place; the run ends where it began.
//! Always holds: whoever sends rows of a chunk has its place's lease, under the job's, and each write looks at both; a chunk whose holder is gone is given to
//! another, and what may have been in flight of it counts as unknown; all places together stay within the destination's limits; a run ends, and
//! another begins, once no place is taken any more.
//! Deliberately absent: which rows differ, what a run is: those are whoever's that has the job.

mod help;

use super::hold::leased;
use super::outbox::Outbox;
use super::send::{self, Before, Through};
use super::{PipelineError, Runner};
use crate::deliver::{Delivery, Stopped, Summary};
use crate::job::spec::{Job, Rate};
use crate::lease::{Kept, Leases};
use crate::spans;
use crate::store::{LeaseRecord, Offer, StoreError};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

/// Between two looks at what others do.
const LOOK: Duration = Duration::from_millis(500);

/// The lease of a daemon that helps: it is counted when a delivery is offered.
pub fn member(fleet: &str, holder: &str) -> String {
    format!("{}{holder}", members_of(fleet))
}

fn members_of(fleet: &str) -> String {
    format!("daemon/{fleet}/")
}

/// What a job must be like for its requests to be the same, and which program reads it. Where its rows come from is another machine's business.
fn plan_of(job: &Job) -> String {
    let mut digest = Sha256::new();
    digest.update(env!("CARGO_PKG_VERSION"));
    let Job { name, diff, destination, payload, payload_of, conforms_to, .. } = job;
    digest.update(format!("{:?}", (name, diff, destination, payload, payload_of, conforms_to)));
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Offers a delivery of which so many rows are `left`, if it is worth it and there is anybody to help.
pub(super) async fn offer(
    runner: &Runner,
    job: &Job,
    run: &str,
    rows: u64,
    left: u64,
) -> Result<Option<Offer>, StoreError> {
    let settings = &runner.settings.fleet;
    let (Some(leases), Some(fence), Some(fleet)) = (&runner.leases, runner.fences.first(), &settings.name) else {
        return Ok(None);
    };
    if left < settings.share_from {
        return Ok(None);
    }
    let places = places(leases, fleet).await?.min(u32::try_from(job.destination.concurrency).unwrap_or(u32::MAX));
    if places < 2 {
        return Ok(None);
    }
    let offer = Offer {
        run: run.to_owned(),
        job: job.name.clone(),
        fleet: fleet.clone(),
        epoch: fence.epoch,
        rows,
        chunk_rows: settings.chunk_rows,
        places,
        plan: plan_of(job),
        at: runner.clock.now(),
    };
    leases.shares().put_offer(&offer).await?;
    tracing::info!(
        event = "delivery_offered",
        chunks = offer.chunks(),
        places,
        "delivery: other daemons of the fleet may help"
    );
    Ok(Some(offer))
}

/// The daemons that are there, this process included.
async fn places(leases: &Leases, fleet: &str) -> Result<u32, StoreError> {
    let all = leases.shares().leases().await?;
    let of = members_of(fleet);
    let members: Vec<&LeaseRecord> = all.iter().filter(|lease| lease.name.starts_with(&of)).collect();
    // A command beside a daemon has the job's lock in that home folder, so that the daemon cannot help.
    let is_one = members.iter().any(|member| member.holder == leases.holder());
    Ok(u32::try_from(members.len() + usize::from(!is_one)).unwrap_or(u32::MAX))
}

/// A job whose limits are one place's share of the destination's.
fn share_of(job: &Job, places: u32, number: u32) -> Job {
    let mut job = job.clone();
    let (of, number) = (places as usize, number as usize);
    let destination = &mut job.destination;
    destination.rate = destination.rate.map(|rate| Rate { per: rate.per * places, ..rate });
    destination.burst = destination.burst.map(|burst| (burst / places).max(1));
    destination.concurrency = destination.concurrency / of + usize::from(number < destination.concurrency % of);
    job
}

/// A place of a shared delivery.
struct Taken {
    kept: Kept,
    /// What this place sends by.
    runner: Runner,
    job: Arc<Job>,
}

/// Takes a place; `None`: somebody has it.
async fn take(runner: &Runner, job: &Job, offer: &Offer, number: u32) -> Result<Option<Taken>, PipelineError> {
    let Some(leases) = &runner.leases else { return Ok(None) };
    let what = format!("process {}, place {number} of {}", std::process::id(), offer.places);
    let taken = leases.take_under(&offer.parent(), &offer.place(number), &what).await?;
    let Ok(kept) = taken else { return Ok(None) };
    let fences = [offer.parent(), kept.fence().clone()];
    let runner = leased(runner, leases, &fences, kept.tenure());
    Ok(Some(Taken { kept, runner, job: Arc::new(share_of(job, offer.places, number)) }))
}

/// Delivers a run that is offered, together with whoever helps, to its end. What this place did, and whether all chunks are done.
pub(super) async fn deliver(
    runner: &Runner,
    job: &Arc<Job>,
    offer: &Offer,
    outbox: &Outbox,
    before: &Before,
) -> Result<(Summary, bool), PipelineError> {
    let Some(leases) = &runner.leases else { return Err(PipelineError::Internal("a share without leases".into())) };
    let done = deliver_open(runner, job, offer, outbox, before).await;
    // Whatever came of it: nobody begins anything more of it, and what is on ends.
    let closed = leases.shares().close_offer(&offer.run).await;
    let left = leases.all_ended(&offer.parent()).await;
    let done = done?;
    closed?;
    left?;
    Ok(done)
}

async fn deliver_open(
    runner: &Runner,
    job: &Arc<Job>,
    offer: &Offer,
    outbox: &Outbox,
    before: &Before,
) -> Result<(Summary, bool), PipelineError> {
    let mine = take(runner, job, offer, 0).await?;
    let mine = mine.ok_or_else(|| PipelineError::Internal("the first place of a share is taken".into()))?;
    let mut stop = runner.stop.clone();
    let (mut joined, mut is_through) = (Summary::default(), false);
    let outcome = async {
        let delivery = send::client(&mine.runner, &mine.job)?;
        loop {
            work(&mine, offer, outbox, (before, &delivery), &mut joined).await?;
            let state = share(&mine.runner, offer).await?;
            is_through = state.done >= state.chunks;
            if joined.stopped.is_some() || is_through {
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = stop.wait_for(|stop| *stop) => {
                    joined.stopped = Some(Stopped::asked());
                    return Ok(());
                }
            }
        }
    };
    let outcome: Result<(), PipelineError> = outcome.await;
    mine.kept.end().await;
    outcome.map(|()| (joined, is_through))
}

async fn share(runner: &Runner, offer: &Offer) -> Result<crate::store::ShareState, PipelineError> {
    let none = || PipelineError::Internal("a share that is not there".into());
    let leases = runner.leases.as_ref().ok_or_else(none)?;
    leases.shares().share(&offer.run).await?.ok_or_else(none)
}

/// Delivers chunk after chunk, as long as there is one to have and nothing stops it.
async fn work(
    taken: &Taken,
    offer: &Offer,
    outbox: &Outbox,
    (before, delivery): (&Before, &Delivery),
    joined: &mut Summary,
) -> Result<(), PipelineError> {
    let mut through = if *joined == Summary::default() { Through::First(delivery) } else { Through::Further(delivery) };
    let (runner, place) = (&taken.runner, taken.kept.fence());
    let Some(leases) = &runner.leases else { return Ok(()) };
    while joined.stopped.is_none() && !*runner.stop.borrow() {
        let Some(chunk) = leases.shares().claim_chunk(offer, place).await? else { break };
        let delivering = async {
            tracing::debug!(event = "chunk_taken", chunk, "delivery: a chunk is taken");
            failpoint!("share.taken");
            let rows = outbox.within(offer.rows_of(chunk));
            let (sent, _) = send::part(runner, &taken.job, &offer.run, rows, before, through).await?;
            let is_through = sent.stopped.is_none();
            joined.join(sent);
            if is_through {
                failpoint!("share.sent");
                leases.shares().finish_chunk(offer, place, chunk).await?;
            }
            Ok::<(), PipelineError>(())
        };
        delivering.instrument(spans::chunk(chunk)).await?;
        through = Through::Further(delivery);
    }
    Ok(())
}
