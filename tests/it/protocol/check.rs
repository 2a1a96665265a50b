//! One history, step by step, against the model.

use super::history::{Act, History, Step, Weather};
use super::life::{Event, Request, Word};
use super::model::{Known, Model, Row};
use super::row::{End, end_of};
use super::site::{Asked, Ground, Keeps, Site};
use super::source::{self, Org, Source, Value};
use super::tally::Tally;
use nightmark::deliver::Summary;
use nightmark::pipeline::{PipelineError, RunReport};
use nightmark::receipt::{Counts, Outcome};
use nightmark::snapshot::{ChangeSet, Manifest};
use nightmark::store::{RefusalChange, RunState};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What does not hold.
pub type Broken = String;

macro_rules! ensure {
    ($holds:expr, $($said:tt)+) => {
        if !$holds {
            return Err(format!($($said)+));
        }
    };
}

/// What a process came to: its report, or the place where it ended.
type Ended = Result<Result<RunReport, PipelineError>, &'static str>;

/// What was seen of the rows of one step.
#[derive(Default)]
struct Seen {
    requests: BTreeMap<u64, Vec<Request>>,
    words: BTreeMap<u64, Word>,
    /// Rows that are not to be sent, although the destination does not have them.
    set_aside: BTreeSet<u64>,
    /// Rows that the destination had before the step.
    had: BTreeSet<u64>,
}

impl Seen {
    fn begin(model: &Model) -> Seen {
        let rows = (0..).zip(model.rows.iter().zip(&model.deliveries));
        let had: BTreeSet<u64> = rows.clone().filter(|(_, (_, of))| of.acknowledged).map(|(seq, _)| seq).collect();
        let aside = rows.filter(|(seq, (row, _))| !had.contains(seq) && model.is_set_aside(row));
        Seen { set_aside: aside.map(|(seq, _)| seq).collect(), had, ..Seen::default() }
    }
}

/// Panics or says what does not hold.
pub fn check(ground: &mut Ground, history: &History, keeps: Keeps, tally: &mut Tally) -> Result<(), Broken> {
    let source = Source::new(history.orgs);
    let model = Model::new(history.removals, history.dead_letter_after);
    let site = Site::new(ground, history, keeps);
    let mut checked = Checked { history, site, source, model, manifest: Vec::new(), tally };
    for (number, step) in history.steps.iter().enumerate() {
        checked.step(step).map_err(|broken| format!("step {number}: {broken}"))?;
    }
    checked.last_nights().map_err(|broken| format!("the last nights: {broken}"))?;
    checked.tally.histories += 1;
    Ok(())
}

struct Checked<'a> {
    history: &'a History,
    site: Site<'a>,
    source: Source,
    model: Model,
    /// As it was read last.
    manifest: Vec<u8>,
    tally: &'a mut Tally,
}

