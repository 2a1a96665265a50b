//! What was received and applied.

use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// One request, whether it was read to its end or not.
#[derive(Debug, Clone)]
pub struct Entry {
    pub org: String,
    /// `webhook-id`
    pub id: String,
    /// `Idempotency-Key`
    pub idempotency_key: String,
    /// `nightmark-operation`
    pub operation: String,
    /// NULL if it did not arrive whole.
    pub body: Value,
    /// The connection that it came over, from 0.
    pub connection: usize,
    /// How many requests of the same org came before it.
    pub nth: usize,
    /// Which process sent it, as far as the test has said.
    pub era: usize,
    /// When it was here, in ticks of the record: a later tick was later.
    pub began: u64,
    /// When it was done with: just before the last byte of the answer, or when the connection ended.
    pub ended: Option<u64>,
    pub applied: bool,
    /// The status of an answer that was surely written whole, to a client that had not gone.
    pub answered: Option<u16>,
}

/// Everything that came, in order, and what became of it.
#[derive(Debug, Default)]
pub struct Record {
    pub entries: Vec<Entry>,
    pub state: BTreeMap<String, Value>,
    pub era: usize,
    ticks: u64,
    by_org: HashMap<String, usize>,
}

impl Record {
    fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    /// How many requests of the org came so far.
    pub fn of(&self, org: &str) -> usize {
        self.by_org.get(org).copied().unwrap_or(0)
    }

    /// Notes a request. Returns its number.
    pub fn begin(&mut self, org: &str, connection: usize, header: impl Fn(&str) -> String) -> usize {
        let (nth, began) = (self.of(org), self.tick());
        self.entries.push(Entry {
            org: org.to_owned(),
            id: header("webhook-id"),
            idempotency_key: header("idempotency-key"),
            operation: header("nightmark-operation"),
            body: Value::Null,
            connection,
            nth,
            era: self.era,
            began,
            ended: None,
            applied: false,
            answered: None,
        });
        *self.by_org.entry(org.to_owned()).or_default() += 1;
        self.entries.len() - 1
    }

    /// Its body is here whole.
    pub fn take(&mut self, number: usize, body: Value, applies: bool) {
        let entry = &mut self.entries[number];
        entry.applied = applies;
        if applies && entry.operation == "removed" {
            self.state.remove(&entry.org);
        } else if applies {
            self.state.insert(entry.org.clone(), body.clone());
        }
        entry.body = body;
    }

    /// It is done with.
    pub fn end(&mut self, number: usize) {
        let tick = self.tick();
        self.entries[number].ended.get_or_insert(tick);
    }
}
