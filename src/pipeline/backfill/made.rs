//! How a backfill is made: an extract is read, and what it has of the orgs that are meant is compared with what is known.

use super::super::aim::{Aim, Share};
use super::super::plan::plan;
use super::super::planned::{PlanInput, Planned};
use super::super::{PipelineError, Purpose, Runner, Selection, Since, send, shared};
use super::pace;
use super::record::Sheet;
use crate::job::spec::Job;
use crate::row::key_text;
use crate::snapshot::{self, ChangeSet, JobLock, Manifest, spool_keep, spool_lock, spool_sweep};
use crate::spans;
use crate::store::{RunKind, RunRecord, RunState};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What belongs to a backfill's change set: which orgs are meant, for the run that it begins with.
pub(super) const SELECTION: &str = "selection.json";
/// Runs that are looked back at for orgs that have failed.
const RECENT_RUNS: u32 = 1_000;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// By key and by condition.
    pub selection: Selection,
    /// Only orgs that a run could not deliver: those of the last runs, back to one that left nothing, and dead letters.
    pub only_failed: bool,
    /// Only orgs that runs have sent, or could not deliver, from this one on.
    pub since: Option<String>,
    /// `20/s`
    pub rate: Option<String>,
}

/// A backfill that is made and not begun. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Prepared {
    /// Its id.
    pub id: String,
    /// Which orgs, in words.
    pub what: String,
    /// Where they go: without secrets.
    pub host: String,
    /// Orgs that are sent as the destination has them.
    pub same: u64,
    /// Orgs that differ, or may: they are sent by a run, at the beginning.
    pub differing: u64,
    /// Rows that cannot be judged, and so are not sent.
    pub rejected: u64,
    /// Keys that were asked for; `None`: it is not by keys.
    pub keys: Option<u64>,
    /// What a guard would say of the extract.
    pub warnings: Vec<String>,
    rate: Option<String>,
    from: Manifest,
    selection: Selection,
    planned: Planned,
    _lock: JobLock,
}

impl Prepared {
    /// Orgs that it would send.
    pub fn orgs(&self) -> u64 {
        self.same + self.differing
    }
}

impl Runner {
    /// Makes a backfill: reads an extract and compares it. Nothing is sent.
    ///
    /// # Errors
    /// Nothing published; another backfill that is not at its end; an extract that cannot be read or compared.
    pub async fn prepare_backfill(&self, job: Arc<Job>, asked: &Asked) -> Result<Prepared, PipelineError> {
        let dir = self.home.snapshots(&job.name);
        let no = |why: String| PipelineError::Backfill { job: job.name.clone(), why };
        if let Some(rate) = &asked.rate {
            pace::parse(rate).map_err(no)?;
        }
        // A missing secret should be known before an hour of extraction.
        send::client(self, &job)?;
        shared::freshen_for_run(&self.home, &self.settings, &job.name, Some(&*self.store)).await?;
        let Some(from) = Manifest::load(&dir)? else {
            let why = "nothing is known yet of what the destination has\n  hint: `nightmark run` sends every org and knows then; `nightmark adopt` takes \
                       tonight's extract for it without sending, and a backfill then sends every org at a rate of its own";
            return Err(no(why.to_owned()));
        };
        let lock = spool_lock(&dir, &job.name)?;
        if let Some(open) = self.store.open_backfill(&job.name).await? {
            return Err(not_at_its_end(&open));
        }
        spool_sweep(&dir, &[])?;
        let (selection, what) = self.selected(&job, &dir, asked).await?;
        let id = self.clock.run_id();
        let input = PlanInput::new(Arc::clone(&job), &self.home, id.clone(), self.clock.now(), Since::default());
        let aim = Aim { share: Share::Same, only: only(&selection), ..Aim::usual(Purpose::Backfill) };
        let planned = plan(input, Some(&*self.store), &self.clock, self.resources, aim, None).await?;
        let counts = &planned.counts;
        Ok(Prepared {
            id,
            what,
            host: host(&job),
            same: counts.changed,
            // What the writer of the change set gave back differs; what was never given to it is new or in doubt.
            differing: counts.unchanged + planned.suppressed,
            rejected: counts.rejected,
            keys: selection.keys.as_ref().map(|keys| keys.len() as u64),
            warnings: planned.held.clone(),
            rate: asked.rate.clone(),
            from,
            selection,
            planned,
            _lock: lock,
        })
    }

    /// Makes it durable. From then on it is sent by [`Runner::backfill`].
    ///
    /// # Errors
    /// Another one that was begun meanwhile, on another machine; a disk or a state store that cannot be written.
    pub async fn begin_backfill(&self, prepared: Prepared) -> Result<RunRecord, PipelineError> {
        let Prepared { id, what, host, same, differing, rate, from, selection, planned, .. } = prepared;
        let (job, dir, at) = (planned.of.job.name.clone(), planned.of.dir.clone(), planned.of.at);
        let sheet = Sheet::new(what, host, rate, differing, from.run.clone());
        let pinned = planned.pinned.clone();
        let lost = || PipelineError::Internal("a backfill has no change set".to_owned());
        let (draft, changes, basis) = planned.into_scratch().ok_or_else(lost)?;
        let from = Manifest { compared: basis.compared, schema: pinned, ..from };
        let selection = serde_json::to_vec(&selection).map_err(|e| PipelineError::Internal(e.to_string()))?;
        let (of, to) = (id.clone(), dir.clone());
        let keeping = tokio::task::spawn_blocking(spans::within(move || {
            spool_keep(&to, draft, &of, &from, changes, &[(SELECTION, selection)])
        }));
        keeping.await.map_err(|e| PipelineError::Internal(e.to_string()))??;
        failpoint!("backfill.kept");
        let mut record = RunRecord::new(&id, &job, at);
        (record.kind, record.state, record.report) = (RunKind::Backfill, RunState::Published, Some(sheet.to_json()));
        (record.counts.changed, record.counts.pending) = (same, same);
        if let Some(open) = self.store.begin_backfill(&record, self.clock.now()).await? {
            spool_sweep(&dir, &[])?;
            return Err(not_at_its_end(&open));
        }
        failpoint!("backfill.recorded");
        tracing::info!(event = "backfill_made", job, backfill = id, rows = same, "a backfill is made");
        Ok(record)
    }

