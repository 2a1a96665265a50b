//! Helping with a delivery that another daemon offers.

use super::{LOOK, Taken, plan_of, share, take, work};
use crate::deliver::Summary;
use crate::job::secrets::Secrets;
use crate::job::spec::Job;
use crate::pipeline::outbox::Outbox;
use crate::pipeline::send::Before;
use crate::pipeline::{PipelineError, Runner, send, service, shared};
use crate::snapshot::{JobLock, Manifest, SnapshotError};
use crate::spans;
use crate::store::Offer;
use std::sync::Arc;
use tokio::sync::watch;
use tracing::Instrument as _;

impl Runner {
    /// Sends chunks of a delivery that is offered, until it is closed or there are none. `None`: this daemon cannot help now (another version of the
    /// job, all places taken, the job is busy here).
    ///
    /// # Errors
    /// Whatever keeps it from helping; whoever offers goes on without.
    pub async fn help(&self, job: Arc<Job>, offer: &Offer) -> Result<Option<Summary>, PipelineError> {
        if plan_of(&job) != offer.plan {
            return Ok(None);
        }
        let span = spans::run(&job.name);
        async {
            spans::tell_run(&offer.run);
            self.help_here(job, offer).await
        }
        .instrument(span)
        .await
    }

    async fn help_here(&self, job: Arc<Job>, offer: &Offer) -> Result<Option<Summary>, PipelineError> {
        let dir = self.home.snapshots(&job.name);
        if JobLock::is_held(&dir) == Some(true) {
            return Ok(None);
        }
        let holder = format!("process {}, which helps with run {}", std::process::id(), offer.run);
        let _lock = match JobLock::take(&dir, &job.name, &holder) {
            Err(SnapshotError::Busy { .. }) => return Ok(None),
            taken => taken?,
        };
        // Told by the one that offers that it is over.
        let (end, ending) = watch::channel(false);
        let runner = Runner { stop: ending, ..self.clone() };
        for number in 1..offer.places {
            if let Some(taken) = take(&runner, &job, offer, number).await? {
                let helped = self.at_place(&taken, &job, offer, end).await;
                taken.kept.end().await;
                return helped;
            }
        }
        Ok(None)
    }

    async fn at_place(
        &self,
        taken: &Taken,
        job: &Arc<Job>,
        offer: &Offer,
        end: watch::Sender<bool>,
    ) -> Result<Option<Summary>, PipelineError> {
        let Some(outbox) = self.outbox_of(job, offer).await? else { return Ok(None) };
        tracing::info!(event = "helping", "delivery: this daemon helps with a run of another");
        let mut joined = Summary::default();
        let before = Before::load(&taken.runner, job).await?;
        let helping = async {
            let delivery = send::client(&taken.runner, &taken.job)?;
            loop {
                work(taken, offer, &outbox, (&before, &delivery), &mut joined).await?;
                let state = share(&taken.runner, offer).await?;
                if !state.is_open || state.done >= state.chunks || joined.stopped.is_some() {
                    return Ok::<(), PipelineError>(());
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let helping = helping.instrument(spans::stage("deliver"));
        let mut stop = self.stop.clone();
        let over = async {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    _ = stop.wait_for(|stop| *stop) => break,
                }
                // What cannot be asked now is asked again: the place's lease says whether it counts.
                if share(&taken.runner, offer).await.is_ok_and(|state| !state.is_open) {
                    break;
                }
            }
            let _ = end.send(true);
            // What is in flight ends.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            helped = helping => helped?,
            () = over => {}
        }
        service::note(&taken.runner, &taken.job, &offer.run, &joined).await?;
        tracing::info!(
            event = "helped",
            acknowledged = joined.acknowledged,
            refused = joined.refused,
            unknown = joined.unknown,
            "delivery: this daemon has helped"
        );
        Ok(Some(joined))
    }

    /// The change set of a run that another machine has published; `None`: a later one is there by now.
    async fn outbox_of(&self, job: &Arc<Job>, offer: &Offer) -> Result<Option<Outbox>, PipelineError> {
        let Some(record) = self.store.run(&offer.run).await? else { return Ok(None) };
        let (home, settings, job, run) = (self.home.clone(), self.settings.clone(), Arc::clone(job), offer.run.clone());
        let opening = tokio::task::spawn_blocking(spans::within(move || {
            shared::bring(&home, &settings, &job.name)?;
            let dir = home.snapshots(&job.name);
            let Some(manifest) = Manifest::load(&dir)?.filter(|manifest| manifest.run == run) else { return Ok(None) };
            let outbox = Outbox::published(&job, &dir, &manifest, record.started_at)?;
            outbox.with_secrets(&job, &Secrets::new(&home)).map(Some)
        }));
        opening.await.map_err(|error| PipelineError::Internal(error.to_string()))?
    }
}
