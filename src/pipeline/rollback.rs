//! Back to an earlier snapshot that is kept: what the destination was known to have after that run is what it is known to have now.
//!
//! A return is a publication of its own: a run without changes, whose files say what the earlier run's said together with what is known of its
//! deliveries. So it takes effect by the one rename, run ids go on in order, the snapshot that is left stays as an earlier one, and neither `retry` nor
//! a repeat can send what the earlier run had left. Always holds: nothing is sent; a kill leaves the one snapshot or the other in force.

use super::aim::{Aim, Versus};
use super::compare::{Comparison, Side};
use super::course::Course;
use super::measured::Measured;
use super::plan::plan;
use super::planned::{PlanInput, Planned};
use super::{PipelineError, Purpose, Runner, Since, shared, since, tidy};
use crate::job::spec::{Job, Triggers};
use crate::receipt::{Counts, Progress};
use crate::snapshot::{
    self, Basis, Draft, Manifest, Partition, Publication, Publishing, Shape, Sharing, Snapshot, SnapshotError, Target,
    Unknown,
};
use crate::spans;
use crate::store::{RunRecord, RunState};
use chrono::{DateTime, Utc};
use std::path::Path;
use std::sync::Arc;
use tracing::Instrument as _;

/// A snapshot that can be returned to.
#[derive(Debug, Clone)]
pub struct Earlier {
    /// Its manifest.
    pub manifest: Manifest,
    /// What is known of the deliveries of its run.
    progress: Progress,
    /// The run that is in force.
    pub current: String,
    /// `{{last_success}}` after it.
    last_success: Option<DateTime<Utc>>,
}

/// A return, done.
#[derive(Debug, Clone)]
pub struct Return {
    /// The run that it was made as.
    pub run: String,
    /// Orgs that are known now.
    pub orgs: u64,
    /// Of these, orgs in doubt, which the next run sends whatever they are.
    pub unacknowledged: u64,
}

impl Runner {
    /// The snapshot of a run to return to.
    ///
    /// # Errors
    /// [`PipelineError::NoReturn`]; files that are not as they were written.
    pub async fn earlier(&self, job: &Job, run: &str) -> Result<Earlier, PipelineError> {
        let dir = self.home.snapshots(&job.name);
        let no =
            |why: &str| PipelineError::NoReturn { job: job.name.clone(), run: run.to_owned(), why: why.to_owned() };
        let Some(current) = Manifest::load(&dir)? else { return Err(no("nothing is published yet")) };
        if current.run == run {
            return Err(no("it is the one that is in force"));
        }
        let known = snapshot::published(&dir)?.into_iter().find(|published| published.run == run);
        let manifest = match known.map(|published| published.manifest) {
            None => return Err(no("its snapshot is not kept here")),
            Some(None) => return Err(no("it was published by a version that kept no copy of its manifest")),
            Some(Some(manifest)) => manifest?,
        };
        let progress = self.store.progress(run).await?;
        let record = self.store.run(run).await?;
        let last_success = since::up_to(&manifest, record.as_ref(), self.clock.now());
        Ok(Earlier { manifest, progress, current: current.run, last_success })
    }

    /// What the next run would send after a return. Changes nothing on disk.
    ///
    /// # Errors
    /// Whatever keeps tonight's extract from being compared.
    pub async fn preview_return(&self, job: Arc<Job>, to: &Earlier) -> Result<Planned, PipelineError> {
        let since = Since { last_success: to.last_success, standstill: None };
        let input = PlanInput::new(job, &self.home, self.clock.run_id(), self.clock.now(), since);
        let aim = Aim { versus: Versus::Earlier(Box::new(to.manifest.clone())), ..Aim::usual(Purpose::Preview) };
        plan(input, Some(&*self.store), &self.clock, self.resources, aim, None).await
    }

    /// Makes the snapshot of an earlier run the one that is in force. `who`: who wants it.
    ///
    /// # Errors
    /// As [`earlier`](Self::earlier); another snapshot has come into force than the one that was left; a disk that cannot be written.
    pub async fn roll_back(&self, job: Arc<Job>, to: &Earlier, who: &str) -> Result<Return, PipelineError> {
        let span = spans::run(&job.name);
        self.go_back(job, to, who).instrument(span).await
    }

    async fn go_back(&self, job: Arc<Job>, to: &Earlier, who: &str) -> Result<Return, PipelineError> {
        let hold = self.hold_job(&job.name, "rollback").await?;
        let outcome = hold.runner().go_back_held(job, to, who).await;
        hold.end().await;
        outcome
    }

