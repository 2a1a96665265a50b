//! The naive side: what the destination is known to have of each org, and what follows from it.

use super::life::Word;
use super::source::{Org, Value};
use nightmark::diff::Operation;
use nightmark::receipt::{Counts, FailureKind, Outcome, Progress, Unacknowledged};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What is known of an org at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// What it had when that was last sure; `None`: it did not have the org.
    pub value: Option<Value>,
    /// Something else may have been applied since.
    pub in_doubt: bool,
}

/// A change of the published change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub org: Org,
    pub operation: Operation,
    /// What the org is to have; `None`: it is to go.
    pub value: Option<Value>,
    pub before: Known,
    /// Empty as long as it is only expected.
    pub id: String,
}

/// What is known of the delivery of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivery {
    pub acknowledged: bool,
    pub refused: bool,
    pub unknown: bool,
    pub may_leave: bool,
}

/// What the state store and the snapshot must come to.
#[derive(Debug, Clone, Default)]
pub struct Model {
    removals: bool,
    dead_letter_after: u32,
    /// Without the published rows.
    base: BTreeMap<Org, Known>,
    /// The published run; empty before the first.
    pub run: String,
    pub rows: Vec<Row>,
    pub deliveries: Vec<Delivery>,
    /// Of the night of the published run.
    pub counts: Counts,
    /// Of each org the version that is to go out and is not acknowledged.
    versions: BTreeMap<Org, (Option<Value>, String)>,
    ids: BTreeSet<String>,
    refusals: BTreeMap<String, u32>,
    dropped: BTreeSet<String>,
}

impl Model {
    pub fn new(removals: bool, dead_letter_after: u8) -> Self {
        Model { removals, dead_letter_after: u32::from(dead_letter_after), ..Model::default() }
    }

    /// What is known by now.
    pub fn known(&self) -> BTreeMap<Org, Known> {
        let mut known = self.base.clone();
        for (row, delivery) in self.rows.iter().zip(&self.deliveries) {
            let of = if delivery.acknowledged {
                Known { value: row.value, in_doubt: false }
            } else {
                let may_be = delivery.unknown || delivery.may_leave;
                Known { in_doubt: row.before.in_doubt || may_be, ..row.before }
            };
            known.insert(row.org, of);
        }
        known
    }

    /// What a run must publish tonight, in the order of orgs.
    pub fn plan(&self, tonight: &BTreeMap<Org, Value>) -> Vec<Row> {
        let known = self.known();
        let orgs: BTreeSet<Org> = known.keys().chain(tonight.keys()).copied().collect();
        let row = |org: Org| {
            let before = known.get(&org).copied().unwrap_or_default();
            let value = tonight.get(&org).copied();
            let operation = match (before.value, value) {
                (None, Some(_)) => Operation::Added,
                (Some(had), Some(has)) if had != has || before.in_doubt => Operation::Changed,
                (had, None) if self.removals && (had.is_some() || before.in_doubt) => Operation::Removed,
                _ => return None,
            };
            Some(Row { org, operation, value, before, id: String::new() })
        };
        orgs.into_iter().filter_map(row).collect()
    }

    /// A run has published these rows.
    pub fn publish(&mut self, run: &str, rows: Vec<Row>, tonight: &BTreeMap<Org, Value>) -> Result<(), String> {
        let mut expected = self.plan(tonight);
        for row in &rows {
            let repeated = self.versions.get(&row.org).filter(|(value, _)| *value == row.value).map(|(_, id)| id);
            match repeated {
                Some(id) if *id != row.id => return Err(format!("a repeat of {id} under another id: {row:?}")),
                None if self.ids.contains(&row.id) => return Err(format!("an id that another version had: {row:?}")),
                _ => {}
            }
            if let Some(of) = expected.iter_mut().find(|of| of.org == row.org) {
                of.id.clone_from(&row.id);
            }
        }
        let mut sorted = rows.clone();
        sorted.sort_by_key(|row| row.org);
        if sorted != expected {
            return Err(format!("published {sorted:#?}\nwhere {expected:#?} differ"));
        }
        self.base = self.known();
        self.versions.retain(|org, _| !tonight.contains_key(org));
        for row in &rows {
            self.ids.insert(row.id.clone());
            self.versions.insert(row.org, (row.value, row.id.clone()));
        }
        let of = |operation| rows.iter().filter(|row| row.operation == operation).count() as u64;
        let planned = rows.iter().filter(|row| row.value.is_some()).count();
        self.counts = Counts {
            extracted: tonight.len() as u64,
            unchanged: (tonight.len() - planned) as u64,
            added: of(Operation::Added),
            changed: of(Operation::Changed),
            removed: of(Operation::Removed),
            ..Counts::default()
        };
        self.deliveries = vec![Delivery::default(); rows.len()];
        (self.run, self.rows) = (run.to_owned(), rows);
        Ok(())
    }

