//! From the published change set to receipts.

use super::course::{Course, Published};
use super::measured::Relay;
use super::messages::{Found, Messages};
use super::outbox::Outbox;
use super::{PipelineError, Runner, service, share};
use crate::deliver::{Delivery, Entry, Ledger, Options, Probe, Resolved, Summary};
use crate::job::secrets::{SecretError, Secrets};
use crate::job::spec::{Auth, Job, Route, Templated};
use crate::metrics::Metrics;
use crate::receipt::{Counts, Outcome, Progress};
use crate::snapshot::Manifest;
use crate::store::{Refusal, RefusalChange, RunState, RunStore, StoreError};
use async_trait::async_trait;
use serde_json::json;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// Told how a run goes, for progress bars.
pub trait SendProgress: Send + Sync {
    /// Delivery of so many changes begins.
    fn sending(&self, planned: u64);
    /// One change has its final word; `None`: it stays pending.
    fn sent(&self, outcome: Option<Outcome>);
}

/// Nobody is told.
impl SendProgress for () {
    fn sending(&self, _: u64) {}
    fn sent(&self, _: Option<Outcome>) {}
}

/// Sets the client up, secrets included.
pub(super) fn client(runner: &Runner, job: &Job) -> Result<Delivery, PipelineError> {
    let secrets = Secrets::new(&runner.home);
    let resolved = resolve(&secrets, job)?;
    let delivery = &runner.settings.delivery;
    let options = Options { receipt_rows: delivery.receipt_rows, receipt_interval: delivery.receipt_interval };
    Ok(Delivery::over(&*runner.connect, &job.destination, resolved, Arc::clone(&runner.clock), options)?)
}

/// Looks up every secret that the destination names.
pub(super) fn resolve(secrets: &Secrets, job: &Job) -> Result<Resolved, PipelineError> {
    let destination = &job.destination;
    let headers = destination
        .headers
        .iter()
        .map(|(name, value)| Ok((name.clone(), secrets.resolve(&format!("destination.headers.{name}"), value)?)))
        .collect::<Result<Vec<_>, PipelineError>>()?;
    let routes = destination.routes.try_map(|name, route| {
        route.url.as_ref().map(|url| secrets.resolve(Route::url_field(name), url)).transpose()
    })?;
    let auth = destination.auth.as_ref().map(|auth| {
        let password = auth.password.as_ref().map(|p| secrets.resolve(Auth::PASSWORD, p)).transpose()?;
        Ok::<_, SecretError>((secrets.resolve(auth.user_field, &auth.user)?, password.unwrap_or_else(|| "".into())))
    });
    Ok(Resolved {
        url: secrets.resolve(destination.url_field, &destination.url)?,
        routes,
        auth: auth.transpose()?,
        secret: destination.secret.as_ref().map(|s| secrets.resolve("destination.secret", s)).transpose()?,
        signing: destination.signing_fields().map(|(field, s)| secrets.resolve(&field, s)).collect::<Result<_, _>>()?,
        headers,
        proxy: destination.proxy.as_ref().map(|p| secrets.resolve("destination.proxy", p)).transpose()?,
    })
}

/// Every secret that is named there, each with its field, and that cannot be had, in words.
pub fn missing_secrets<'t>(secrets: &Secrets, named: impl Iterator<Item = (String, &'t Templated)>) -> Vec<String> {
    named.flat_map(|(field, value)| secrets.problems(&field, value)).map(|error| error.to_string()).collect()
}

/// Whether the destination can be delivered to as it is set up, as far as that can be said without sending anything.
///
/// # Errors
/// The first secret that cannot be had, or what is wrong with an address, a secret or a file of certificates.
pub fn check_destination(secrets: &Secrets, job: &Job) -> Result<(), PipelineError> {
    Ok(crate::deliver::check(&job.destination, &resolve(secrets, job)?)?)
}

/// Whether the destination can be reached as it is set up. Nothing of the job is sent.
///
/// # Errors
/// As [`check_destination`].
pub async fn probe_destination(secrets: &Secrets, job: &Job) -> Result<Vec<Probe>, PipelineError> {
    Ok(crate::deliver::probe(&job.destination, &resolve(secrets, job)?).await?)
}

/// What came of a delivery.
pub(super) struct Sent {
    pub(super) state: RunState,
    pub(super) counts: Counts,
    pub(super) summary: Summary,
    /// Rows that were passed over as dead letters that nobody has dropped.
    pub(super) dead_letters: u64,
}

