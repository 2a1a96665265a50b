//! A baseline without sending: tonight's extract counts as what the destination has.
//!
//! Always holds: nothing is sent, now or by `retry`; the next run sends what differs from this extract. What was known before, if there was anything, is
//! forgotten by the same rename that publishes the baseline, and stays on the disk as an earlier snapshot to return to.

use super::aim::Aim;
use super::course::Course;
use super::measured::Measured;
use super::plan::plan;
use super::planned::{PlanInput, Planned};
use super::{PipelineError, Purpose, Reach, Resources, RunReport, Runner, Since, shared, tidy};
use crate::clock::Clock;
use crate::config::Home;
use crate::job::spec::Job;
use crate::snapshot::{Manifest, Sharing};
use crate::spans;
use crate::store::{RefusalChange, RunRecord, RunState, RunStore};
use std::path::Path;
use std::sync::Arc;
use tracing::Instrument as _;

impl Runner {
    /// Takes tonight's extract for what the destination has. `replaces`: also if something is known of it. `approved`: also if a guard says no.
    /// `who`: who says so.
    ///
    /// # Errors
    /// [`PipelineError::HasSnapshot`], [`PipelineError::NoBaseline`]; whatever keeps a run from being published.
    pub async fn adopt(
        &self,
        job: Arc<Job>,
        replaces: bool,
        approved: bool,
        who: &str,
    ) -> Result<RunReport, PipelineError> {
        let span = spans::run(&job.name);
        self.take_baseline(job, replaces, approved, who).instrument(span).await
    }

    async fn take_baseline(
        &self,
        job: Arc<Job>,
        replaces: bool,
        approved: bool,
        who: &str,
    ) -> Result<RunReport, PipelineError> {
        let hold = self.hold_job(&job.name, "adoption of a baseline").await?;
        let outcome = hold.runner().baseline_held(job, replaces, approved, who).await;
        hold.end().await;
        outcome
    }

    async fn baseline_held(
        &self,
        job: Arc<Job>,
        replaces: bool,
        approved: bool,
        who: &str,
    ) -> Result<RunReport, PipelineError> {
        let dir = self.home.snapshots(&job.name);
        let sharing = shared::begin(self, &job.name).await?;
        let current = Manifest::load(&dir)?;
        refuse_if_there(&job.name, current.as_ref(), replaces)?;
        let run = self.clock.run_id();
        let run = match &current {
            Some(current) => self.clock.run_id_after(run, &current.run),
            None => run,
        };
        spans::tell_run(&run);
        let measured = Measured::begin(self, &job.name);
        let mut record = RunRecord::new(&run, &job.name, self.clock.now());
        let why = match &current {
            Some(current) => {
                format!("taken as the baseline by {who} in place of run {}; nothing was sent", current.run)
            }
            None => format!("taken as the baseline by {who}; nothing was sent"),
        };
        let outcome = self.baseline(&job, &dir, approved, why, sharing, &mut record).await;
        let outcome = self.close(outcome, &mut record).await;
        measured.ended(record.state);
        tidy::forget_old_runs(self, &job.name, &dir).await;
        outcome
    }

    async fn baseline(
        &self,
        job: &Arc<Job>,
        dir: &Path,
        approved: bool,
        why: String,
        sharing: Option<Arc<Sharing>>,
        record: &mut RunRecord,
    ) -> Result<RunReport, PipelineError> {
        let (run, at) = (record.id.clone(), record.started_at);
        let course = Course::begin(self, record, dir).await?;
        // A baseline has all orgs, also of a query that can give those that have changed.
        let input = PlanInput::new(Arc::clone(job), &self.home, run.clone(), at, Since::default());
        let aim = Aim::baseline(Purpose::Run);
        let planned = self.plan_for(input, aim).instrument(spans::stage("plan")).await?;
        if !planned.held.is_empty() && !approved {
            return Err(PipelineError::NoBaseline { job: job.name.clone(), reasons: planned.held.clone() });
        }
        let course = course.diffed(planned.counts, planned.since(), false, &[]).await?;
        let planned = Arc::new(self.publish(planned, sharing).instrument(spans::stage("publish")).await?);
        let course = course.published().await?;
        // No row of the baseline is a version that was refused.
        let refused = self.store.refusals(Some(&job.name)).await?;
        let refused: Vec<String> = refused.into_iter().map(|refusal| refusal.webhook_id).collect();
        self.store.change_refusals(&job.name, &refused, RefusalChange::Forget).await?;
        let counts = course.settled(why).await?;
        let (held, planned) = (Vec::new(), Some(planned));
        Ok(RunReport { run, state: RunState::Finished, counts, held, planned, delivery: None, dead_letters: 0 })
    }
}

fn refuse_if_there(job: &str, current: Option<&Manifest>, replaces: bool) -> Result<(), PipelineError> {
    match current.filter(|_| !replaces) {
        Some(current) => Err(PipelineError::HasSnapshot { job: job.to_owned(), run: current.run.clone() }),
        None => Ok(()),
    }
}

/// What [`Runner::adopt`] would take. Changes nothing on disk.
///
/// # Errors
/// As there.
pub async fn preview_adoption(
    job: Arc<Job>,
    home: &Home,
    store: Option<&dyn RunStore>,
    clock: &Arc<dyn Clock>,
    resources: Resources,
    replaces: bool,
) -> Result<Planned, PipelineError> {
    refuse_if_there(&job.name, Manifest::load(&home.snapshots(&job.name))?.as_ref(), replaces)?;
    let input = PlanInput::to_look(job, home, store, clock, Reach::All).await?;
    plan(input, store, clock, resources, Aim::baseline(Purpose::Preview), None).await
}
