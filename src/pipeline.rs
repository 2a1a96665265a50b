//! The order in which a row travels, in one place:
//!
//! job → source → row → normalise → diff → guard → changeset → template → deliver → receipt → snapshot
//!
//! In: a validated job, the home folder, the state store. Out: [`Planned`] (what would be sent) or [`RunReport`] (what was).
//! Always holds: nothing is published or sent before every guard has passed; base and changes are published before the
//! first request leaves; a run that cannot go on leaves the snapshot as it was, and its record says why.
//! Deliberately absent: printing, schedules; the stages themselves.

mod adopt;
mod aim;
mod asides;
mod backfill;
mod bodies;
mod columns;
mod compare;
mod course;
mod decide;
mod error;
mod explain;
mod extract;
mod faults;
mod hold;
mod look;
mod measured;
mod messages;
mod outbox;
mod peeked;
mod pinning;
mod plan;
mod planned;
mod planning;
mod report;
mod rollback;
mod runner;
mod sample;
mod scan;
mod seen;
mod selection;
mod send;
mod service;
mod share;
mod shared;
mod shown;
mod since;
mod spill;
mod survey;
mod tally;
mod texts;
mod tidy;
mod turns;
mod whole;

pub use adopt::preview_adoption;
pub use aim::Purpose;
pub use backfill::{Asked as AskedBackfill, Backfill, BackfillEnd, Filled, Prepared, Sheet, backfills};
pub use bodies::Bodies;
pub use decide::{HeldRun, held_run};
pub use error::{PipelineError, drift_reasons};
pub use explain::{Explained, ExplainedColumn, Fate, Position, explain};
pub use hold::is_own_run;
pub use look::{Looked, look};
pub use pinning::{PinnedColumn, Pinning, Standing, pinning};
pub use plan::{Resources, plan_blocking};
pub use planned::{PlanInput, Planned};
pub use planning::preview;
pub use report::RunReport;
pub use rollback::{Earlier, Return};
pub use runner::{How, Runner};
pub use sample::{Answering, Sample, advice, sample};
pub use selection::Selection;
pub use send::{SendProgress, check_destination, missing_secrets, probe_destination};
pub use share::member;
pub use shared::{freshen, freshen_for_run, try_shared};
pub use shown::ShownChange;
pub use since::{Reach, Since, Standstill};
pub use survey::{Asked, Observed, Survey, Surveyed, survey, survey_of_job};

use crate::job::spec::Job;
use crate::receipt::Counts;
use crate::snapshot::{Manifest, Sharing};
use crate::spans;
use crate::store::RunRecord;
use aim::{Aim, Share};
use course::Course;
use measured::Measured;
use outbox::Outbox;
use std::path::Path;
use std::sync::Arc;
use tracing::Instrument as _;

impl Runner {
    /// Runs a job from extract to receipts.
    ///
    /// # Errors
    /// Whatever kept it from being done; the run's record has the reason too.
    pub async fn run(&self, job: Arc<Job>, how: How) -> Result<RunReport, PipelineError> {
        let span = spans::run(&job.name);
        self.run_all(job, how, Aim::usual(Purpose::Run)).instrument(span).await
    }

    async fn run_all(&self, job: Arc<Job>, how: How, aim: Aim) -> Result<RunReport, PipelineError> {
        let run = self.clock.run_id();
        let what = match aim.share {
            Share::Differing => format!("backfill run {run}"),
            Share::Usual | Share::Same => format!("run {run}"),
        };
        let hold = self.hold_job(&job.name, &what).await?;
        let outcome = hold.runner().run_held(job, how, aim, run).await;
        hold.end().await;
        outcome
    }

    async fn run_held(&self, job: Arc<Job>, how: How, aim: Aim, run: String) -> Result<RunReport, PipelineError> {
        let dir = self.home.snapshots(&job.name);
        let measured = Measured::begin(self, &job.name);
        let mut record = RunRecord::new(&run, &job.name, self.clock.now());
        let began = shared::begin(self, &job.name).await;
        let is_begun = began.is_ok();
        let outcome = match began {
            Ok(sharing) => {
                // A manifest that cannot be read is reported by the first stage.
                if let Some(current) = Manifest::load(&dir).ok().flatten() {
                    record.id = self.clock.run_id_after(run, &current.run);
                }
                spans::tell_run(&record.id);
                self.stages(&job, &dir, how, aim, sharing, &mut record).await
            }
            Err(error) => {
                spans::tell_run(&record.id);
                Err(error)
            }
        };
        let outcome = self.close(outcome, &mut record).await;
        measured.ended(record.state);
        if is_begun {
            // Otherwise it is not known here which run is current.
            tidy::forget_old_runs(self, &job.name, &dir).await;
        }
        outcome
    }

    /// Sends what is left of the run that is published, without a new extract.
    ///
    /// # Errors
    /// Whatever kept it from being done; nothing published, and a run that the state store does not know.
    pub async fn retry(&self, job: Arc<Job>) -> Result<RunReport, PipelineError> {
        let span = spans::run(&job.name);
        self.take_up(job).instrument(span).await
    }

    async fn take_up(&self, job: Arc<Job>) -> Result<RunReport, PipelineError> {
        if self.settings.snapshots.shared.is_none() {
            // No folder is made for a job that has none.
            let nothing = || PipelineError::NothingPublished(job.name.clone());
            Manifest::load(&self.home.snapshots(&job.name))?.ok_or_else(nothing)?;
        }
        let hold = self.hold_job(&job.name, "retry").await?;
        let outcome = hold.runner().retry_held(job).await;
        hold.end().await;
        outcome
    }

