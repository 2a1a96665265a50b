//! The course of a run, each of its states a type: extracting → diffed → (held → approved →) published → delivering → finished.
//!
//! In: a run's record. Out: the record in its next state, durable before the stage begins that the state names.
//! Always holds: only the functions of a state lead out of it, so that nothing can be sent that is not published, and
//! nothing published that a guard holds. A run that was killed is found by the next start of its job ([`Course::begin`]):
//! what was published is taken over, what was not is discarded.

use super::{PipelineError, Runner, Since};
use crate::receipt::{Counts, Progress};
use crate::snapshot::Manifest;
use crate::store::{RunRecord, RunState, StoreError};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use std::marker::PhantomData;
use std::path::Path;

/// Reads and compares.
pub(super) struct Extracting;
/// Knows its change set.
pub(super) struct Diffed;
/// Is what the next run is compared with.
pub(super) struct Published;
/// Sends.
pub(super) struct Delivering;

/// What an extract had is under this name in a run's report, …
const SINCE: &str = "since";
/// … under this one, that it is about some orgs alone, …
pub(super) const SOME: &str = "some_orgs";
/// … and under this one, which columns make most orgs change.
const VOLATILE: &str = "volatile";
/// What the comparison has to say stays in the report when delivery has ended.
const FOUND: [&str; 3] = [SINCE, SOME, VOLATILE];

/// A run in the state `S`.
pub(super) struct Course<'a, S> {
    runner: &'a Runner,
    record: &'a mut RunRecord,
    state: PhantomData<S>,
}

impl<'a> Course<'a, Extracting> {
    /// Starts a run. The caller holds the job's lock, so no other run of the job is on: those that look as if they were are
    /// brought to their end first.
    pub(super) async fn begin(
        runner: &'a Runner,
        record: &'a mut RunRecord,
        dir: &Path,
    ) -> Result<Self, PipelineError> {
        recover(runner, &record.job, Manifest::load(dir)?.as_ref()).await?;
        runner.store.put_run(record, record.started_at).await?;
        failpoint!("run.recorded");
        Ok(Course { runner, record, state: PhantomData })
    }

    /// The change set is known. `since`: of an extract that has only what has changed. `some`: it is about some orgs alone. `volatile`: columns that
    /// make most orgs change.
    pub(super) async fn diffed(
        self,
        counts: Counts,
        since: Option<&Since>,
        some: bool,
        volatile: &[&str],
    ) -> Result<Course<'a, Diffed>, StoreError> {
        self.record.counts = counts;
        let mut found = Map::new();
        found.extend(since.map(|since| (SINCE.to_owned(), json!(since))));
        found.extend(some.then(|| (SOME.to_owned(), json!(true))));
        found.extend((!volatile.is_empty()).then(|| (VOLATILE.to_owned(), json!(volatile))));
        self.record.report = (!found.is_empty()).then_some(Value::Object(found));
        self.enter(RunState::Diffed).await
    }

    /// The extract does not go with what is known.
    pub(super) async fn held(self, reasons: &[String]) -> Result<(), StoreError> {
        self.end(RunState::Held, reasons).await
    }
}

impl<'a> Course<'a, Diffed> {
    /// A guard says no.
    pub(super) async fn held(self, reasons: &[String]) -> Result<(), StoreError> {
        self.record.counts.pending = self.record.counts.planned();
        self.end(RunState::Held, reasons).await
    }

    /// The manifest names this run. What earlier runs had left is part of its change set.
    pub(super) async fn published(self) -> Result<Course<'a, Published>, StoreError> {
        let (runner, run) = (self.runner, self.record.id.clone());
        self.record.counts.pending = self.record.counts.planned();
        let course = self.enter(RunState::Published).await?;
        failpoint!("publish.recorded");
        supersede(runner, &course.record.job, &run).await?;
        Ok(course)
    }
}

impl<'a> Course<'a, Published> {
    /// Takes up a run that was published earlier and is not through.
    pub(super) fn take_up(runner: &'a Runner, record: &'a mut RunRecord) -> Self {
        (record.reason, record.finished_at) = (None, None);
        Course { runner, record, state: PhantomData }
    }

