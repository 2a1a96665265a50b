//! A plan in the making, and whoever waits for it.
//!
//! Planning takes a thread, for as long as the source likes. Always holds: a run that is told to stop while it plans stops at once, since nothing of it is
//! published; its thread keeps the job's lock until it has ended, which it does at the next piece of the extract (once all is read: when it has compared), or with the process.

use super::aim::{Aim, Purpose, Share};
use super::plan::{Resources, plan};
use super::planned::{PlanInput, Planned};
use super::{PipelineError, Reach, Runner};
use crate::clock::Clock;
use crate::config::Home;
use crate::job::spec::Job;
use crate::source::{Environment, Piece, Rows, SourceError};
use crate::store::RunStore;
use std::sync::Arc;

impl Runner {
    /// Plans for whoever holds the job.
    ///
    /// # Errors
    /// [`PipelineError::Stopped`]; whatever keeps the run from being done.
    pub(super) async fn plan_for(&self, input: PlanInput, aim: Aim) -> Result<Planned, PipelineError> {
        let (job, mut stop) = (input.job.name.clone(), self.stop.clone());
        // The run of a backfill is stopped whenever somebody else wants the job. If it were to compare anew each time, it might never come to an end.
        let may_stop = aim.share == Share::Usual;
        let planning = plan(input, Some(&*self.store), &self.clock, self.resources, aim, self.lock.upgrade());
        tokio::select! {
            biased;
            planned = planning => planned,
            Ok(_) = stop.wait_for(|stop| *stop), if may_stop => Err(PipelineError::Stopped(job)),
        }
    }
}

/// Plans without a run: what `preview` and `check` show. Changes nothing on disk.
///
/// # Errors
/// Whatever would keep a run from being done.
pub async fn preview(
    job: Arc<Job>,
    home: &Home,
    store: Option<&dyn RunStore>,
    clock: &Arc<dyn Clock>,
    resources: Resources,
    reach: Reach,
) -> Result<Planned, PipelineError> {
    let input = PlanInput::to_look(job, home, store, clock, reach).await?;
    plan(input, store, clock, resources, Aim::usual(Purpose::Preview), None).await
}

/// Somebody waits for what becomes of an extract. Dropped before that came, it gives the extract up.
pub(super) struct Awaited(Option<Arc<Environment>>);

impl Awaited {
    pub(super) fn new(environment: &Arc<Environment>) -> Self {
        Awaited(Some(Arc::clone(environment)))
    }

    /// It came.
    pub(super) fn came(mut self) {
        self.0 = None;
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if let Some(environment) = &self.0 {
            environment.give_up();
        }
    }
}

/// Rows that end with an error once nobody waits for them.
pub(super) struct WantedRows {
    rows: Box<dyn Rows>,
    environment: Arc<Environment>,
}

impl WantedRows {
    pub(super) fn new(rows: Box<dyn Rows>, environment: &Arc<Environment>) -> Self {
        WantedRows { rows, environment: Arc::clone(environment) }
    }
}

impl Rows for WantedRows {
    fn next(&self) -> Result<Option<Piece>, SourceError> {
        match self.environment.is_given_up() {
            true => Err(SourceError::new("nobody waits for the extract any more")),
            false => self.rows.next(),
        }
    }

    fn estimate(&self) -> u64 {
        self.rows.estimate()
    }

    fn held(&self) -> Vec<String> {
        self.rows.held()
    }
}
