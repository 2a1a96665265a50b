//! Nights of changes, outcomes and crashes against a naive map: what is planned, what is known, what id it goes out under.
//! The extract may have rejected rows, rows that stand twice and rows without a key; the compared columns come and go.

use crate::support::environment;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use nightmark::diff::Operation;
use nightmark::job::spec::Triggers;
use nightmark::pipeline::{PlanInput, Purpose, Resources, Since, plan_blocking};
use nightmark::receipt::{Outcome, Progress};
use nightmark::row::{HashSeed, RowRef, Value};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

/// The columns of an org besides its key: a text (a number here, for short) and two numbers; each may be NULL.
type Row = [Option<i64>; 3];
const COLUMNS: [&str; 3] = ["plan", "users", "seats"];
const PLANS: [&str; 2] = ["", "pro"];
const REGIONS: [&str; 2] = ["eu", "us"];

/// One night: the extract, the rows that cannot be judged, what is compared, what happens to each change, and whether the
/// run ended in order.
#[derive(Debug, Clone)]
struct Night {
    extract: BTreeMap<u8, Row>,
    rejected: BTreeSet<u8>,
    doubled: BTreeSet<u8>,
    keyless: usize,
    compared: [bool; 3],
    adopt_columns: bool,
    on: Triggers,
    outcomes: Vec<Option<Outcome>>,
    applied: Vec<bool>,
    attempted: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Entry {
    /// What the destination has in the compared columns; NULL in the others.
    state: Option<Row>,
    /// Compared columns that were adopted and not seen since.
    unknown: [bool; 3],
    uncertain: bool,
}

/// The naive side: a map of what the destination is known to have, and the destination itself.
#[derive(Default)]
struct Model {
    known: BTreeMap<u8, Entry>,
    pending: HashMap<u8, (Option<Row>, String)>,
    used_ids: BTreeSet<String>,
    destination: BTreeMap<u8, Row>,
    compared: Option<[bool; 3]>,
}

type Planned = (Operation, u8, Option<Row>, Option<Row>, bool);

fn masked(row: Row, columns: [bool; 3]) -> Row {
    std::array::from_fn(|c| row[c].filter(|_| columns[c]))
}

impl Model {
    /// A column that is compared anew is NULL or to be adopted; one that is no longer compared is forgotten.
    fn turn_columns(&mut self, night: &Night) {
        let earlier = self.compared.replace(night.compared).unwrap_or(night.compared);
        for entry in self.known.values_mut() {
            entry.state = entry.state.map(|s| masked(masked(s, earlier), night.compared));
            for (c, unknown) in entry.unknown.iter_mut().enumerate() {
                let is_new = night.compared[c] && !earlier[c];
                *unknown = night.compared[c] && (*unknown || (is_new && night.adopt_columns));
            }
        }
    }

    fn plan(&mut self, night: &Night) -> Vec<Planned> {
        self.turn_columns(night);
        let mut planned = Vec::new();
        for (key, row) in &night.extract {
            if night.rejected.contains(key) || night.doubled.contains(key) {
                continue;
            }
            let Entry { state, unknown, uncertain } = self.known.get(key).cloned().unwrap_or_default();
            let as_known = |s: Row| (0..3).all(|c| !night.compared[c] || unknown[c] || s[c] == row[c]);
            let added = state.is_none();
            let settled = if state.is_some_and(as_known) && !uncertain {
                true
            } else if if added { night.on.added } else { night.on.changed } {
                let operation = if added { Operation::Added } else { Operation::Changed };
                planned.push((operation, *key, state, Some(*row), uncertain));
                false
            } else {
                added && !uncertain
            };
            if settled {
                let state = Some(masked(*row, night.compared));
                self.known.insert(*key, Entry { state, ..Entry::default() });
                self.pending.remove(key);
            }
        }
        for (key, entry) in &self.known {
            let there = entry.state.is_some() || entry.uncertain;
            if there && night.on.removed && night.keyless == 0 && !night.extract.contains_key(key) {
                planned.push((Operation::Removed, *key, entry.state, None, entry.uncertain));
            }
        }
        planned
    }