    async fn retry_held(&self, job: Arc<Job>) -> Result<RunReport, PipelineError> {
        shared::begin(self, &job.name).await?;
        let dir = self.home.snapshots(&job.name);
        let manifest = Manifest::load(&dir)?.ok_or_else(|| PipelineError::NothingPublished(job.name.clone()))?;
        spans::tell_run(&manifest.run);
        course::recover(self, &job.name, Some(&manifest)).await?;
        let Some(mut record) = self.store.run(&manifest.run).await? else {
            return Err(PipelineError::Forgotten { job: job.name.clone(), run: manifest.run });
        };
        let measured = Measured::begin(self, &job.name);
        let outcome = self.resume(&job, &dir, manifest, &mut record).await;
        let outcome = self.close(outcome, &mut record).await;
        measured.ended(record.state);
        outcome
    }

    async fn close<T>(&self, outcome: Result<T, PipelineError>, record: &mut RunRecord) -> Result<T, PipelineError> {
        if let Err(error) = &outcome
            && let Err(store) = course::failed(self, record, error).await
        {
            // What the caller is told is why the run failed; this is only why its record does not say so.
            tracing::warn!(event = "run_not_recorded", error = %store, "the failure could not be recorded");
        }
        outcome
    }

    async fn stages(
        &self,
        job: &Arc<Job>,
        dir: &Path,
        how: How,
        mut aim: Aim,
        sharing: Option<Arc<Sharing>>,
        record: &mut RunRecord,
    ) -> Result<RunReport, PipelineError> {
        let (run, started_at) = (record.id.clone(), record.started_at);
        let course = Course::begin(self, record, dir).await?;
        // Secrets are looked up first: a missing one should be known before an hour of extraction.
        let delivery = send::client(self, job)?;
        let since = since::last_success(&job.name, dir, Some(&*self.store), started_at, how.reach).await?;
        let is_some = aim.only.is_some();
        if is_some {
            let stays = since::last_success(&job.name, dir, Some(&*self.store), started_at, Reach::SinceLastSuccess);
            aim.since = stays.await?.last_success;
        }
        let input = PlanInput::new(Arc::clone(job), &self.home, run.clone(), started_at, since);
        let planned = self.plan_for(input, aim).instrument(spans::stage("plan")).await;
        let planned = match planned {
            Err(PipelineError::Drift(drift)) => {
                let reasons = drift_reasons(&job.name, &drift);
                course.held(&reasons).await?;
                return Ok(RunReport::held(run, Counts::default(), reasons, None));
            }
            other => other?,
        };
        self.metrics.run_planned(&job.name, &planned.counts);
        let course = course.diffed(planned.counts, planned.since(), is_some, &planned.volatile()).await?;
        if !planned.held.is_empty() && !how.approved {
            let planned = self.hold(planned).await?;
            course.held(&planned.held).await?;
            course::replace_held(self, &job.name, &run).await?;
            let counts = Counts { pending: planned.counts.planned(), ..planned.counts };
            return Ok(RunReport::held(run, counts, planned.held.clone(), Some(Arc::new(planned))));
        }
        failpoint!("plan.ready");
        let planned = Arc::new(self.publish(planned, sharing).instrument(spans::stage("publish")).await?);
        failpoint!("publish.done");
        let course = course.published().await?;
        if !how.sends {
            let counts = course.rests(Some("published and not sent (--no-send)".to_owned())).await?;
            return Ok(RunReport::unsent(run, counts, planned));
        }
        let sending = send::send(self, job, planned.outbox(), delivery, course);
        let sent = sending.instrument(spans::stage("deliver")).await?;
        Ok(RunReport::sent(run, sent, Some(planned)))
    }

    async fn resume(
        &self,
        job: &Arc<Job>,
        dir: &Path,
        manifest: Manifest,
        record: &mut RunRecord,
    ) -> Result<RunReport, PipelineError> {
        let (run, at) = (record.id.clone(), record.started_at);
        let delivery = send::client(self, job)?;
        let (of, dir) = (Arc::clone(job), dir.to_owned());
        let opening = tokio::task::spawn_blocking(spans::within(move || Outbox::published(&of, &dir, &manifest, at)));
        let outbox = opening.await.map_err(|e| PipelineError::Internal(e.to_string()))??;
        let sending = send::send(self, job, outbox, delivery, Course::take_up(self, record));
        let sent = sending.instrument(spans::stage("deliver")).await?;
        Ok(RunReport::sent(run, sent, None))
    }

    /// What a guard holds stays on the disk, for whoever approves it.
    async fn hold(&self, mut planned: Planned) -> Result<Planned, PipelineError> {
        let at = self.clock.now();
        let held = tokio::task::spawn_blocking(move || planned.hold(at).map(|()| planned));
        held.await.map_err(|e| PipelineError::Internal(e.to_string()))?
    }

    async fn publish(&self, mut planned: Planned, sharing: Option<Arc<Sharing>>) -> Result<Planned, PipelineError> {
        let at = self.clock.now();
        let publish = spans::within(move || planned.publish(at, sharing.as_deref()).map(|_| planned));
        tokio::task::spawn_blocking(publish).await.map_err(|e| PipelineError::Internal(e.to_string()))?
    }
}