impl Checked<'_> {
    fn step(&mut self, step: &Step) -> Result<(), Broken> {
        for (org, turn) in &step.turns {
            if let Some(turn) = self.source.turn(*org, *turn) {
                self.tally.turn(turn);
            }
        }
        match &step.act {
            Act::Run(weather) => self.night(Asked::Run, weather),
            Act::Publish(weather) => self.night(Asked::Publish, weather),
            Act::Retry(weather) => self.night(Asked::Retry, weather),
            Act::Lift => {
                self.lift();
                Ok(())
            }
            Act::Drop => {
                self.drop_dead_letters();
                Ok(())
            }
        }
    }

    fn lift(&mut self) {
        self.site.with_store(async |store, job| {
            let ids: Vec<String> = store.refusals(None).await.unwrap().into_iter().map(|r| r.webhook_id).collect();
            store.change_refusals(job, &ids, RefusalChange::Retry).await.unwrap();
        });
        self.model.lift();
    }

    fn drop_dead_letters(&mut self) {
        let after = u32::from(self.history.dead_letter_after);
        let dropped = self.site.with_store(async |store, job| {
            let refusals = store.refusals(None).await.unwrap().into_iter();
            let ids: Vec<String> = refusals.filter(|r| after > 0 && r.count >= after).map(|r| r.webhook_id).collect();
            store.change_refusals(job, &ids, RefusalChange::Drop).await.unwrap();
            ids
        });
        self.model.drop_versions(dropped);
    }

    /// Undisturbed: the first brings the destination to the source's state, the second sends nothing.
    fn last_nights(&mut self) -> Result<(), Broken> {
        self.lift();
        self.night(Asked::Run, &Weather::default())?;
        let tonight = self.source.tonight();
        // Without removals nothing is said of an org that is gone.
        let is_away = |org: &Org| !self.history.removals && !tonight.contains_key(org);
        let doubt = self.model.known().into_iter().find(|(org, of)| of.in_doubt && !is_away(org));
        ensure!(doubt.is_none(), "still in doubt: {doubt:?}");
        let applied = self.site.world.lock().unwrap().applied.clone();
        let gone = applied.keys().filter(|org| !tonight.contains_key(org)).count();
        ensure!(!self.history.removals || gone == 0, "the destination has what is gone: {applied:?}");
        let same = tonight.iter().all(|(org, value)| applied.get(org) == Some(value));
        ensure!(same, "the destination has {applied:?}, and the source {tonight:?}");
        if self.history.looks_again {
            self.night(Asked::Run, &Weather::default())?;
            ensure!(self.model.rows.is_empty(), "sent again: {:?}", self.model.rows);
        }
        let open = self.site.with_store(async |store, job| store.open_runs(job).await.unwrap());
        ensure!(open.is_empty(), "runs that have not come to their end: {open:?}");
        Ok(())
    }

    fn night(&mut self, asked: Asked, weather: &Weather) -> Result<(), Broken> {
        self.source.write(&self.site.extract());
        let seen = Seen::begin(&self.model);
        let ended = self.site.act(asked, weather);
        self.tally.night(asked, weather, ended.as_ref().err().copied());
        let seen = self.replay(asked, seen)?;
        match &ended {
            Err(_) => {}
            Ok(Err(PipelineError::NothingPublished(_))) if asked == Asked::Retry && self.model.run.is_empty() => {
                return Ok(());
            }
            Ok(Err(error)) => return Err(format!("{asked:?} failed: {error}")),
            Ok(Ok(report)) => self.report(asked, &seen, report)?,
        }
        self.destination(&ended)
    }

    /// Takes in what was seen of the process, event by event.
    fn replay(&mut self, asked: Asked, mut seen: Seen) -> Result<Seen, Broken> {
        let (events, in_doubt, broken) = {
            let mut world = self.site.world.lock().unwrap();
            (std::mem::take(&mut world.events), world.in_doubt.take(), std::mem::take(&mut world.broken))
        };
        ensure!(broken.is_empty(), "{}", broken.join("\n"));
        let new = self.new_manifest()?;
        ensure!(new.is_none() || asked != Asked::Retry, "a retry has published");
        let mut new = new.as_ref();
        for event in events {
            if let Some(manifest) = new.filter(|manifest| event.is_of(&manifest.run)) {
                seen = self.publish(manifest)?;
                new = None;
            }
            self.event(&mut seen, event)?;
        }
        if let Some(manifest) = new {
            seen = self.publish(manifest)?;
        }
        self.settle(&mut seen, in_doubt)?;
        Ok(seen)
    }

    /// The manifest, if another run was published.
    fn new_manifest(&mut self) -> Result<Option<Manifest>, Broken> {
        let dir = self.site.snapshots();
        // It takes long to read.
        let text = std::fs::read(dir.join(Manifest::FILE)).unwrap_or_default();
        if text == self.manifest {
            return Ok(None);
        }
        self.manifest = text;
        let manifest = Manifest::load(&dir).map_err(|error| error.to_string())?;
        Ok(manifest.filter(|manifest| manifest.run != self.model.run))
    }

    fn publish(&mut self, manifest: &Manifest) -> Result<Seen, Broken> {
        let rows = published(&self.site.snapshots(), manifest)?;
        self.tally.published(&self.model, &rows);
        self.model.publish(&manifest.run, rows, &self.source.tonight())?;
        Ok(Seen::begin(&self.model))
    }

    fn event(&mut self, seen: &mut Seen, event: Event) -> Result<(), Broken> {
        match event {
            Event::Asked(request) => self.request(seen, request),
            other => {
                ensure!(other.is_of(&self.model.run), "{other:?} while {} is published", self.model.run);
                self.durable(seen, other)
            }
        }
    }

    fn durable(&mut self, seen: &mut Seen, event: Event) -> Result<(), Broken> {
        match event {
            Event::Committed { granted, words, .. } => {
                granted.iter().try_for_each(|rows| self.model.granted(rows))?;
                for word in words {
                    self.word_is_true(seen, &word)?;
                    self.model.received(&word);
                    self.tally.word(&word);
                    ensure!(seen.words.insert(word.seq, word.clone()).is_none(), "a second word: {word:?}");
                }
            }
            Event::CutOff { .. } => self.model.cut_off(),
            Event::Ended { .. } => self.model.ended(),
            Event::Asked(_) => {}
        }
        Ok(())
    }

    fn request(&mut self, seen: &mut Seen, request: Request) -> Result<(), Broken> {
        let (Some(row), Some(of)) =
            (self.model.rows.get(request.seq as usize), self.model.deliveries.get(request.seq as usize))
        else {
            return Err(format!("not published: {request:?}"));
        };
        let asks = (request.org, request.value, &request.id, request.operation);
        let has = (row.org, row.value, &row.id, row.operation.as_str());
        ensure!(asks == has, "{request:?} where {row:?} is published");
        ensure!(!of.acknowledged, "acknowledged and sent again: {request:?}");
        ensure!(of.may_leave, "sent before that was durable: {request:?}");
        ensure!(!seen.set_aside.contains(&request.seq), "a dead letter was sent: {request:?}");
        self.tally.request(row, &request);
        seen.requests.entry(request.seq).or_default().push(request);
        Ok(())
    }

    /// A word says what the answers of this step mean.
    fn word_is_true(&self, seen: &Seen, word: &Word) -> Result<(), Broken> {
        let requests = seen.requests.get(&word.seq).map(Vec::as_slice).unwrap_or_default();
        let says = (word.outcome, word.failure.as_ref().map(|(kind, _)| *kind));
        let means = match end_of(requests, self.history.attempts)? {
            End::Final(outcome, kind) => (outcome, kind),
            End::Open { may_be_applied: true } => End::UNKNOWN,
            End::Open { .. } => return Err(format!("a word too many: {word:?} after {requests:?}")),
        };
        ensure!(says == means, "{word:?} after {requests:?}");
        let applied = requests.iter().any(|request| request.applied);
        ensure!(word.outcome != Outcome::Acknowledged || applied, "acknowledged, and not applied: {requests:?}");
        ensure!(word.outcome != Outcome::Refused || !applied, "refused, and applied: {requests:?}");
        let id = self.model.rows.get(word.seq as usize).map(|row| &row.id);
        ensure!(word.failure.as_ref().is_none_or(|(_, of)| Some(of) == id), "{word:?} names another id than {id:?}");
        Ok(())
    }

    /// A write of a process that has ended was done or not; from the store it is seen which. Then both must agree.
    fn settle(&mut self, seen: &mut Seen, in_doubt: Option<Event>) -> Result<(), Broken> {
        if self.model.run.is_empty() {
            return Ok(());
        }
        let run = self.model.run.clone();
        let (progress, refusals) = self
            .site
            .with_store(async |store, _| (store.progress(&run).await.unwrap(), store.refusals(None).await.unwrap()));
        let counted: BTreeMap<String, u32> = refusals.into_iter().map(|r| (r.webhook_id, r.count)).collect();
        let agrees = |model: &Model| {
            let mut open = model.rows.iter().zip(&model.deliveries).filter(|(_, of)| !of.acknowledged);
            let same = |(row, _): (&Row, _)| counted.get(&row.id).copied().unwrap_or(0) == model.refusals_of(&row.id);
            model.agrees_with(&progress) && open.all(same)
        };
        if let Some(event) = in_doubt.filter(|event| event.is_of(&run))
            && !agrees(&self.model)
        {
            self.durable(seen, event)?;
        }
        ensure!(
            agrees(&self.model),
            "the store has {progress:?} and the refusals {counted:?}, the model {:#?}",
            self.model
        );
        Ok(())
    }

    fn report(&mut self, asked: Asked, seen: &Seen, report: &RunReport) -> Result<(), Broken> {
        ensure!(report.run == self.model.run, "{} reports {}", self.model.run, report.run);
        let stopped = report.delivery.as_ref().and_then(|summary| summary.stopped.as_ref());
        if asked == Asked::Publish {
            ensure!(seen.requests.is_empty(), "sent although nothing was to be sent");
        } else {
            for (seq, row) in (0..).zip(&self.model.rows) {
                self.row_is_through(seen, seq, row, stopped.is_some())?;
            }
            self.tally.stopped(stopped.map(|stopped| stopped.kind));
        }
        self.counts_add_up(seen, report, asked == Asked::Publish || stopped.is_some())?;
        let run = report.run.clone();
        let record = self.site.with_store(async |store, _| store.run(&run).await.unwrap());
        let record = record.ok_or("no record")?;
        let same = (record.state, record.counts) == (report.state, report.counts);
        ensure!(same && record.finished_at.is_some(), "{record:?} and {report:?}");
        let expected = match (asked, report.counts.pending) {
            (Asked::Publish, _) => RunState::Published,
            (_, 0) => RunState::Finished,
            _ => RunState::Delivering,
        };
        ensure!(report.state == expected, "{:?} where {expected:?}: {report:?}", report.state);
        Ok(())
    }

    /// Every row that can be sent was, and every answer has its receipt.
    fn row_is_through(&self, seen: &Seen, seq: u64, row: &Row, is_stopped: bool) -> Result<(), Broken> {
        let requests = seen.requests.get(&seq).map(Vec::as_slice).unwrap_or_default();
        if seen.had.contains(&seq) || seen.set_aside.contains(&seq) {
            ensure!(requests.is_empty(), "{row:?} was sent: {requests:?}");
            return Ok(());
        }
        let has_word = seen.words.contains_key(&seq);
        match end_of(requests, self.history.attempts)? {
            End::Final(..) => ensure!(has_word, "no word of {row:?} after {requests:?}"),
            End::Open { may_be_applied } => {
                ensure!(is_stopped, "{row:?} was not sent to its end: {requests:?}");
                ensure!(has_word == may_be_applied, "{row:?}: a word is {has_word} after {requests:?}");
            }
        }
        Ok(())
    }

    fn counts_add_up(&self, seen: &Seen, report: &RunReport, is_cut_short: bool) -> Result<(), Broken> {
        let of = |seq: &&u64| self.model.deliveries[**seq as usize];
        let silent = seen.set_aside.iter().filter(|seq| !of(seq).refused && !of(seq).unknown).count() as u64;
        let expected = self.model.counts_now(silent);
        let Counts { acknowledged, refused, unknown, pending, set_aside, .. } = report.counts;
        let sum = acknowledged + refused + unknown + pending + set_aside;
        ensure!(sum == report.counts.planned(), "{:?} does not add up", report.counts);
        // If it was stopped it may not have come to the dead letters.
        let split = Counts { pending: pending + set_aside, set_aside: 0, ..report.counts };
        let whole = Counts { pending: expected.pending + expected.set_aside, set_aside: 0, ..expected };
        ensure!(split == whole && (is_cut_short || report.counts == expected), "{report:?} where {expected:?}");
        let Some(summary) = &report.delivery else { return Ok(()) };
        let words = |outcome| seen.words.values().filter(|word| word.outcome == outcome).count() as u64;
        let Summary { acknowledged, refused, unknown, .. } = *summary;
        let expected = (words(Outcome::Acknowledged), words(Outcome::Refused), words(Outcome::Unknown));
        ensure!((acknowledged, refused, unknown) == expected, "{summary:?} where {expected:?}");
        ensure!(summary.pending == pending, "{summary:?} where {pending} are pending");
        Ok(())
    }

    /// What is known for sure of the destination is so.
    fn destination(&self, ended: &Ended) -> Result<(), Broken> {
        let world = self.site.world.lock().unwrap();
        for (org, known) in self.model.known() {
            let has = world.applied.get(&org).copied();
            let sure = known.in_doubt || has == known.value;
            ensure!(sure, "{org} has {has:?} at the destination, and {known:?} is known; {ended:?}");
        }
        let strange = world.applied.keys().find(|org| !self.model.known().contains_key(org));
        ensure!(strange.is_none(), "nobody knows of {strange:?} at the destination");
        Ok(())
    }
}

/// The rows of a published run, from its files.
fn published(dir: &Path, manifest: &Manifest) -> Result<Vec<Row>, Broken> {
    let said = |error: nightmark::snapshot::SnapshotError| error.to_string();
    let changes = ChangeSet::published(dir, manifest).map_err(said)?;
    let mut rows = Vec::new();
    for batch in changes.batches().map_err(said)? {
        let batch = batch.map_err(said)?;
        for (at, row) in batch.rows.iter().enumerate() {
            let value = |of: nightmark::row::RowRef<'_>| source::value(&of.value(1).text());
            let org: Option<Org> = source::org(&batch.row(at).value(0).text());
            let is_removal = row.operation == nightmark::diff::Operation::Removed;
            let after: Option<Value> = if is_removal { None } else { value(batch.row(at)) };
            rows.push(Row {
                org: org.ok_or("a key that is none")?,
                operation: row.operation,
                value: after,
                before: Known { value: batch.before(at).and_then(value), in_doubt: row.uncertain },
                id: row.webhook_id.clone(),
            });
        }
    }
    Ok(rows)
}
