//! The plan of a run: what would be sent, and why.

use super::bodies::Bodies;
use super::outbox::Outbox;
use super::plan::Left;
use super::{PipelineError, Reach, Since, since};
use crate::clock::Clock;
use crate::config::Home;
use crate::diff::{BadKeys, ColumnStats};
use crate::job::spec::Job;
use crate::normalise::Rejects;
use crate::receipt::Counts;
use crate::row::Schema;
use crate::snapshot::{
    Against, Basis, ChangeBatch, ChangeSet, FileEntry, Finished, Manifest, Publication, Publishing, Sharing,
    SnapshotError,
};
use crate::source::{Environment, Parameters};
use crate::store::RunStore;
use crate::template::RenderError;
use chrono::{DateTime, Utc};
use std::path::PathBuf;
use std::sync::Arc;

/// What is planned, and under which id.
#[derive(Debug, Clone)]
pub struct PlanInput {
    /// The job.
    pub job: Arc<Job>,
    /// Its snapshot folder.
    pub dir: PathBuf,
    /// The run's id, from which webhook ids are derived.
    pub run: String,
    /// When the run started.
    pub at: DateTime<Utc>,
    /// What the source is given.
    pub environment: Arc<Environment>,
    /// From when on orgs are asked for, if the query asks for it; for the report.
    pub since: Since,
}

impl PlanInput {
    /// Of a run that starts at `at`, with the snapshot folder of the home folder.
    pub fn new(job: Arc<Job>, home: &Home, run: String, at: DateTime<Utc>, since: Since) -> Self {
        let dir = home.snapshots(&job.name);
        let mut environment = Environment::new(home, at);
        let run_date = at.with_timezone(&job.timezone).date_naive();
        environment.parameters = Parameters { last_success: since.last_success, run_date };
        PlanInput { job, dir, run, at, environment: Arc::new(environment), since }
    }

    /// Of commands that only look: what a run that started now would be given.
    ///
    /// # Errors
    /// A manifest or a state store that cannot be read.
    pub(super) async fn to_look(
        job: Arc<Job>,
        home: &Home,
        store: Option<&dyn RunStore>,
        clock: &Arc<dyn Clock>,
        reach: Reach,
    ) -> Result<Self, PipelineError> {
        let at = clock.now();
        let since = since::last_success(&job.name, &home.snapshots(&job.name), store, at, reach).await?;
        Ok(PlanInput::new(job, home, clock.run_id(), at, since))
    }
}

/// A change set that is ready to be published and sent.
#[derive(Debug)]
pub struct Planned {
    /// What was asked for.
    pub of: PlanInput,
    /// What was found; nothing is sent yet.
    pub counts: Counts,
    /// Differences that `on` leaves out, or that a first run adopts.
    pub suppressed: u64,
    /// Orgs that are missing and not removed, because some row has no usable key.
    pub spared: u64,
    /// Orgs that the destination has, before this run.
    pub known: u64,
    /// Why a guard would hold the run; empty: it may go on.
    pub held: Vec<String>,
    /// The rows to send.
    pub changes: ChangeSet,
    /// Which columns make orgs change.
    pub stats: ColumnStats,
    /// The compiled payloads.
    pub bodies: Arc<Bodies>,
    /// Rows with values that do not fit.
    pub rejects: Rejects,
    /// Quarantined keys.
    pub bad_keys: BadKeys,
    /// The kinds to pin.
    pub pinned: Schema,
    /// Whether the job has no snapshot yet.
    pub first_run: bool,
    /// Whether the extract has only the orgs that have changed since the last success.
    pub partial: bool,
    /// What makes tonight different from other nights, in words.
    pub(super) circumstances: Vec<String>,
    /// What it was compared with; `None`: nothing is published, or it is only shown.
    pub(super) against: Option<Against>,
    /// From when on the extract had the orgs that have changed, for later runs; `None`: it had all.
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) publishing: Publishing,
    pub(super) place: Left,
}

