//! From the extract to the change set: everything that happens before anything is published.

use super::aim::{Aim, Purpose, Share, Versus};
use super::extract::Extract;
use super::peeked::first_keys;
use super::planned::{PlanInput, Planned};
use super::planning::Awaited;
use super::selection::Chosen;
use super::tally::Tally;
use super::whole::{Comparing, Outcome};
use super::{PipelineError, spill, texts};
use crate::clock::Clock;
use crate::diff::{BadKeys, Rules};
use crate::guard::{self, Facts};
use crate::job::spec::{Baseline, Triggers};
use crate::receipt::{Counts, Progress};
use crate::row::{Column, HashSeed, Schema};
use crate::snapshot::{
    self, Against, Draft, Finished, JobLock, Manifest, Publishing, Snapshot, SnapshotError, Unknown, rewrite,
};
use crate::spans::within;
use crate::store::RunStore;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How much a plan may take.
#[derive(Debug, Clone, Copy)]
pub struct Resources {
    /// Bytes of memory for what is known and what is new; beyond, partitions of the key space go to disk.
    pub memory: u64,
    /// Threads that decode and compare.
    pub threads: usize,
}

/// Plans a run. Reads the extract and the snapshot; what it writes is a draft that nobody refers to. Dropped, it gives the extract up; `lock`
/// is held until its thread has ended.
pub(super) async fn plan(
    input: PlanInput,
    store: Option<&dyn RunStore>,
    clock: &Arc<dyn Clock>,
    resources: Resources,
    aim: Aim,
    lock: Option<Arc<JobLock>>,
) -> Result<Planned, PipelineError> {
    let manifest = match &aim.versus {
        Versus::Current => Manifest::load(&input.dir)?,
        Versus::Nothing => None,
        Versus::Earlier(manifest) => Some((**manifest).clone()),
    };
    let progress = match (&manifest, store) {
        (Some(manifest), Some(store)) => store.progress(&manifest.run).await?,
        // A snapshot without its state store: every change of its run may have been sent.
        _ => Progress::forgotten(),
    };
    if manifest.is_none() {
        refuse_if_lost(&input.dir, snapshot::unclaimed(&input.dir)?, store).await?;
    }
    let fresh_seed = HashSeed(clock.random().to_be_bytes());
    // By the manifest that the progress is of: while a preview looks, a run may publish the next.
    let awaited = Awaited::new(&input.environment);
    let plan = within(move || {
        let _lock = lock;
        let against = manifest.as_ref().map(|manifest| Against::new(manifest, &progress));
        let planned = Planner::new(input, manifest, fresh_seed, resources, aim).plan(&progress)?;
        Ok(Planned { against, ..planned })
    });
    let planned = tokio::task::spawn_blocking(plan).await;
    awaited.came();
    planned.map_err(|e| PipelineError::Internal(e.to_string()))?
}

/// Without a manifest this is a first run, unless files of a published run are there: then the manifest was lost, and to begin
/// anew unasked would send every org once more and forget those that are gone. `unclaimed`: the runs whose files are there.
pub(super) async fn refuse_if_lost(
    dir: &Path,
    unclaimed: Vec<String>,
    store: Option<&dyn RunStore>,
) -> Result<(), PipelineError> {
    for run in unclaimed {
        let published = match store {
            // A run that was killed before it was published is known as such. One that nobody remembers may have been sent.
            Some(store) => store.run(&run).await?.is_none_or(|record| record.state.is_published()),
            None => true,
        };
        if published {
            return Err(SnapshotError::lost(dir, run).into());
        }
    }
    Ok(())
}

/// The same without a state store and an async runtime. `progress`: what is known about the deliveries of the snapshot's
/// run. `fresh_seed`: the seed of the job's hashes if it has none yet.
///
/// # Errors
/// Whatever would keep a run from being done.
pub fn plan_blocking(
    input: PlanInput,
    progress: &Progress,
    fresh_seed: HashSeed,
    resources: Resources,
    purpose: Purpose,
) -> Result<Planned, PipelineError> {
    let manifest = Manifest::load(&input.dir)?;
    Planner::new(input, manifest, fresh_seed, resources, Aim::usual(purpose)).plan(progress)
}