    /// The first request is about to leave.
    pub(super) async fn delivering(self) -> Result<Course<'a, Delivering>, StoreError> {
        let course = self.enter(RunState::Delivering).await?;
        failpoint!("delivery.begun");
        Ok(course)
    }

    /// Nothing is sent now, for this reason.
    pub(super) async fn rests(self, reason: Option<String>) -> Result<Counts, StoreError> {
        let now = self.runner.clock.now();
        (self.record.reason, self.record.finished_at) = (reason, Some(now));
        self.runner.store.put_run(self.record, now).await?;
        Ok(self.record.counts)
    }

    /// It has nothing to send, and is at its end, for this reason.
    pub(super) async fn settled(self, reason: String) -> Result<Counts, StoreError> {
        let now = self.runner.clock.now();
        (self.record.reason, self.record.finished_at) = (Some(reason), Some(now));
        let counts = self.record.counts;
        self.enter::<()>(RunState::Finished).await?;
        Ok(counts)
    }

    /// As recorded.
    pub(super) fn state(&self) -> RunState {
        self.record.state
    }

    /// The run's id.
    pub(super) fn run(&self) -> &str {
        &self.record.id
    }
}

impl Course<'_, Delivering> {
    /// Delivery ended in order. It is finished if nothing is left; else it waits to be taken up or superseded. `progress`: what
    /// is known of its rows now. `set_aside`: rows that were passed over although nothing is known of them.
    /// `were_tried`: every row that was to be sent.
    pub(super) async fn ended(
        self,
        mut progress: Progress,
        set_aside: u64,
        were_tried: bool,
        reason: Option<String>,
        mut report: Value,
    ) -> Result<(RunState, Counts), StoreError> {
        let now = self.runner.clock.now();
        progress.release();
        let counts = self.record.counts.delivered(&progress, set_aside);
        self.record.counts = counts;
        (self.record.reason, self.record.finished_at) = (reason, Some(now));
        for name in FOUND {
            let found = self.record.report.as_mut().and_then(|earlier| earlier.get_mut(name)).map(Value::take);
            if let (Some(found), Value::Object(report)) = (found, &mut report) {
                report.insert(name.to_owned(), found);
            }
        }
        self.record.report = Some(report);
        // A row that was refused earlier is tried again by `retry`: where that was stopped short of it, the run is not at its end.
        if counts.pending == 0 && (were_tried || counts.refused + counts.unknown == 0) {
            self.record.state = RunState::Finished;
        }
        failpoint!("run.before_final_record");
        self.runner.store.end_delivery(self.record, now).await?;
        failpoint!("run.ended");
        Ok((self.record.state, counts))
    }
}

impl<'a, S> Course<'a, S> {
    async fn enter<T>(self, next: RunState) -> Result<Course<'a, T>, StoreError> {
        debug_assert!(self.record.state.may_become(next) || self.record.state == next);
        self.record.state = next;
        self.runner.store.put_run(self.record, self.runner.clock.now()).await?;
        tracing::info!(event = "run_state", state = next.as_str(), "run");
        Ok(Course { runner: self.runner, record: self.record, state: PhantomData })
    }

    async fn end(self, state: RunState, reasons: &[String]) -> Result<(), StoreError> {
        self.record.reason = Some(reasons.join("; "));
        self.record.finished_at = Some(self.runner.clock.now());
        self.enter::<S>(state).await.map(drop)
    }
}

/// A run that was held is published, because somebody has approved it: `why`. What earlier runs had left is part of its change set.
pub(super) async fn approved(runner: &Runner, record: &mut RunRecord, why: String) -> Result<(), StoreError> {
    record.counts.pending = record.counts.planned();
    (record.reason, record.finished_at) = (Some(why), None);
    let (job, run) = (record.job.clone(), record.id.clone());
    let course = Course::<Diffed> { runner, record, state: PhantomData };
    course.enter::<Published>(RunState::Published).await?;
    failpoint!("held.approved");
    supersede(runner, &job, &run).await
}

/// Records that a run could not be done. What was published before stays published: its record says how far it came.
pub(super) async fn failed(runner: &Runner, record: &mut RunRecord, error: &PipelineError) -> Result<(), StoreError> {
    let now = runner.clock.now();
    (record.reason, record.finished_at) = (Some(error.to_string()), Some(now));
    if !record.state.is_published() {
        record.state = match error {
            // As if its process had ended.
            PipelineError::Stopped(_) => RunState::Discarded,
            _ => RunState::Failed,
        };
    }
    runner.store.put_run(record, now).await
}