    pub fn granted(&mut self, rows: &Range<u64>) -> Result<(), String> {
        for seq in rows.clone() {
            let of = self.deliveries.get_mut(seq as usize).ok_or(format!("row {seq} was granted, and is none"))?;
            of.may_leave = !of.acknowledged;
        }
        Ok(())
    }

    pub fn received(&mut self, word: &Word) {
        let of = &mut self.deliveries[word.seq as usize];
        of.may_leave = false;
        if let Some((FailureKind::Refused, id)) = &word.failure {
            *self.refusals.entry(id.clone()).or_default() += 1;
        }
        match word.outcome {
            _ if of.acknowledged => {}
            Outcome::Acknowledged => {
                *of = Delivery { acknowledged: true, ..Delivery::default() };
                self.versions.remove(&self.rows[word.seq as usize].org);
            }
            // An earlier attempt may have been applied all the same.
            Outcome::Refused => of.refused = !of.unknown,
            Outcome::Unknown => (of.refused, of.unknown) = (false, true),
        }
    }

    /// What may have left and has no word is in doubt.
    pub fn cut_off(&mut self) {
        for of in self.deliveries.iter_mut().filter(|of| of.may_leave) {
            *of = Delivery { unknown: true, ..Delivery::default() };
        }
    }

    /// What has no word has not left.
    pub fn ended(&mut self) {
        self.deliveries.iter_mut().for_each(|of| of.may_leave = false);
    }

    /// Whether a version is not to be sent.
    pub fn is_set_aside(&self, row: &Row) -> bool {
        let count = self.refusals.get(&row.id).copied().unwrap_or(0);
        self.dropped.contains(&row.id) || (self.dead_letter_after > 0 && count >= self.dead_letter_after)
    }

    /// Dead letters are to be tried again.
    pub fn lift(&mut self) {
        self.refusals.clear();
        self.dropped.clear();
    }

    /// Nobody wants to hear of these versions again.
    pub fn drop_versions(&mut self, ids: impl IntoIterator<Item = String>) {
        self.dropped.extend(ids);
    }

    pub fn refusals_of(&self, id: &str) -> u32 {
        self.refusals.get(id).copied().unwrap_or(0)
    }

    /// The counts after an orderly delivery that passed over `silent` dead letters of which nothing is known.
    pub fn counts_now(&self, silent: u64) -> Counts {
        let of = |is: fn(&Delivery) -> bool| self.deliveries.iter().filter(|of| is(of)).count() as u64;
        let (acknowledged, refused, unknown) = (of(|d| d.acknowledged), of(|d| d.refused), of(|d| d.unknown));
        let pending = self.rows.len() as u64 - acknowledged - refused - unknown - silent;
        Counts { acknowledged, refused, unknown, pending, set_aside: silent, ..self.counts }
    }

    /// Whether the store knows of each row what it should.
    pub fn agrees_with(&self, progress: &Progress) -> bool {
        (0..).zip(&self.deliveries).all(|(seq, of)| {
            let expected = match of {
                Delivery { acknowledged: true, .. } => None,
                Delivery { unknown: false, may_leave: false, .. } => Some(Unacknowledged::NotApplied),
                _ => Some(Unacknowledged::MaybeApplied),
            };
            progress.unacknowledged(seq) == expected
        })
    }
}