    fn check_ids(&mut self, night: &Night, planned: &[Planned], ids: &[String]) {
        let version = |row: Option<Row>| row.map(|r| masked(r, night.compared));
        for ((_, key, _, after, _), id) in planned.iter().zip(ids) {
            match self.pending.remove(key) {
                Some((same, first_id)) if version(same) == version(*after) => {
                    assert_eq!(*id, first_id, "a repeat keeps its id")
                }
                _ => assert!(self.used_ids.insert(id.clone()), "another version has another id"),
            }
        }
        // What is neither repeated nor settled waits; of its version only the compared columns are kept.
        for (after, _) in self.pending.values_mut() {
            *after = version(*after);
        }
    }

    /// What delivery brought, told to the map and done to the destination.
    fn deliver(&mut self, night: &Night, planned: &[Planned], ids: &[String]) -> Progress {
        let mut progress = Progress::default();
        progress.attempt(0..night.attempted.unwrap_or(0));
        for (seq, (change, id)) in planned.iter().zip(ids).enumerate() {
            let (_, key, _, after, _) = change;
            let receipt = night.outcomes[seq % night.outcomes.len()];
            let cut_off = receipt.is_none() && night.attempted.is_some_and(|before| (seq as u64) < before);
            let outcome = if cut_off { Some(Outcome::Unknown) } else { receipt };
            if let Some(receipt) = receipt {
                progress.receive(seq as u64, receipt);
            }
            let applied = match outcome {
                Some(Outcome::Acknowledged) => true,
                Some(Outcome::Unknown) => night.applied[seq % night.applied.len()],
                Some(Outcome::Refused) | None => false,
            };
            if applied {
                match after {
                    Some(row) => drop(self.destination.insert(*key, *row)),
                    None => drop(self.destination.remove(key)),
                }
            }
            let entry = self.known.entry(*key).or_default();
            if outcome == Some(Outcome::Acknowledged) {
                *entry = Entry { state: after.map(|r| masked(r, night.compared)), ..Entry::default() };
                continue;
            }
            entry.uncertain |= outcome == Some(Outcome::Unknown);
            self.pending.insert(*key, (*after, id.clone()));
        }
        progress
    }
}

/// The extract's rows, each with its key and whether it cannot be judged; doubled ones stand twice, and rows without a key
/// are at the end.
fn rows_of(night: &Night) -> Vec<(Option<u8>, Row, bool)> {
    let times = |key: &u8| if night.doubled.contains(key) { 2 } else { 1 };
    let keyed = night.extract.iter();
    let keyed = keyed.flat_map(|(key, row)| vec![(Some(*key), *row, night.rejected.contains(key)); times(key)]);
    keyed.chain(vec![(None, [Some(1); 3], false); night.keyless]).collect()
}

/// Writes the extract. The key is `id` and `region`; every column is always there, only some are compared. A row that cannot
/// be judged has an instant that no calendar has.
fn write_extract(path: &Path, rows: &[(Option<u8>, Row, bool)]) {
    let region = |k: u8| REGIONS[usize::from(k % 2)];
    let plan = |p: i64| PLANS[usize::try_from(p % 2).unwrap()];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(rows.iter().map(|(k, ..)| k.map(|k| i64::from(k / 2))).collect::<Int64Array>())),
        ("region", Arc::new(rows.iter().map(|(k, ..)| Some(region(k.unwrap_or(0)))).collect::<StringArray>())),
        ("plan", Arc::new(rows.iter().map(|(_, r, _)| r[0].map(plan)).collect::<StringArray>())),
        ("users", Arc::new(rows.iter().map(|(_, r, _)| r[1]).collect::<Int64Array>())),
        ("seats", Arc::new(rows.iter().map(|(_, r, _)| r[2]).collect::<Int64Array>())),
        (
            "seen",
            Arc::new(
                rows.iter()
                    .map(|(.., bad)| Some(if *bad { i64::MAX } else { 0 }))
                    .collect::<TimestampMicrosecondArray>(),
            ),
        ),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn read_row(row: RowRef<'_>) -> (u8, Row) {
    let value = |name: &str| row.schema.index_of(name).map_or(Value::Null, |at| row.value(at));
    let (Value::Int(id), Value::Text(region)) = (value("id"), value("region")) else { return (u8::MAX, [None; 3]) };
    let key = u8::try_from(id).unwrap() * 2 + u8::from(region == REGIONS[1]);
    let number = |name: &str| match value(name) {
        Value::Int(number) => Some(number),
        Value::Text(text) => PLANS.iter().position(|p| *p == text).map(|p| p as i64),
        _ => None,
    };
    (key, COLUMNS.map(number))
}

const SEED: HashSeed = HashSeed([9; 16]);

fn job(dir: &Path, night: &Night) -> nightmark::job::spec::Job {
    let names = (0..3).filter(|&c| night.compared[c]).map(|c| format!("\"{}\"", COLUMNS[c])).collect::<Vec<_>>();
    let on = [(night.on.added, "added"), (night.on.changed, "changed"), (night.on.removed, "removed")];
    let on = on.iter().filter(|(on, _)| *on).map(|(_, name)| format!("\"{name}\"")).collect::<Vec<_>>();
    let text = format!(
        "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.parquet\"\n[diff]\nkey = [\"id\", \"region\"]\n\
         compare = [{}]\non = [{}]\non_new_column = \"{}\"\non_bad_key = \"quarantine\"\n\
         [destination]\nkind = \"http\"\nurl = \"http://127.0.0.1:9/\"\n[payload]\ntemplate = '{{\"op\": \"{{{{op}}}}\"}}'\n",
        names.join(", "),
        on.join(", "),
        if night.adopt_columns { "adopt" } else { "send" }
    );
    nightmark::job::parse(&text, Path::new("model.toml"), dir).unwrap()
}

/// Plans and publishes one night for real; returns what it planned and the ids.
fn real_night(dir: &Path, number: usize, night: &Night, progress: &Progress) -> (Vec<Planned>, Vec<String>) {
    write_extract(&dir.join("orgs.parquet"), &rows_of(night));
    let input = PlanInput {
        job: Arc::new(job(dir, night)),
        dir: dir.join("model"),
        run: format!("{:026}", number + 1),
        at: chrono::DateTime::UNIX_EPOCH,
        environment: environment(dir),
        since: Since::default(),
    };
    // Half of the nights do without memory, and some with several threads.
    let resources = Resources { memory: if number.is_multiple_of(2) { 1 << 30 } else { 64 }, threads: 1 + number % 3 };
    let mut planned = plan_blocking(input, progress, SEED, resources, Purpose::Run).unwrap();
    planned.publish(chrono::DateTime::UNIX_EPOCH, None).unwrap();
    let (mut changes, mut ids) = (Vec::new(), Vec::new());
    for batch in planned.batches().unwrap() {
        let batch = batch.unwrap();
        for at in 0..batch.len() {
            let row = &batch.rows[at];
            let (key, after) = read_row(batch.row(at));
            let after = (row.operation != Operation::Removed).then_some(after);
            changes.push((row.operation, key, batch.before(at).map(|b| read_row(b).1), after, row.uncertain));
            ids.push(row.webhook_id.clone());
        }
    }
    (changes, ids)
}

/// Plans, publishes and delivers one night on both sides; returns what was planned and how delivery went.
fn night_on_both_sides(
    dir: &Path,
    number: usize,
    night: &Night,
    model: &mut Model,
    progress: &Progress,
) -> (Vec<Planned>, Progress) {
    let expected = model.plan(night);
    let (planned, ids) = real_night(dir, number, night, progress);
    // Removals come in the snapshot's order, which the map does not have: both sides are put in one order.
    let mut order: Vec<usize> = (0..planned.len()).collect();
    order.sort_by_key(|&i| (planned[i].0 == Operation::Removed, planned[i].1));
    assert_eq!(order.iter().map(|&i| planned[i]).collect::<Vec<_>>(), expected, "night {number}");
    model.check_ids(night, &planned, &ids);
    let progress = model.deliver(night, &planned, &ids);
    (planned, progress)
}

fn check(nights: &[Night]) {
    let dir = crate::support::folder_in_memory();
    let mut model = Model::default();
    let mut progress = Progress::default();
    for (number, night) in nights.iter().enumerate() {
        (_, progress) = night_on_both_sides(dir.path(), number, night, &mut model, &progress);
    }
    // One last night on which everything is sent and acknowledged: the destination ends as the source is, in every column
    // that was compared all the time.
    let last = nights.last().unwrap();
    let flush = Night {
        rejected: BTreeSet::new(),
        doubled: BTreeSet::new(),
        keyless: 0,
        on: Triggers { added: true, changed: true, removed: true },
        outcomes: vec![Some(Outcome::Acknowledged)],
        attempted: None,
        ..last.clone()
    };
    let (_, progress) = night_on_both_sides(dir.path(), nights.len(), &flush, &mut model, &progress);
    if nights.iter().all(|n| n.on.added) {
        let always = std::array::from_fn(|c| nights.iter().all(|n| n.compared[c]));
        let of = |orgs: &BTreeMap<u8, Row>| orgs.iter().map(|(k, r)| (*k, masked(*r, always))).collect::<Vec<_>>();
        assert_eq!(of(&model.destination), of(&flush.extract), "nothing is lost");
    }
    let (again, _) = real_night(dir.path(), nights.len() + 1, &flush, &progress);
    assert_eq!(again, [], "what is acknowledged is not sent again");
}

fn night() -> impl Strategy<Value = Night> {
    let cell = || prop_oneof![Just(None), (0..2i64).prop_map(Some)];
    let row = [cell(), cell(), cell()];
    let outcome = prop_oneof![
        3 => Just(Some(Outcome::Acknowledged)),
        2 => Just(Some(Outcome::Refused)),
        2 => Just(Some(Outcome::Unknown)),
        1 => Just(None),
    ];
    let on = prop_oneof![
        3 => Just(Triggers { added: true, changed: true, removed: true }),
        2 => Just(Triggers { added: true, changed: true, removed: false }),
        1 => Just(Triggers { added: true, changed: false, removed: false }),
        1 => Just(Triggers { added: false, changed: true, removed: true }),
    ];
    let compared = prop_oneof![
        4 => Just([true, true, false]),
        2 => Just([true, true, true]),
        1 => Just([true, false, true]),
        1 => Just([false, true, false]),
    ];
    let extract = (
        prop::collection::btree_map(0..8u8, row, 0..8),
        prop::collection::btree_set(0..8u8, 0..2),
        prop::collection::btree_set(0..8u8, 0..2),
        prop_oneof![4 => Just(0), 1 => 1..3usize],
    );
    let delivery =
        (prop::collection::vec(outcome, 1..6), prop::collection::vec(any::<bool>(), 1..6), prop::option::of(0..8u64));
    (extract, (compared, any::<bool>(), on), delivery).prop_map(
        |((extract, rejected, doubled, keyless), (compared, adopt_columns, on), (outcomes, applied, attempted))| {
            Night { extract, rejected, doubled, keyless, compared, adopt_columns, on, outcomes, applied, attempted }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_is_what_the_destination_is_known_to_have(nights in prop::collection::vec(night(), 1..7)) {
        check(&nights);
    }
}