/// Brings runs to their end whose process is gone. `manifest`: what is published.
pub(super) async fn recover(runner: &Runner, job: &str, manifest: Option<&Manifest>) -> Result<(), StoreError> {
    let now = runner.clock.now();
    if let Some(manifest) = manifest {
        after_all(runner, &manifest.run, now).await?;
    }
    for mut run in runner.store.open_runs(job).await? {
        let is_current = manifest.is_some_and(|m| m.run == run.id);
        match run.state {
            // Approved; the record of that is what is missing.
            RunState::Extracting | RunState::Diffed | RunState::Held if is_current => {
                run.state = RunState::Published;
                run.counts = run.counts.delivered(&Progress::default(), 0);
                run.finished_at = None;
                run.reason = Some("its process ended right after the publication; nothing was sent".to_owned());
            }
            RunState::Extracting | RunState::Diffed => {
                run.state = RunState::Discarded;
                run.reason = Some("its process ended before anything was published; nothing was sent".to_owned());
                run.finished_at = Some(now);
            }
            RunState::Delivering => {
                // An orderly end leaves nothing under way; the process that failed and lived has ended its record, no more.
                let is_cut_off = run.finished_at.is_none();
                let mut progress = runner.store.progress(&run.id).await?;
                if !is_cut_off && progress.attempting.is_empty() {
                    continue;
                }
                runner.store.cut_off(&run.id).await?;
                failpoint!("recover.cut_off");
                progress.cut_off();
                run.counts = run.counts.delivered(&progress, 0);
                if is_cut_off {
                    run.reason = Some(CUT_OFF.to_owned());
                    run.finished_at = Some(now);
                }
            }
            // Killed before it could say so of the earlier ones.
            RunState::Published if is_current => {
                supersede(runner, job, &run.id).await?;
                continue;
            }
            _ => continue,
        }
        runner.store.put_run(&run, now).await?;
        if is_current {
            supersede(runner, job, &run.id).await?;
        }
    }
    Ok(())
}

/// A run that was given up may have been published all the same: the answer of the store that snapshots are shared in was lost.
async fn after_all(runner: &Runner, run: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    let Some(mut run) = runner.store.run(run).await? else { return Ok(()) };
    if !matches!(run.state, RunState::Failed | RunState::Discarded) {
        return Ok(());
    }
    run.state = RunState::Published;
    run.counts = run.counts.delivered(&Progress::default(), 0);
    run.reason = Some("it was given up, and turned out to be published; nothing was sent".to_owned());
    runner.store.put_run(&run, now).await
}

const CUT_OFF: &str = "its process ended while it was sending; what may have been in flight counts as unknown";

/// Nobody can approve earlier runs of the job any more that were held: `by` was held after them.
pub(super) async fn replace_held(runner: &Runner, job: &str, by: &str) -> Result<(), StoreError> {
    let held = runner.store.open_runs(job).await?.into_iter().filter(|run| run.state == RunState::Held && run.id != by);
    for mut run in held {
        let earlier = run.reason.take().map(|reason| format!("{reason}; ")).unwrap_or_default();
        run.reason = Some(format!("{earlier}run {by} was held after it"));
        run.state = RunState::Superseded;
        runner.store.put_run(&run, runner.clock.now()).await?;
    }
    Ok(())
}

/// What earlier runs of the job had left is part of the change set of `by`.
async fn supersede(runner: &Runner, job: &str, by: &str) -> Result<(), StoreError> {
    let now = runner.clock.now();
    for mut run in runner.store.open_runs(job).await?.into_iter().filter(|run| run.id != by) {
        let earlier = run.reason.take().map(|reason| format!("{reason}; ")).unwrap_or_default();
        run.reason = Some(format!("{earlier}what was left of it is part of run {by}"));
        run.state = RunState::Superseded;
        run.finished_at = run.finished_at.or(Some(now));
        runner.store.put_run(&run, now).await?;
    }
    Ok(())
}