impl Planned {
    /// Makes the draft the current snapshot; the shared one too, and first, if there is one.
    ///
    /// # Errors
    /// A full or read-only disk, a shared snapshot that another daemon has published in, and a plan that is only shown.
    pub fn publish(&mut self, at: DateTime<Utc>, sharing: Option<&Sharing>) -> Result<Manifest, PipelineError> {
        self.end(at, sharing, Finished::publish)
    }

    /// Leaves the draft on the disk for a decision.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub(super) fn hold(&mut self, at: DateTime<Utc>) -> Result<(), PipelineError> {
        let against = self.against.clone();
        self.end(at, None, |draft, publication| draft.hold(publication, against))
    }

    fn end<T>(
        &mut self,
        at: DateTime<Utc>,
        sharing: Option<&Sharing>,
        how: impl FnOnce(&mut Finished, &Publication<'_>) -> Result<T, SnapshotError>,
    ) -> Result<T, PipelineError> {
        let of = &self.publishing;
        let since = self.since;
        let publication = Publication { job: &self.of.job.name, at, of, pinned: &self.pinned, since, sharing };
        match &mut self.place {
            Left::Finished(draft) => Ok(how(draft, &publication)?),
            Left::Scratch(_) => Err(PipelineError::Internal("a preview cannot be published".to_owned())),
        }
    }

    /// The folder and the change set of a plan that is not to be published. `None`: it is.
    pub(super) fn into_scratch(self) -> Option<(tempfile::TempDir, FileEntry, Basis)> {
        match (self.place, self.publishing.changes) {
            (Left::Scratch(dir), Some(changes)) => Some((dir, changes, self.publishing.basis)),
            _ => None,
        }
    }

    /// The body of one change.
    ///
    /// # Errors
    /// A value that the payload, the address or a header cannot carry.
    pub fn body(&self, batch: &ChangeBatch, at: usize) -> Result<String, RenderError> {
        self.outbox().body(batch, at, &batch.message_id(at))
    }

    /// What is to be sent.
    pub(super) fn outbox(&self) -> Outbox {
        Outbox {
            changes: self.changes.clone(),
            bodies: Arc::clone(&self.bodies),
            rows: None,
            job: self.of.job.name.clone(),
            at: self.of.at,
        }
    }

    /// The changes in order, batch by batch.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn batches(
        &self,
    ) -> Result<impl Iterator<Item = Result<ChangeBatch, PipelineError>> + Send + use<>, PipelineError> {
        Ok(self.changes.batches()?.map(|batch| Ok(batch?)))
    }

    /// The compared columns, in the extract's order.
    pub fn compared(&self) -> Vec<&str> {
        self.changes.shape().compared().collect()
    }

    /// How many of the changed orgs differ in each compared column, most first.
    pub fn changes_by_column(&self) -> Vec<(String, u64)> {
        let names = self.compared().into_iter().map(str::to_owned);
        let mut counts: Vec<_> =
            names.zip(self.stats.changed.iter().copied()).filter(|(_, count)| *count > 0).collect();
        counts.sort_by_key(|entry| std::cmp::Reverse(entry.1));
        counts
    }

    /// From when on the extract has orgs; `None`: its query does not ask for it, and it has all.
    pub fn since(&self) -> Option<&Since> {
        self.partial.then_some(&self.of.since)
    }

    /// Columns that make most orgs change.
    pub fn volatile(&self) -> Vec<&str> {
        let columns = self.stats.volatile(&self.compared(), self.counts.changed, self.known);
        columns.into_iter().map(|(name, ..)| name).collect()
    }

    /// What the comparison itself has to say besides its counts.
    pub fn notes(&self) -> Vec<String> {
        let (spared, keyless) = (self.spared, self.bad_keys.keyless);
        let mut notes = self.circumstances.clone();
        notes.extend(self.since().map(Since::notes).unwrap_or_default());
        if spared == 0 {
            return notes;
        }
        let orgs = if spared == 1 { "org is missing and was" } else { "orgs are missing and were" };
        let rows = if keyless == 1 { "row has" } else { "rows have" };
        notes.push(format!("{spared} {orgs} not removed, because {keyless} {rows} no usable key"));
        notes
    }
}
