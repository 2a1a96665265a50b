//! What a batch of updates does, from what the store has of what it concerns.

use super::idempotency::answer_hash;
use super::merge::{happened, merge, micros};
use super::{AnswerHash, FieldTimes, OrgFields, OrgRecord, OrgUpsert, UpsertOutcome, Upserted, history};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A key as the store has it, within the transaction.
#[derive(Debug, Clone, Copy)]
pub struct KeyState {
    /// [`KeyRecord::revision`](crate::store::KeyRecord::revision)
    pub revision: i64,
    /// Whether it was revoked.
    pub revoked: bool,
    /// From when on it is no longer valid.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What an update was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// [`Upserted::target_org_id`]
    pub target_org_id: i64,
    /// [`Upserted::is_new`]
    pub is_new: bool,
    /// [`Upserted::stale`]
    pub stale: bool,
}

/// What the store has of what a batch concerns.
#[derive(Debug, Default)]
pub struct Known {
    /// The batch's keys, by id.
    pub keys: HashMap<String, KeyState>,
    /// The batch's orgs that exist, by product org id.
    pub orgs: HashMap<String, OrgRecord>,
    /// What those of its updates were answered that were done before.
    pub answers: HashMap<AnswerHash, Answer>,
}

/// What is to be written, and what the updates came to.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// One for each update, in their order.
    pub outcomes: Vec<UpsertOutcome>,
    /// The orgs as they are from now on, in the order in which they first come in the batch.
    pub orgs: Vec<OrgRecord>,
    /// What is to be added to their history.
    pub changes: Vec<Change<'a>>,
    /// What repeats of these updates will be answered.
    pub answers: Vec<NewAnswer>,
    /// How the keys were used. Each key once.
    pub uses: Vec<Uses<'a>>,
}

/// A line of history to be written.
#[derive(Debug)]
pub struct Change<'a> {
    /// Whose.
    pub target_org_id: i64,
    /// Its place in the org's history.
    pub number: i64,
    /// The update that made it, for key and request.
    pub upsert: &'a OrgUpsert,
    /// When that happened, as far as its time counted.
    pub event_at: Option<DateTime<Utc>>,
    /// What it did: text for [`OrgChange::fields_from`](super::OrgChange::fields_from).
    pub fields: String,
}

/// An answer to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewAnswer {
    /// What the update is recognised by.
    pub hash: AnswerHash,
    /// What it was answered.
    pub answer: Answer,
    /// When it was received.
    pub at: DateTime<Utc>,
}

/// Uses of a key, to be added to its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uses<'a> {
    /// Whose.
    pub key_id: &'a str,
    /// Updates that were stored, repeats not counted.
    pub stored: u64,
    /// The latest use; an earlier one than the record's does not set it back.
    pub last_used_at: DateTime<Utc>,
}

/// Decides what a batch does. `next`: a number that no org has or had.
pub fn plan(batch: &[OrgUpsert], known: Known, next: impl FnMut() -> i64) -> Plan<'_> {
    let Known { keys, orgs, answers } = known;
    let mut planning = Planning {
        keys,
        answers,
        stored: orgs,
        next,
        places: HashMap::with_capacity(batch.len()),
        plan: Plan { outcomes: Vec::with_capacity(batch.len()), ..Plan::default() },
    };
    for upsert in batch {
        let outcome = planning.one(upsert);
        planning.plan.outcomes.push(outcome);
    }
    planning.plan
}

struct Planning<'a, N> {
    keys: HashMap<String, KeyState>,
    answers: HashMap<AnswerHash, Answer>,
    /// Orgs of the store that no update has come for yet.
    stored: HashMap<String, OrgRecord>,
    next: N,
    /// Where in `plan.orgs` an org is.
    places: HashMap<&'a str, usize>,
    plan: Plan<'a>,
}

impl<'a, N: FnMut() -> i64> Planning<'a, N> {
    fn one(&mut self, upsert: &'a OrgUpsert) -> UpsertOutcome {
        if !self.key_stands(upsert) {
            return UpsertOutcome::KeyChanged;
        }
        let hash = answer_hash(upsert);
        let first = hash.and_then(|hash| self.answers.get(&hash).copied());
        let repeated = first.is_some();
        let answer = first.unwrap_or_else(|| self.apply(upsert));
        if let (Some(hash), false) = (hash, repeated) {
            self.answers.insert(hash, answer);
            self.plan.answers.push(NewAnswer { hash, answer, at: upsert.at });
        }
        self.note_use(upsert, repeated);
        let Answer { target_org_id, is_new, stale } = answer;
        UpsertOutcome::Done(Upserted { target_org_id, is_new, stale, repeated })
    }

    fn key_stands(&self, upsert: &OrgUpsert) -> bool {
        self.keys.get(&upsert.key.id).is_some_and(|key| {
            key.revision == upsert.key.revision
                && !key.revoked
                && key.expires_at.is_none_or(|expires| upsert.at < expires)
        })
    }

    fn apply(&mut self, upsert: &'a OrgUpsert) -> Answer {
        let (place, is_new) = self.place(upsert);
        let org = &mut self.plan.orgs[place];
        let merged = merge(org, upsert);
        org.updated_at = micros(upsert.at);
        if org.key_id != upsert.key.id {
            org.key_id.clone_from(&upsert.key.id);
        }
        let target_org_id = org.target_org_id;
        // That an org is there is a change, too.
        if is_new || !merged.changed.is_empty() {
            org.changes += 1;
            self.plan.changes.push(Change {
                target_org_id,
                number: org.changes,
                upsert,
                event_at: happened(upsert),
                fields: history::to_text(&merged.changed),
            });
        }
        Answer { target_org_id, is_new, stale: merged.stale }
    }

    /// Where the update's org is in `plan.orgs`, and whether it was made for it.
    fn place(&mut self, upsert: &'a OrgUpsert) -> (usize, bool) {
        let id = upsert.patch.product_org_id.as_str();
        let vacant = match self.places.entry(id) {
            Entry::Occupied(place) => return (*place.get(), false),
            Entry::Vacant(vacant) => vacant,
        };
        let place = *vacant.insert(self.plan.orgs.len());
        let stored = self.stored.remove(id);
        let is_new = stored.is_none();
        let org = stored.unwrap_or_else(|| OrgRecord {
            product_org_id: id.to_owned(),
            target_org_id: (self.next)(),
            fields: OrgFields::default(),
            created_at: micros(upsert.at),
            updated_at: micros(upsert.at),
            key_id: upsert.key.id.clone(),
            event_at: None,
            times: FieldTimes::default(),
            changes: 0,
        });
        self.plan.orgs.push(org);
        (place, is_new)
    }

    fn note_use(&mut self, upsert: &'a OrgUpsert, repeated: bool) {
        let uses = &mut self.plan.uses;
        // A batch has few keys, and mostly one.
        let at = uses.iter().position(|uses| uses.key_id == upsert.key.id).unwrap_or_else(|| {
            uses.push(Uses { key_id: &upsert.key.id, stored: 0, last_used_at: upsert.at });
            uses.len() - 1
        });
        uses[at].stored += u64::from(!repeated);
        uses[at].last_used_at = uses[at].last_used_at.max(upsert.at);
    }
}
