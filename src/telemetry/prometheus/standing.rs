//! Where the jobs stand, as the state store knows it: right also after a restart, and whoever ran the job.

use super::instruments::{Gauges, Instruments, of};
use super::told::found;
use super::{Figures, seconds};
use crate::metrics::{LimitsNow, Metrics as _, Watched};
use crate::receipt::Counts;
use crate::store::{DestinationRecord, DestinationState, RunRecord, RunState, StateStore, StoreError};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// Runs of a job that each scrape looks at.
const RECENT: u32 = 30;
/// Runs that the first scrape looks at where those have no success.
const MANY: u32 = 5_000;

/// What is remembered of a job from scrape to scrape.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    /// The end of the last run that finished.
    success: Option<DateTime<Utc>>,
    /// The beginning of the last run whose changes were all acknowledged.
    complete: Option<DateTime<Utc>>,
}

pub(super) type Memory = HashMap<String, Known>;

/// All that is read of a job.
struct Standing {
    newest: Option<RunRecord>,
    /// The newest run whose change set was published.
    published: Option<RunRecord>,
    known: Known,
    dead_letters: usize,
    destination: Option<DestinationRecord>,
}

impl Figures {
    /// Fills what is read from the store.
    pub(super) async fn read_standing(&self, memory: &mut Memory) {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner).clone();
        let jobs = self.watched.read().unwrap_or_else(PoisonError::into_inner).clone();
        let standing = match store {
            Some(store) => {
                let began = Instant::now();
                let read = read(&store, &jobs, memory).await;
                self.stored("read_standing", began.elapsed(), read.is_ok());
                read
            }
            None => Ok(Vec::new()),
        };
        let instruments = &self.instruments;
        instruments.clear_standing();
        match standing {
            Ok(all) => {
                instruments.store_readable.set(1.0);
                all.iter().for_each(|(job, standing)| instruments.show(job, standing, self.clock.now()));
            }
            // No figure is better than an old one: what is absent can be noticed.
            Err(error) => {
                tracing::warn!(event = "standing_not_read", %error, "metrics: the state store cannot be read");
                instruments.store_readable.set(0.0);
            }
        }
        for (job, limits) in self.limits.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            instruments.show_limits(job, &limits());
        }
    }
}

async fn read(
    store: &Arc<dyn StateStore>,
    jobs: &[Watched],
    memory: &mut Memory,
) -> Result<Vec<(String, Standing)>, StoreError> {
    let mut destinations: HashMap<String, DestinationRecord> =
        store.destinations().await?.into_iter().map(|record| (record.job.clone(), record)).collect();
    let mut all = Vec::with_capacity(jobs.len());
    for Watched { job, dead_letter_after } in jobs {
        let runs = store.runs(Some(job), RECENT).await?;
        let mut known = known(&runs);
        if let Some(before) = memory.get(job) {
            known = Known { success: known.success.max(before.success), complete: known.complete.max(before.complete) };
        } else if known.success.is_none() || known.complete.is_none() {
            known = self::known(&store.runs(Some(job), MANY).await?);
        }
        memory.insert(job.clone(), known);
        let refusals = store.refusals(Some(job)).await?;
        let is_dead = |after| move |refusal: &&crate::store::Refusal| !refusal.dropped && refusal.is_given_up(after);
        let standing = Standing {
            dead_letters: refusals.iter().filter(is_dead(*dead_letter_after)).count(),
            published: runs.iter().find(|run| run.state.is_published()).cloned(),
            newest: runs.into_iter().next(),
            known,
            destination: destinations.remove(job),
        };
        all.push((job.clone(), standing));
    }
    memory.retain(|job, _| jobs.iter().any(|watched| watched.job == *job));
    Ok(all)
}

/// `runs`: the newest first.
fn known(runs: &[RunRecord]) -> Known {
    let finished = || runs.iter().filter(|run| run.state == RunState::Finished);
    let is_complete = |counts: &Counts| counts.refused + counts.unknown + counts.pending + counts.set_aside == 0;
    Known {
        success: finished().find_map(|run| run.finished_at),
        complete: finished().find(|run| is_complete(&run.counts)).map(|run| run.started_at),
    }
}

impl Instruments {
    fn clear_standing(&self) {
        self.last_state.clear();
        self.last_start.clear();
        self.last_rows.clear();
        self.last_success.clear();
        self.snapshot_age.clear();
        self.undelivered.clear();
        self.dead_letters.clear();
        self.destination.clear();
        self.breaker.clear();
        self.concurrency.clear();
        self.in_flight.clear();
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of rows fit")]
    fn show(&self, job: &str, standing: &Standing, now: DateTime<Utc>) {
        let set = |gauges: &Gauges<1>, value: f64| _ = gauges.get_or_create(&of([("job_name", job)])).set(value);
        let each = |gauges: &Gauges<2>, label, name: &str, value: u64| {
            gauges.get_or_create(&of([("job_name", job), (label, name)])).set(value as f64);
        };
        if let Some(run) = &standing.newest {
            let states = RunState::ALL.into_iter();
            states.for_each(|state| each(&self.last_state, "state", state.as_str(), u64::from(state == run.state)));
            set(&self.last_start, seconds(run.started_at));
            found(&run.counts).into_iter().for_each(|(stage, rows)| each(&self.last_rows, "stage", stage, rows));
        }
        if let Some(at) = standing.known.success {
            set(&self.last_success, seconds(at));
        }
        if let Some(at) = standing.known.complete {
            // A clock that was put back makes nothing younger than new.
            set(&self.snapshot_age, (seconds(now) - seconds(at)).max(0.0));
        }
        let counts = standing.published.as_ref().map(|run| run.counts).unwrap_or_default();
        for (kind, rows) in [("pending", counts.pending), ("refused", counts.refused), ("unknown", counts.unknown)] {
            each(&self.undelivered, "kind", kind, rows);
        }
        set(&self.dead_letters, standing.dead_letters as f64);
        let state = match standing.destination.as_ref().filter(|record| !record.is_over(now)).map(|record| record.state)
        {
            None => "in_service",
            Some(DestinationState::Paused) => "paused",
            Some(DestinationState::Disabled) => "disabled",
        };
        for name in ["in_service", "paused", "disabled"] {
            each(&self.destination, "state", name, u64::from(name == state));
        }
        if let Some(limits) = standing.published.as_ref().and_then(limits_of) {
            self.show_limits(job, &limits);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "requests in flight fit")]
    fn show_limits(&self, job: &str, limits: &LimitsNow) {
        for state in BREAKER {
            let value = f64::from(u8::from(state == limits.breaker));
            self.breaker.get_or_create(&of([("job_name", job), ("state", state)])).set(value);
        }
        self.concurrency.get_or_create(&of([("job_name", job)])).set(limits.concurrency as f64);
        self.in_flight.get_or_create(&of([("job_name", job)])).set(limits.in_flight as f64);
    }
}

const BREAKER: [&str; 3] = ["closed", "open", "half_open"];

/// How a run's delivery has left the limits: what its record says of it.
fn limits_of(run: &RunRecord) -> Option<LimitsNow> {
    let limits = run.report.as_ref()?.get("limits")?;
    let state = limits.get("breaker")?.get("state")?.as_str()?;
    let concurrency = limits.get("concurrency")?.get("now")?.as_u64()?;
    let breaker = BREAKER.into_iter().find(|known| *known == state)?;
    Some(LimitsNow { breaker, concurrency: usize::try_from(concurrency).ok()?, in_flight: 0 })
}