/// What a plan starts from.
pub(super) struct Planner {
    pub(super) input: PlanInput,
    pub(super) manifest: Option<Manifest>,
    pub(super) seed: HashSeed,
    pub(super) resources: Resources,
    aim: Aim,
}

/// Where a plan writes: the draft of the next snapshot, or a folder that goes with the plan.
#[derive(Debug)]
pub(super) enum Place {
    Draft(Box<Draft>),
    Scratch(tempfile::TempDir),
}

/// What a plan leaves on disk.
#[derive(Debug)]
pub(super) enum Left {
    Finished(Box<Finished>),
    /// Removed with the plan.
    Scratch(tempfile::TempDir),
}

impl Place {
    fn finish(self) -> Result<Left, PipelineError> {
        Ok(match self {
            Place::Draft(draft) => Left::Finished(Box::new(draft.finish()?)),
            Place::Scratch(dir) => Left::Scratch(dir),
        })
    }

    fn new(input: &PlanInput, purpose: Purpose) -> Result<Self, PipelineError> {
        Ok(match purpose {
            Purpose::Run => Place::Draft(Box::new(Draft::new(&input.dir, &input.run)?)),
            Purpose::Backfill => Place::Scratch(snapshot::spool_draft(&input.dir)?),
            Purpose::Preview => {
                let made = tempfile::Builder::new().prefix("nightmark-").tempdir();
                Place::Scratch(made.map_err(|e| PipelineError::Scratch(e.to_string()))?)
            }
        })
    }

    pub(super) fn draft(&mut self) -> Option<&mut Draft> {
        match self {
            Place::Draft(draft) => Some(&mut **draft),
            Place::Scratch(_) => None,
        }
    }

    /// A folder for what goes with the plan.
    pub(super) fn folder(&self) -> PathBuf {
        match self {
            Place::Draft(draft) => draft.folder(),
            Place::Scratch(dir) => dir.path().to_owned(),
        }
    }

    /// The folder, and a file's name in it.
    pub(super) fn file(&self, file: &str) -> (PathBuf, String) {
        match self {
            Place::Draft(draft) => (draft.dir().to_owned(), draft.name(file)),
            Place::Scratch(dir) => (dir.path().to_owned(), file.to_owned()),
        }
    }
}

/// Whether tonight's rows seem to come in the order of last night's, as the rows of a first run always do.
fn in_order(extract: Extract, snapshot: Option<&Snapshot>) -> Result<(Extract, bool), PipelineError> {
    let Some(snapshot) = snapshot else { return Ok((extract, true)) };
    let (extract, keys) = first_keys(extract);
    let in_order = snapshot.begins_with(&extract.basis, &keys)?;
    Ok((extract, in_order))
}

impl Planner {
    fn new(input: PlanInput, manifest: Option<Manifest>, fresh_seed: HashSeed, resources: Resources, aim: Aim) -> Self {
        let seed = manifest.as_ref().map_or(fresh_seed, |m| m.hash_seed);
        Planner { input, manifest, seed, resources, aim }
    }

    fn plan(self, progress: &Progress) -> Result<Planned, PipelineError> {
        // Every ignored column can be kept as text once; then the extract is read again from the start.
        let (mut text, mut astray) = (BTreeSet::new(), false);
        loop {
            match self.attempt(progress, &text, astray) {
                Err(PipelineError::KeptAsText(column)) if text.insert(column.clone()) => {}
                // Only what seemed to be in order can turn out not to be.
                Err(PipelineError::Astray) if !astray => astray = true,
                other => return other,
            }
        }
    }

