//! Renders a change set row by row, as delivery asks for it, and passes over what is not to be sent. Rows that did not get
//! through lately come last, so that they keep no others from being tried: each of them costs attempts and waits.

use super::PipelineError;
use super::outbox::{Content, Outbox};
use crate::deliver::{Item, Message};
use crate::receipt::Progress;
use crate::snapshot::ChangeBatch;
use crate::store::Refusal;
use crate::template::{Place, RenderError};
use roaring::RoaringBitmap;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The rows of an outbox that are to be sent.
pub(super) struct Messages {
    outbox: Outbox,
    batches: Box<dyn Iterator<Item = Result<ChangeBatch, PipelineError>> + Send>,
    batch: Option<ChangeBatch>,
    next: usize,
    /// Rows that the destination has.
    done: RoaringBitmap,
    /// Rows that have a word of an earlier delivery.
    told: RoaringBitmap,
    versions: HashMap<String, Version>,
    /// Keys of rows that did not get through lately.
    failed: HashSet<String>,
    /// Rows that come after all others.
    put_off: RoaringBitmap,
    /// All others have been.
    is_last_turn: bool,
    found: Arc<Mutex<Found>>,
}

/// A version that the destination has refused before.
struct Version {
    is_set_aside: bool,
    is_dropped: bool,
}

/// What came to light on the way.
#[derive(Default)]
pub(super) struct Found {
    /// Why the change set could not be read to its end.
    pub(super) broken: Option<PipelineError>,
    /// Whether every row was looked at.
    pub(super) is_complete: bool,
    /// Refused versions that the change set still has, and their rows.
    pub(super) versions: HashMap<String, u64>,
    /// Rows that were passed over, because their version is set aside.
    pub(super) set_aside: u64,
    /// Of these, those that nobody wants to hear of.
    pub(super) dropped: u64,
    /// Of those that were passed over, those without a word.
    pub(super) silent: u64,
}

impl Messages {
    /// `after`: a version that was refused so often is set aside; 0: none is. `failed`: keys of rows that come last.
    pub(super) fn new(
        outbox: Outbox,
        progress: &Progress,
        refusals: Vec<Refusal>,
        after: u32,
        failed: HashSet<String>,
    ) -> Result<(Self, Arc<Mutex<Found>>), PipelineError> {
        let found = Arc::new(Mutex::new(Found::default()));
        let version = |refusal: Refusal| {
            let is_set_aside = refusal.is_given_up(after);
            (refusal.webhook_id, Version { is_set_aside, is_dropped: refusal.dropped })
        };
        let messages = Messages {
            batches: Box::new(outbox.batches()?),
            outbox,
            batch: None,
            next: 0,
            done: progress.acknowledged.clone(),
            told: &progress.refused | &progress.unknown,
            versions: refusals.into_iter().map(version).collect(),
            failed,
            put_off: RoaringBitmap::new(),
            is_last_turn: false,
            found: Arc::clone(&found),
        };
        Ok((messages, found))
    }

    /// What there is to know of the rows without sending any: they have been sent, by whomever.
    pub(super) fn survey(mut self) -> Arc<Mutex<Found>> {
        while self.turn().is_some() {
            let Some(batch) = self.batch.take() else { break };
            for (at, row) in batch.rows.iter().enumerate() {
                self.passes_over(batch.first + at as u64, &row.webhook_id);
            }
        }
        self.found
    }

    /// Goes on to the batch with the next row; `None` after the last, or when the file cannot be read on.
    fn turn(&mut self) -> Option<()> {
        while self.batch.as_ref().is_none_or(|batch| self.next >= batch.len()) {
            match self.batches.next() {
                Some(Ok(batch)) => (self.batch, self.next) = (Some(batch), 0),
                Some(Err(error)) => return self.broken(error),
                None if !self.is_last_turn && !self.put_off.is_empty() => {
                    self.is_last_turn = true;
                    match self.outbox.batches() {
                        Ok(batches) => (self.batches, self.batch) = (Box::new(batches), None),
                        Err(error) => return self.broken(error),
                    }
                }
                None => {
                    self.found().is_complete = true;
                    return None;
                }
            }
        }
        Some(())
    }

    fn broken(&self, error: PipelineError) -> Option<()> {
        self.found().broken = Some(error);
        None
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a row is passed over.
    fn passes_over(&self, seq: u64, webhook_id: &str) -> bool {
        let row = u32::try_from(seq).unwrap_or(u32::MAX);
        let version = self.versions.get(webhook_id);
        if version.is_some() {
            self.found().versions.insert(webhook_id.to_owned(), seq);
        }
        if self.done.contains(row) {
            return true;
        }
        let Some(version) = version.filter(|version| version.is_set_aside) else { return false };
        let mut found = self.found();
        found.set_aside += 1;
        found.dropped += u64::from(version.is_dropped);
        found.silent += u64::from(!self.told.contains(row));
        true
    }
}

impl Iterator for Messages {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            self.turn()?;
            let (batch, at) = (self.batch.as_ref()?, self.next);
            self.next += 1;
            let (seq, row) = (batch.first + at as u64, &batch.rows[at]);
            if !self.outbox.has(seq) {
                continue;
            }
            let number = u32::try_from(seq).unwrap_or(u32::MAX);
            if self.is_last_turn && !self.put_off.contains(number) {
                continue;
            }
            if !self.is_last_turn && self.passes_over(seq, &row.webhook_id) {
                continue;
            }
            let key = crate::row::key_text(batch.row(at), &batch.shape().key);
            if !self.is_last_turn && (self.told.contains(number) || self.failed.contains(&key)) {
                self.put_off.insert(number);
                continue;
            }
            let (id, version, operation) = (batch.message_id(at), row.webhook_id.clone(), row.operation.as_str());
            return Some(match self.outbox.content(batch, at, &id) {
                Ok(Content { body, part, aside }) => {
                    let (body, aside) = (body.into(), aside.map(Box::new));
                    Item::Send(Message { seq, key, id, version, operation, body, part, aside })
                }
                Err(error) => Item::Unsendable { seq, key, problem: problem(&error) },
            });
        }
    }
}

fn problem(error: &RenderError) -> String {
    match error.place {
        Place::Text { .. } => error.to_string(),
        _ => format!("the payload: {error}"),
    }
}
