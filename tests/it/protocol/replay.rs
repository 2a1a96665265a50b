//! What was seen of a process, event by event, against the model.

use super::check::{Broken, Checked, ensure};
use super::life::{Event, Request, Word};
use super::model::{Known, Model, Row};
use super::row::{End, end_of};
use super::site::Asked;
use super::source::{self, Org, Value};
use nightmark::receipt::Outcome;
use nightmark::snapshot::{ChangeSet, Manifest};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What was seen of the rows of one step.
#[derive(Default)]
pub struct Seen {
    pub requests: BTreeMap<u64, Vec<Request>>,
    pub words: BTreeMap<u64, Word>,
    /// Rows that are not to be sent, although the destination does not have them.
    pub set_aside: BTreeSet<u64>,
    /// Rows that the destination had before the step.
    pub had: BTreeSet<u64>,
}

impl Seen {
    pub fn begin(model: &Model) -> Seen {
        let rows = (0..).zip(model.rows.iter().zip(&model.deliveries));
        let had: BTreeSet<u64> = rows.clone().filter(|(_, (_, of))| of.acknowledged).map(|(seq, _)| seq).collect();
        let aside = rows.filter(|(seq, (row, _))| !had.contains(seq) && model.is_set_aside(row));
        Seen { set_aside: aside.map(|(seq, _)| seq).collect(), had, ..Seen::default() }
    }
}

impl Checked<'_> {
    /// Takes in what was seen of the process, event by event.
    pub fn replay(&mut self, asked: Asked, mut seen: Seen) -> Result<Seen, Broken> {
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
        let text = std::fs::read(dir.join(Manifest::FILE)).unwrap_or_default();
        if text == self.manifest {
            return Ok(None);
        }
        self.manifest = text;
        // Without its checks, which take long: the pipeline makes them often enough.
        let manifest: Manifest = serde_json::from_slice(&self.manifest).map_err(|error| error.to_string())?;
        Ok((manifest.run != self.model.run).then_some(manifest))
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
                    self.tally.word(&word, seen.requests.get(&word.seq).map(Vec::as_slice).unwrap_or_default());
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
        self.tally.request(&request);
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