    /// `astray`: the extract is known not to be in last night's order.
    fn attempt(&self, progress: &Progress, text: &BTreeSet<String>, astray: bool) -> Result<Planned, PipelineError> {
        let manifest = self.manifest.as_ref();
        let open = |files| Extract::open(&self.input, manifest, self.seed, files, text, None);
        let mut extract = open(None)?;
        let snapshot = manifest.map(|m| Snapshot::open(&self.input.dir, m.clone(), progress)).transpose()?;
        let mut place = Place::new(&self.input, self.aim.purpose)?;
        let mut copies = None;
        if let (Some(draft), Some(files)) = (place.draft(), extract.stream.files.clone())
            && self.aim.only.is_none()
            && Draft::can_take_in(&files, &extract.basis.schema)
        {
            let copied = draft.take_in(&files)?;
            let held = std::mem::take(&mut extract.held);
            extract = open(Some(copied.clone()))?;
            extract.held = held;
            copies = Some(copied);
        }
        let (extract, in_order) = if astray { (extract, false) } else { in_order(extract, snapshot.as_ref())? };
        let parts = spill::partition_bits(self.resources.memory, snapshot.as_ref(), extract.stream.rows.estimate());
        let is_baseline = matches!(self.aim.versus, Versus::Nothing);
        let adopt_added = manifest.is_none() && (is_baseline || self.input.job.diff.first_run == Baseline::Adopt);
        self.refuse_to_adopt_unseen(&extract)?;
        let chosen = self.aim.only.as_deref().map(|only| Chosen::new(only, &extract, &self.input)).transpose()?;
        let comparing = Comparing {
            input: &self.input,
            resources: self.resources,
            extract: &extract,
            snapshot: snapshot.as_ref(),
            unknown: Unknown::new(manifest),
            rules: Rules { on: self.on(), adopt_added, again: self.aim.share == Share::Same },
            share: self.aim.share,
            chosen: chosen.as_ref(),
            writes_base: self.aim.purpose == Purpose::Run && copies.is_none(),
            in_order,
        };
        let outcome =
            if parts == 0 { comparing.whole(&mut place)? } else { spill::compare(&comparing, &mut place, parts)? };
        failpoint!("plan.compared");
        let again = || open(copies.clone());
        self.conclude(extract, snapshot, place, outcome, progress, &again)
    }

    /// Some orgs alone do not make a new column known of all.
    fn refuse_to_adopt_unseen(&self, extract: &Extract) -> Result<(), PipelineError> {
        let basis = &extract.basis;
        let Some(&column) = basis.adopted.first().filter(|_| self.aim.only.is_some()) else { return Ok(()) };
        Err(PipelineError::Columns(vec![format!(
            "column `{}` is compared for the first time and would be adopted (diff.on_new_column) with the values of some orgs alone: `nightmark run {}` \
             first",
            basis.compared[column].name, self.input.job.name
        )]))
    }

    fn on(&self) -> Triggers {
        let on = self.input.job.diff.on;
        match self.aim.share {
            Share::Usual => on,
            Share::Differing => Triggers { removed: false, ..on },
            Share::Same => Triggers { added: false, changed: false, removed: false },
        }
    }

