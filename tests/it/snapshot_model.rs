//! Nights of changes, outcomes and crashes against a naive map: what is planned, what is known, what id it goes out under.

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use nightmark::diff::{self, Operation, Tonight};
use nightmark::job::spec::Triggers;
use nightmark::receipt::{Outcome, Progress};
use nightmark::row::{Column, Fingerprinter, HashSeed, Kind, RowRef, Schema, Value};
use nightmark::snapshot::{Basis, ChangeSet, Manifest, Publication, Tables, View, publish};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

/// The compared columns of an org: a text and a number, either may be NULL.
type Row = (Option<String>, Option<i64>);

/// One night: the extract, the rows that are rejected, what happens to each change, and whether the run ended in order.
#[derive(Debug, Clone)]
struct Night {
    extract: BTreeMap<u8, Row>,
    rejected: BTreeSet<u8>,
    on: Triggers,
    outcomes: Vec<Option<Outcome>>,
    applied: Vec<bool>,
    attempted: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Entry {
    state: Option<Row>,
    uncertain: bool,
}

/// The naive side: a map of what the destination is known to have, and the destination itself.
#[derive(Default)]
struct Model {
    known: BTreeMap<u8, Entry>,
    pending: HashMap<u8, (Option<Row>, String)>,
    used_ids: BTreeSet<String>,
    destination: BTreeMap<u8, Row>,
}

type Planned = (Operation, u8, Option<Row>, Option<Row>, bool);

impl Model {
    fn plan(&mut self, night: &Night) -> Vec<Planned> {
        let mut planned = Vec::new();
        for (key, row) in &night.extract {
            let entry = self.known.get(key).cloned().unwrap_or_default();
            if night.rejected.contains(key) || (entry.state.as_ref() == Some(row) && !entry.uncertain) {
                continue;
            }
            let added = entry.state.is_none();
            if if added { night.on.added } else { night.on.changed } {
                let operation = if added { Operation::Added } else { Operation::Changed };
                planned.push((operation, *key, entry.state, Some(row.clone()), entry.uncertain));
            } else if added && !entry.uncertain {
                self.known.insert(*key, Entry { state: Some(row.clone()), uncertain: false });
            }
        }
        for (key, entry) in &self.known {
            let there = entry.state.is_some() || entry.uncertain;
            if there && night.on.removed && !night.extract.contains_key(key) {
                planned.push((Operation::Removed, *key, entry.state.clone(), None, entry.uncertain));
            }
        }
        planned
    }

    fn check_ids(&mut self, planned: &[Planned], ids: &[String]) {
        let earlier = std::mem::take(&mut self.pending);
        for ((_, key, _, after, _), id) in planned.iter().zip(ids) {
            match earlier.get(key) {
                Some((same, first_id)) if same == after => assert_eq!(id, first_id, "a repeat keeps its id"),
                _ => assert!(self.used_ids.insert(id.clone()), "another version has another id"),
            }
        }
    }