    /// The orgs that are meant, and that in words.
    async fn selected(&self, job: &Job, dir: &Path, asked: &Asked) -> Result<(Selection, String), PipelineError> {
        let mut selection = asked.selection.clone();
        let mut words = Vec::new();
        if let Some(keys) = &selection.keys {
            words.push(format!("of {} given keys", keys.len()));
        }
        if let Some(condition) = &selection.condition {
            words.push(format!("with {condition}"));
        }
        let mut both = |keys: BTreeSet<String>| {
            selection.keys = Some(match selection.keys.take() {
                Some(given) => given.intersection(&keys).cloned().collect(),
                None => keys,
            });
        };
        if asked.only_failed {
            both(self.failed_keys(job, asked.since.as_deref()).await?);
            words.push(match &asked.since {
                Some(run) => format!("that could not be delivered since run {run}"),
                None => "that could not be delivered".to_owned(),
            });
        } else if let Some(run) = &asked.since {
            let (dir, name, of) = (dir.to_owned(), job.name.clone(), run.clone());
            let reading = tokio::task::spawn_blocking(move || sent_keys(&dir, &name, &of));
            both(reading.await.map_err(|e| PipelineError::Internal(e.to_string()))??);
            words.push(format!("that runs have sent since run {run}"));
        }
        let what = if words.is_empty() { "every org".to_owned() } else { format!("orgs {}", words.join(", ")) };
        Ok((selection, what))
    }

    /// Keys of rows that did not get through.
    async fn failed_keys(&self, job: &Job, since: Option<&str>) -> Result<BTreeSet<String>, PipelineError> {
        let mut keys = BTreeSet::new();
        for run in self.store.runs(Some(&job.name), RECENT_RUNS).await? {
            let counts = &run.counts;
            let left_nothing = counts.pending + counts.refused + counts.unknown + counts.set_aside == 0;
            let is_past = match since {
                Some(since) => run.id.as_str() < since,
                None => run.state == RunState::Finished && left_nothing,
            };
            if is_past {
                break;
            }
            let failures = self.store.failures(&run.id, u32::MAX).await?;
            keys.extend(failures.into_iter().map(|failure| failure.key).filter(|key| !key.is_empty()));
        }
        // What the last backfill could not deliver the destination is known to have as it was, and so no run sends it.
        for filled in self.store.backfills(Some(&job.name), 1).await? {
            if since.is_none_or(|since| filled.id.as_str() >= since) {
                let failures = self.store.failures(&filled.id, u32::MAX).await?;
                keys.extend(failures.into_iter().map(|failure| failure.key).filter(|key| !key.is_empty()));
            }
        }
        let refusals = self.store.refusals(Some(&job.name)).await?;
        let dead = refusals.into_iter().filter(|refusal| refusal.is_given_up(job.destination.dead_letter_after));
        keys.extend(dead.map(|refusal| refusal.key));
        Ok(keys)
    }
}

fn not_at_its_end(open: &RunRecord) -> PipelineError {
    let why = format!(
        "{} is not at its end\n  hint: `nightmark backfill {1} --resume` goes on with it, `nightmark backfill {1} --cancel` gives it up",
        open.id, open.job
    );
    PipelineError::Backfill { job: open.job.clone(), why }
}

/// What a plan is about by it.
pub(super) fn only(selection: &Selection) -> Option<Arc<Selection>> {
    (!selection.is_all()).then(|| Arc::new(selection.clone()))
}

/// The keys of the change sets that are kept, from a run on.
fn sent_keys(dir: &Path, job: &str, since: &str) -> Result<BTreeSet<String>, PipelineError> {
    let runs = snapshot::published(dir)?;
    if !runs.iter().any(|published| published.run == since) {
        let kept: Vec<&str> = runs.iter().map(|published| published.run.as_str()).collect();
        let why = format!("--since {since}: what that run has sent is not kept; kept are {}", kept.join(", "));
        return Err(PipelineError::Backfill { job: job.to_owned(), why });
    }
    let mut keys = BTreeSet::new();
    for manifest in runs.into_iter().filter(|published| published.run.as_str() >= since).filter_map(|of| of.manifest) {
        for batch in ChangeSet::published(dir, &manifest?)?.batches()? {
            let batch = batch?;
            keys.extend((0..batch.len()).map(|at| key_text(batch.row(at), &batch.shape().key)));
        }
    }
    Ok(keys)
}

/// Where a job sends to, as written, without what may be secret.
fn host(job: &Job) -> String {
    let written = job.destination.url.written.as_str();
    match written.split_once("://") {
        Some((_, rest)) => {
            rest.split(['/', '?', '#']).next().unwrap_or(rest).rsplit('@').next().unwrap_or(rest).to_owned()
        }
        None => written.to_owned(),
    }
}