    /// Duplicates are an error, or their changes are dropped; then everything is counted.
    fn conclude(
        &self,
        extract: Extract,
        snapshot: Option<Snapshot>,
        place: Place,
        outcome: Outcome,
        progress: &Progress,
        again: &dyn Fn() -> Result<Extract, PipelineError>,
    ) -> Result<Planned, PipelineError> {
        let Outcome { mut seen, mut parts, unknown } = outcome;
        let job = &self.input.job;
        let mut duplicates: Vec<_> = parts.iter_mut().flat_map(|part| std::mem::take(&mut part.duplicates)).collect();
        duplicates.sort_unstable_by_key(|d| d.rows[0]);
        if !duplicates.is_empty() {
            let rows: Vec<u32> = duplicates.iter().take(BadKeys::LISTED).map(|d| d.rows[0]).collect();
            seen.bad_keys.duplicates(&duplicates, texts::keys(job, &again()?, &rows)?);
        }
        if seen.bad_keys.count > 0 && !job.diff.quarantine_bad_keys {
            let bad = seen.bad_keys;
            return Err(PipelineError::BadKeys { job: job.name.clone(), key: job.diff.key.join(", "), bad });
        }
        let tally = Tally::of(&parts);
        let (changes, written) = match (parts.len(), duplicates.is_empty()) {
            (1, true) => {
                let part = parts.remove(0);
                (part.changes, part.written)
            }
            _ => {
                let dropped: HashSet<_> = duplicates.iter().map(|d| d.key).collect();
                let (dir, name) = place.file("changes.parquet");
                let drafts: Vec<_> = parts.iter().map(|part| part.changes.clone()).collect();
                rewrite(&drafts, &dir, &name, &extract.basis, &dropped)?
            }
        };
        failpoint!("changes.written");
        let counts = tally.counts(seen.rows, &written);
        Ok(Planned {
            held: [extract.held, self.trips(tally.facts(&counts, extract.partial), &counts)].concat(),
            circumstances: self.circumstances(&extract.basis.schema, progress),
            pinned: self.pinned(&extract.shape.schema, &seen.valued),
            suppressed: tally.suppressed,
            spared: tally.spared,
            known: tally.known,
            of: self.input.clone(),
            first_run: self.manifest.is_none(),
            partial: extract.partial,
            since: match self.aim.only {
                Some(_) => self.aim.since,
                None => self.input.environment.parameters.last_success.filter(|_| extract.partial),
            },
            stats: written.stats,
            bodies: Arc::new(extract.bodies),
            rejects: seen.rejects,
            bad_keys: seen.bad_keys,
            publishing: Publishing {
                basis: extract.basis,
                unknown,
                snapshot,
                changes: written.entry,
                input: extract.stream.input,
            },
            against: None,
            place: place.finish()?,
            changes,
            counts,
        })
    }

    /// What the guards say. Of a backfill, which only shows it: of what differs, and where it is about all orgs.
    fn trips(&self, facts: Facts, counts: &Counts) -> Vec<String> {
        let facts = match (self.aim.share, &self.aim.only) {
            (Share::Usual, _) => facts,
            (_, Some(_)) => return Vec::new(),
            (Share::Differing, None) => Facts { vanished: 0, ..facts },
            // What the writer of the change set gave back.
            (Share::Same, None) => Facts { vanished: 0, changed: counts.unchanged, ..facts },
        };
        guard::trips(&facts, &self.input.job.guard)
    }

    /// What makes tonight different from other nights, for the report.
    fn circumstances(&self, compared: &Schema, progress: &Progress) -> Vec<String> {
        let Some(manifest) = &self.manifest else { return Vec::new() };
        let mut notes = Vec::new();
        if progress.forgotten && manifest.changes.rows > 0 {
            notes.push(format!(
                "the state store has no record of run {}, whose snapshot is here (was nightmark.db deleted? Or does [store] name another?): its {} \
                 changes count as not acknowledged and are sent again",
                manifest.run, manifest.changes.rows
            ));
        }
        let new =
            |name: &&str| !manifest.compared.iter().any(|c| c.name == *name) && !manifest.key.iter().any(|c| c == name);
        for name in compared.columns.iter().map(|c| c.name.as_str()).filter(new) {
            notes.push(match self.input.job.diff.on_new_column {
                Baseline::Send => format!(
                    "column {name} is compared for the first time: every org that has a value in it counts as changed \
                     (diff.on_new_column = \"adopt\" takes the values as known)"
                ),
                Baseline::Adopt => format!("column {name} is compared from the next run on (diff.on_new_column)"),
            });
        }
        notes
    }

    /// Kinds pinned earlier stay; new columns join once they hold a value, since a column of NULLs has no type to pin.
    fn pinned(&self, tonight: &Schema, valued: &BTreeSet<usize>) -> Schema {
        let mut columns: Vec<Column> = self.manifest.as_ref().map(|m| m.schema.columns.clone()).unwrap_or_default();
        for (index, column) in tonight.columns.iter().enumerate() {
            if valued.contains(&index) && !columns.iter().any(|c| c.name == column.name) {
                columns.push(column.clone());
            }
        }
        Schema { columns }
    }
}