    async fn go_back_held(&self, job: Arc<Job>, to: &Earlier, who: &str) -> Result<Return, PipelineError> {
        let dir = self.home.snapshots(&job.name);
        let sharing = shared::begin(self, &job.name).await?;
        // It may have been retired, or more may be known of it, since it was looked at.
        let now = self.earlier(&job, &to.manifest.run).await?;
        if now.current != to.current {
            let why = format!("run {} has been published since that was looked at", now.current);
            return Err(PipelineError::NoReturn { job: job.name.clone(), run: to.manifest.run.clone(), why });
        }
        let run = self.clock.run_id_after(self.clock.run_id(), &now.current);
        spans::tell_run(&run);
        let measured = Measured::begin(self, &job.name);
        let mut record = RunRecord::new(&run, &job.name, self.clock.now());
        let outcome = self.make_return(&dir, now, who, sharing, &mut record).await;
        let outcome = self.close(outcome, &mut record).await;
        measured.ended(record.state);
        tidy::forget_old_runs(self, &job.name, &dir).await;
        outcome
    }

    async fn make_return(
        &self,
        dir: &Path,
        to: Earlier,
        who: &str,
        sharing: Option<Arc<Sharing>>,
        record: &mut RunRecord,
    ) -> Result<Return, PipelineError> {
        let run = record.id.clone();
        let why = format!("back to the snapshot of run {} by {who}; nothing was sent", to.manifest.run);
        let course = Course::begin(self, record, dir).await?;
        let course = course.diffed(Counts::default(), None, false, &[]).await?;
        let (of, id, at) = (dir.to_owned(), run.clone(), self.clock.now());
        let making = tokio::task::spawn_blocking(spans::within(move || publish(&of, &id, at, to, sharing.as_deref())));
        let (orgs, unacknowledged) = making.await.map_err(|e| PipelineError::Internal(e.to_string()))??;
        course.published().await?.settled(why).await?;
        debug_assert_eq!(record.state, RunState::Finished);
        Ok(Return { run, orgs, unacknowledged })
    }
}

/// Writes what was known after the earlier run as a snapshot of its own, and publishes it. Returns how many orgs it knows, and how many changes of the
/// earlier run are not acknowledged.
fn publish(
    dir: &Path,
    run: &str,
    at: DateTime<Utc>,
    to: Earlier,
    sharing: Option<&Sharing>,
) -> Result<(u64, u64), PipelineError> {
    refuse_if_damaged(dir, &to.manifest)?;
    let basis = Basis::of(&to.manifest);
    let unknown = Unknown::new(Some(&to.manifest));
    let snapshot = Snapshot::open(dir, to.manifest.clone(), &to.progress)?;
    let unacknowledged = snapshot.unacknowledged_changes();
    let mut draft = Draft::new(dir, run)?;
    // All orgs are kept; a base without any is a file, too.
    let base = draft.base_writer(&basis.schema)?.finish()?;
    draft.take_base(base);
    let mut side = Side::load(Some(&snapshot), &basis, &unknown, Partition::ALL)?;
    let rows = std::mem::take(&mut side.known.rows);
    let (changes, name) = (draft.dir().to_owned(), draft.name("changes.parquet"));
    let target = Target { dir: &changes, name: &name, run, seed: basis.seed, limit: 1, ordered: false };
    let forms = basis.compared.iter().map(|column| column.form.clone()).collect();
    let schema = basis.schema.clone();
    let shape = Arc::new(Shape { before: schema.clone(), key: (0..basis.key).collect(), schema, forms });
    let nothing = Triggers { added: false, changed: false, removed: false };
    // As if one row had no usable key: nothing is said of any org, not even that it is gone.
    let compared = Comparison::new(&side, shape, rows, target).finish(&basis, nothing, 0, 1, Some(&mut draft))?;
    failpoint!("rollback.carried");
    let (orgs, unknown) = (compared.known, side.unknown.clone());
    drop(side);
    let mut finished = draft.finish()?;
    let publishing = Publishing {
        unknown,
        basis,
        snapshot: Some(snapshot),
        changes: compared.written.entry,
        input: to.manifest.input.clone(),
    };
    finished.publish(&Publication {
        job: &to.manifest.job,
        at,
        of: &publishing,
        pinned: &to.manifest.schema,
        since: to.last_success,
        sharing,
    })?;
    failpoint!("rollback.published");
    Ok((orgs, unacknowledged))
}

fn refuse_if_damaged(dir: &Path, manifest: &Manifest) -> Result<(), SnapshotError> {
    let verified = snapshot::verify(dir, manifest);
    // `order.bin` is done without.
    let is_fatal = |damage: &SnapshotError| !matches!(damage, SnapshotError::Order { .. });
    let found = verified.files.into_iter().filter_map(|(_, damage)| damage).chain(verified.problems).find(is_fatal);
    found.map_or(Ok(()), Err)
}