/// Sends what is left of a published change set, and records what came back.
pub(super) async fn send(
    runner: &Runner,
    job: &Arc<Job>,
    outbox: Outbox,
    delivery: Delivery,
    course: Course<'_, Published>,
) -> Result<Sent, PipelineError> {
    if let Some(stopped) = service::out_of_service(runner, job).await? {
        let state = course.state();
        let counts = course.rests(Some(format!("{}; {}", stopped.reason, stopped.remedy))).await?;
        let summary = Summary { stopped: Some(stopped), pending: counts.pending, ..Summary::default() };
        return Ok(Sent { state, counts, summary, dead_letters: 0 });
    }
    let outbox = outbox.with_secrets(job, &Secrets::new(&runner.home))?;
    let run = course.run().to_owned();
    let course = course.delivering().await?;
    let progress = runner.store.progress(&run).await?;
    let rows = outbox.changes.len();
    let left = rows - progress.acknowledged.len().min(rows);
    runner.progress.sending(left);
    let before = Before::load(runner, job).await?;
    let (mut summary, found) = match share::offer(runner, job, &run, rows, left).await? {
        None => part(runner, job, &run, outbox, &before, Through::First(&delivery)).await?,
        Some(offer) => {
            let (summary, is_complete) = share::deliver(runner, job, &offer, &outbox, &before).await?;
            let found = survey(runner, job, &run, outbox, &before).await?;
            (summary, Found { is_complete, ..found })
        }
    };
    failpoint!("delivery.ended");
    let progress = runner.store.progress(&run).await?;
    forget(runner, job, &before.versions(), &found, &progress).await?;
    service::note(runner, job, &run, &summary).await?;
    let reason = summary.stopped.as_ref().map(|stopped| format!("{}; {}", stopped.reason, stopped.remedy));
    let were_tried = found.is_complete && summary.pending == 0;
    let (state, counts) = course.ended(progress, found.silent, were_tried, reason, report(&summary, &found)).await?;
    summary.pending = counts.pending;
    Ok(Sent { state, counts, summary, dead_letters: found.set_aside - found.dropped })
}

/// What was known of the job's rows before a delivery.
pub(super) struct Before {
    refusals: Vec<Refusal>,
    /// Keys of rows that did not get through lately.
    failed: HashSet<String>,
}

impl Before {
    pub(super) async fn load(runner: &Runner, job: &Job) -> Result<Self, StoreError> {
        let refusals = runner.store.refusals(Some(&job.name)).await?;
        Ok(Before { refusals, failed: failed_lately(runner, &job.name).await? })
    }

    fn versions(&self) -> Vec<String> {
        self.refusals.iter().map(|refusal| refusal.webhook_id.clone()).collect()
    }
}

/// The client, and whether it begins or goes on with a delivery: what its limits did is told of all of it.
#[derive(Clone, Copy)]
pub(super) enum Through<'a> {
    First(&'a Delivery),
    Further(&'a Delivery),
}

/// Sends what is left of the rows that are meant.
pub(super) async fn part(
    runner: &Runner,
    job: &Job,
    run: &str,
    outbox: Outbox,
    before: &Before,
    through: Through<'_>,
) -> Result<(Summary, Found), PipelineError> {
    let progress = runner.store.progress(run).await?;
    let (refusals, after) = (before.refusals.clone(), job.destination.dead_letter_after);
    let (messages, found) = Messages::new(outbox, &progress, refusals, after, before.failed.clone())?;
    let (delivery, is_first) = match through {
        Through::First(delivery) => (delivery, true),
        Through::Further(delivery) => (delivery, false),
    };
    let ledger = Arc::new(StoreLedger::new(runner, run));
    runner.metrics.delivering(&job.name, delivery.limits());
    let (job_name, progress) = (job.name.clone(), Arc::clone(&runner.progress));
    let observer = Arc::new(Relay { job: job_name, progress, metrics: Arc::clone(&runner.metrics) });
    let stop = runner.stop.clone();
    let sending = async {
        match is_first {
            true => delivery.run(messages, ledger, observer, stop).await,
            false => delivery.go_on(messages, ledger, observer, stop).await,
        }
    };
    let sent = runner.while_held(&job.name, sending).await?;
    let summary = sent.map_err(|e| PipelineError::Delivery(format!("{e:#}")))?;
    let found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    match found.broken {
        Some(error) => Err(PipelineError::Delivery(error.to_string())),
        None => Ok((summary, found)),
    }
}

/// What is to be known of the rows of a delivery that others had a part in.
async fn survey(
    runner: &Runner,
    job: &Job,
    run: &str,
    outbox: Outbox,
    before: &Before,
) -> Result<Found, PipelineError> {
    let progress = runner.store.progress(run).await?;
    let (refusals, after) = (before.refusals.clone(), job.destination.dead_letter_after);
    let looking = tokio::task::spawn_blocking(move || {
        let (messages, _) = Messages::new(outbox, &progress, refusals, after, HashSet::new())?;
        let found = messages.survey();
        Ok(std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner)))
    });
    let found: Result<Found, PipelineError> = looking.await.map_err(|e| PipelineError::Internal(e.to_string()))?;
    match found? {
        Found { broken: Some(error), .. } => Err(PipelineError::Delivery(error.to_string())),
        found => Ok(found),
    }
}