    /// What delivery brought, told to the map and done to the destination.
    fn deliver(&mut self, night: &Night, planned: &[Planned], ids: &[String]) -> Progress {
        let mut progress = Progress {
            ended: night.attempted.is_none(),
            attempted_before: night.attempted.unwrap_or(0),
            ..Progress::default()
        };
        for (seq, (change, id)) in planned.iter().zip(ids).enumerate() {
            let (_, key, _, after, _) = change;
            let receipt = night.outcomes[seq % night.outcomes.len()];
            let cut_off = receipt.is_none() && (seq as u64) < progress.attempted_before;
            let outcome = if cut_off { Some(Outcome::Unknown) } else { receipt };
            if let Some(receipt) = receipt {
                progress.receipts.insert(seq as u64, receipt);
            }
            let applied = match outcome {
                Some(Outcome::Acknowledged) => true,
                Some(Outcome::Unknown) => night.applied[seq % night.applied.len()],
                Some(Outcome::Refused) | None => false,
            };
            if applied {
                match after {
                    Some(row) => drop(self.destination.insert(*key, row.clone())),
                    None => drop(self.destination.remove(key)),
                }
            }
            let entry = self.known.entry(*key).or_default();
            if outcome == Some(Outcome::Acknowledged) {
                *entry = Entry { state: after.clone(), uncertain: false };
                continue;
            }
            entry.uncertain |= outcome == Some(Outcome::Unknown);
            self.pending.insert(*key, (after.clone(), id.clone()));
        }
        progress
    }
}

fn schema() -> Schema {
    let column = |name: &str, kind| Column { name: name.into(), kind };
    Schema { columns: vec![column("id", Kind::Int), column("plan", Kind::Text), column("users", Kind::Int)] }
}

fn batch(extract: &BTreeMap<u8, Row>) -> RecordBatch {
    let ids: ArrayRef = Arc::new(extract.keys().map(|k| Some(i64::from(*k))).collect::<Int64Array>());
    let plans: ArrayRef = Arc::new(extract.values().map(|r| r.0.as_deref()).collect::<StringViewArray>());
    let users: ArrayRef = Arc::new(extract.values().map(|r| r.1).collect::<Int64Array>());
    RecordBatch::try_new(schema().arrow(), vec![ids, plans, users]).unwrap()
}

fn row_of(row: RowRef<'_>) -> (u8, Row) {
    let Value::Int(id) = row.value(0) else { panic!("a key") };
    let plan = match row.value(1) {
        Value::Text(text) => Some(text.to_owned()),
        _ => None,
    };
    let users = match row.value(2) {
        Value::Int(users) => Some(users),
        _ => None,
    };
    (u8::try_from(id).unwrap(), (plan, users))
}

const SEED: HashSeed = HashSeed([9; 16]);

/// Plans and publishes one night for real; returns what it planned and the ids.
fn real_night(dir: &Path, number: usize, night: &Night, progress: &Progress) -> (Vec<Planned>, Vec<String>) {
    let schema = schema();
    let tonight = batch(&night.extract);
    let basis = Basis { seed: SEED, schema: &schema, key: &[0], fingerprinted: &[1, 2] };
    let view = match Manifest::load(dir).unwrap() {
        Some(manifest) => View::load(dir, &manifest, progress, &basis).unwrap(),
        None => View::empty(),
    };
    let keys = Fingerprinter::new(SEED, &schema, &[0]).fingerprints(&tonight);
    let prints = Fingerprinter::new(SEED, &schema, &[1, 2]).fingerprints(&tonight);
    let rejected = night.extract.keys().map(|k| night.rejected.contains(k));
    let rows: Vec<Tonight> = keys
        .into_iter()
        .zip(prints)
        .zip(rejected)
        .map(|((key, fingerprint), rejected)| Tonight { key, fingerprint, rejected })
        .collect();
    let diff = diff::diff(view.known(), &rows, night.on, false);
    let tables = Tables { seed: SEED, tonight: &tonight, schema: &schema, key: &[0], before_schema: &schema };
    let run = format!("{:026}", number + 1);
    let changes = ChangeSet::build(&tables, &view, &diff, &run).unwrap();
    let publication = Publication {
        job: "model",
        run: &run,
        at: chrono::DateTime::UNIX_EPOCH,
        tables,
        view: &view,
        diff: &diff,
        changes: &changes,
        pinned: &schema,
        input: None,
    };
    publish(dir, &publication).unwrap();
    let planned = (0..changes.len()).map(|seq| {
        let row = &changes.rows[seq];
        let (key, after) = row_of(changes.row(seq));
        let after = (row.operation != Operation::Removed).then_some(after);
        (row.operation, key, changes.before(seq).map(|b| row_of(b).1), after, row.uncertain)
    });
    (planned.collect(), changes.rows.iter().map(|r| r.webhook_id.clone()).collect())
}

fn check(nights: &[Night]) {
    // In memory where there is such a place: thousands of publications fsync ten thousand times.
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let mut model = Model::default();
    let mut progress = Progress::default();
    for (number, night) in nights.iter().enumerate() {
        let expected = model.plan(night);
        let (planned, ids) = real_night(dir.path(), number, night, &progress);
        // Removals come in the snapshot's order, which the map does not have: both sides are put in one order.
        let mut order: Vec<usize> = (0..planned.len()).collect();
        order.sort_by_key(|&i| (planned[i].0 == Operation::Removed, planned[i].1));
        assert_eq!(order.iter().map(|&i| planned[i].clone()).collect::<Vec<_>>(), expected, "night {number}");
        model.check_ids(&planned, &ids);
        progress = model.deliver(night, &planned, &ids);
    }
    // One last night on which everything is sent and acknowledged: the destination ends as the source is.
    let last = nights.last().unwrap();
    let all = Triggers { added: true, changed: true, removed: true };
    let adopted_only = nights.iter().any(|n| !n.on.added);
    let flush = Night {
        rejected: BTreeSet::new(),
        on: all,
        outcomes: vec![Some(Outcome::Acknowledged)],
        attempted: None,
        ..last.clone()
    };
    let (planned, ids) = real_night(dir.path(), nights.len(), &flush, &progress);
    let expected = model.plan(&flush);
    assert_eq!(planned.len(), expected.len());
    model.deliver(&flush, &planned, &ids);
    if !adopted_only {
        assert_eq!(model.destination, flush.extract, "nothing is lost");
    }
    let progress = Progress {
        ended: true,
        receipts: (0..planned.len() as u64).map(|s| (s, Outcome::Acknowledged)).collect(),
        ..Progress::default()
    };
    let (again, _) = real_night(dir.path(), nights.len() + 1, &flush, &progress);
    assert_eq!(again, [], "what is acknowledged is not sent again");
}

fn row() -> impl Strategy<Value = Row> {
    (
        prop_oneof![Just(None), Just(Some(String::new())), Just(Some("pro".to_owned()))],
        prop_oneof![Just(None), (0..3i64).prop_map(Some)],
    )
}

fn night() -> impl Strategy<Value = Night> {
    let outcome = prop_oneof![
        3 => Just(Some(Outcome::Acknowledged)),
        1 => Just(Some(Outcome::Refused)),
        2 => Just(Some(Outcome::Unknown)),
        1 => Just(None),
    ];
    let on = prop_oneof![
        3 => Just(Triggers { added: true, changed: true, removed: true }),
        2 => Just(Triggers { added: true, changed: true, removed: false }),
        1 => Just(Triggers { added: true, changed: false, removed: false }),
        1 => Just(Triggers { added: false, changed: true, removed: true }),
    ];
    (
        prop::collection::btree_map(0..8u8, row(), 0..8),
        prop::collection::btree_set(0..8u8, 0..2),
        on,
        prop::collection::vec(outcome, 1..6),
        prop::collection::vec(any::<bool>(), 1..6),
        prop::option::of(0..8u64),
    )
        .prop_map(|(extract, rejected, on, outcomes, applied, attempted)| Night {
            extract,
            rejected,
            on,
            outcomes,
            applied,
            attempted,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_is_what_the_destination_is_known_to_have(nights in prop::collection::vec(night(), 1..7)) {
        check(&nights);
    }
}