/// Runs that are looked back at for rows that did not get through, …
const RECENT_RUNS: u32 = 30;
/// … and how many of those are remembered.
const FAILED_ROWS: usize = 10_000;

/// Keys of the rows that did not get through, in the last runs of the job, back to one that left nothing.
async fn failed_lately(runner: &Runner, job: &str) -> Result<HashSet<String>, StoreError> {
    let mut keys = HashSet::new();
    for run in runner.store.runs(Some(job), RECENT_RUNS).await? {
        let counts = &run.counts;
        let left_nothing = counts.pending + counts.refused + counts.unknown == 0;
        if run.state == RunState::Finished && left_nothing || keys.len() >= FAILED_ROWS {
            break;
        }
        let room = u32::try_from(FAILED_ROWS - keys.len()).unwrap_or(u32::MAX);
        let failures = runner.store.failures(&run.id, room).await?;
        keys.extend(failures.into_iter().map(|failure| failure.key).filter(|key| !key.is_empty()));
    }
    Ok(keys)
}

/// What the run's record says of its delivery besides the counts.
fn report(summary: &Summary, found: &Found) -> serde_json::Value {
    json!({
        "stopped": summary.stopped,
        "limits": summary.limits,
        "dead_letters": found.set_aside - found.dropped,
        "dropped": found.dropped,
    })
}

/// A version that is delivered, or that no row has any more, is no dead letter. Those refused now for the first time are none
/// of `before`, and stay.
async fn forget(
    runner: &Runner,
    job: &Job,
    before: &[String],
    found: &Found,
    progress: &Progress,
) -> Result<(), PipelineError> {
    let is_over = |id: &&String| match found.versions.get(*id) {
        Some(seq) => progress.unacknowledged(*seq).is_none(),
        None => found.is_complete,
    };
    let mut over: Vec<String> = before.iter().filter(is_over).cloned().collect();
    if over.iter().any(|id| !found.versions.contains_key(id)) {
        let waiting = waiting(runner, job).await?;
        over.retain(|id| !waiting.contains(id));
    }
    if over.is_empty() {
        return Ok(());
    }
    Ok(runner.store.change_refusals(&job.name, &over, RefusalChange::Forget).await.map(drop)?)
}

/// The versions of orgs that are away or could not be judged: they are in no change set, and come back under the same id.
async fn waiting(runner: &Runner, job: &Job) -> Result<HashSet<String>, PipelineError> {
    let dir = runner.home.snapshots(&job.name);
    let reading = tokio::task::spawn_blocking(move || match Manifest::load(&dir)? {
        Some(manifest) => manifest.waiting_ids(&dir),
        None => Ok(HashSet::new()),
    });
    Ok(reading.await.map_err(|e| PipelineError::Internal(e.to_string()))??)
}

/// The state store, for the rows of one run.
pub(super) struct StoreLedger {
    store: Arc<dyn RunStore>,
    run: String,
    metrics: Arc<dyn Metrics>,
}

impl StoreLedger {
    pub(super) fn new(runner: &Runner, run: &str) -> Self {
        let (store, metrics) = (Arc::clone(&runner.store), Arc::clone(&runner.metrics));
        StoreLedger { store, run: run.to_owned(), metrics }
    }
}

#[async_trait]
impl Ledger for StoreLedger {
    async fn commit(&self, entry: Entry) -> anyhow::Result<()> {
        failpoint!("ledger.before_commit");
        let began = Instant::now();
        let done = self.store.commit(&self.run, &entry.attempting, &entry.receipts).await;
        self.metrics.stored("commit_receipts", began.elapsed(), done.is_ok());
        done?;
        failpoint!("ledger.committed");
        Ok(())
    }
}
