//! The rule on a table of cases, and in a model: source, destination and snapshot as sets of orgs, all that can happen to a run at random.

use super::*;
use crate::row::{HashSeed, Schema};
use crate::snapshot::FileEntry;
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn manifest(run: &str, since: Option<i64>, waiting: u64) -> Manifest {
    let file = |rows| FileEntry { path: String::new(), rows, bytes: 0, xxh3: String::new() };
    Manifest {
        format: 2,
        job: "orgs".into(),
        run: run.into(),
        published_at: at(0),
        hash_seed: HashSeed([0; 16]),
        key: vec!["id".into()],
        compared: Vec::new(),
        unknown: Vec::new(),
        schema: Schema::default(),
        input: None,
        base: Vec::new(),
        sidecar: file(0),
        changes: file(0),
        waiting: (waiting > 0).then(|| file(waiting)),
        order: None,
        since: since.map(at),
    }
}

fn record(run: &str, started: i64, state: RunState, counts: Counts) -> RunRecord {
    RunRecord { state, counts, ..RunRecord::new(run, "orgs", at(started)) }
}

#[test]
fn a_run_about_some_orgs_says_nothing_of_the_others() {
    let counts = Counts { extracted: 1, changed: 1, acknowledged: 1, ..Counts::default() };
    let all = record("R", 200, RunState::Finished, counts);
    let some = RunRecord { report: Some(serde_json::json!({ SOME: true })), ..all.clone() };
    for (record, expected) in [(all, 200), (some, 100)] {
        assert_eq!(up_to(&manifest("R", Some(100), 0), Some(&record), at(300)), Some(at(expected)));
    }
}

#[test]
fn each_way_a_run_can_stand() {
    let counts =
        |acknowledged| Counts { extracted: 5, added: 2, changed: 3, removed: 0, acknowledged, ..Counts::default() };
    let all = counts(5);
    let left = |what: fn(&mut Counts)| {
        let mut counts = counts(4);
        what(&mut counts);
        counts
    };
    use RunState::{Delivering, Diffed, Discarded, Extracting, Failed, Finished, Held, Published, Superseded};
    for (state, counts, waiting, is_up_to_date) in [
        (Finished, all, 0, true),
        // Nothing to send.
        (Finished, Counts { extracted: 9, unchanged: 9, ..Counts::default() }, 0, true),
        // No row at all: the table may have been empty for the moment.
        (Finished, Counts::default(), 0, false),
        (Finished, left(|c| c.refused = 1), 0, false),
        (Finished, left(|c| c.unknown = 1), 0, false),
        (Finished, left(|c| c.set_aside = 1), 0, false),
        (Finished, left(|c| c.pending = 1), 0, false),
        (Finished, Counts { rejected: 1, ..all }, 0, false),
        // An org that was away had a change that was not acknowledged.
        (Finished, all, 1, false),
        (Delivering, all, 0, false),
        (Published, Counts::default(), 0, false),
        (Superseded, all, 0, false),
        (Extracting, Counts::default(), 0, false),
        (Diffed, Counts::default(), 0, false),
        (Held, Counts::default(), 0, false),
        (Failed, Counts::default(), 0, false),
        (Discarded, Counts::default(), 0, false),
    ] {
        let found = up_to(&manifest("R", Some(100), waiting), Some(&record("R", 200, state, counts)), at(300));
        assert_eq!(found, Some(at(if is_up_to_date { 200 } else { 100 })), "{state:?} {counts:?} {waiting}");
    }
}

#[test]
fn without_a_record_or_with_a_wrong_clock_it_is_the_earlier_time() {
    let done = record("R", 200, RunState::Finished, Counts { extracted: 1, unchanged: 1, ..Counts::default() });
    assert_eq!(up_to(&manifest("R", Some(100), 0), None, at(300)), Some(at(100)));
    assert_eq!(up_to(&manifest("R", None, 0), None, at(300)), None);
    assert_eq!(up_to(&manifest("R", Some(100), 0), Some(&done), at(199)), Some(at(100)));
    assert_eq!(up_to(&manifest("R", Some(100), 0), Some(&done), at(99)), None);
}

type Rule = fn(&Manifest, Option<&RunRecord>, DateTime<Utc>) -> Option<DateTime<Utc>>;

/// What the snapshot knows of an org: the acknowledged value, and whether a later one may have been applied.
type Known = BTreeMap<usize, (Option<u32>, bool)>;

/// The snapshot folder.
#[derive(Clone, Default)]
struct Folder {
    manifest: Option<Manifest>,
    known: Known,
    /// Values of the published change set.
    changes: BTreeMap<usize, u32>,
    /// Those that are not acknowledged.
    left: BTreeMap<usize, u32>,
    /// Orgs of earlier change sets that were not acknowledged and that no later extract could judge.
    waiting: BTreeSet<usize>,
    /// Orgs that a run has judged, as they were since then.
    judged: BTreeMap<usize, i64>,
}

struct World {
    random: u64,
    second: i64,
    /// Value, when it changed, whether the query gives it.
    source: Vec<(u32, i64, bool)>,
    folder: Folder,
    /// The state store.
    records: BTreeMap<String, RunRecord>,
    backup: Option<Folder>,
}

impl World {
    fn new(seed: u64) -> Self {
        let source = (0..6).map(|org| (0, org, true)).collect();
        let (folder, records) = (Folder::default(), BTreeMap::new());
        World { random: seed, second: 10, source, folder, records, backup: None }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % bound
    }

    fn change(&mut self) {
        self.second += 1;
        let org = self.below(self.source.len() as u64) as usize;
        let value = self.below(4) as u32;
        // What the query does not give is not changed: that it comes back would have to show in its time.
        if self.source[org].2 {
            self.source[org] = (value, self.second, true);
        }
    }

    fn hide_or_show(&mut self) {
        let org = self.below(self.source.len() as u64) as usize;
        let (_, changed, is_given) = &mut self.source[org];
        *is_given = !*is_given;
        // What no run has judged comes back as something that has changed: that is the query's part. The rest is ours.
        if *is_given && self.folder.judged.get(&org) != Some(changed) {
            self.second += 1;
            *changed = self.second;
        }
    }

    /// The orgs that the destination may not have as they are.
    fn differs(&self, org: usize) -> bool {
        self.folder.known.get(&org).is_none_or(|(value, unsure)| *unsure || *value != Some(self.source[org].0))
    }

    fn since(&self, rule: Rule) -> Option<DateTime<Utc>> {
        let manifest = self.folder.manifest.as_ref()?;
        rule(manifest, self.records.get(&manifest.run), at(self.second))
    }

    /// An org that is to be sent, and that the next extract would not have.
    fn lost(&self, rule: Rule) -> Option<usize> {
        let since = self.since(rule)?;
        (0..self.source.len()).find(|&org| {
            let (_, changed, is_given) = self.source[org];
            is_given && self.differs(org) && at(changed) <= since
        })
    }

    fn run(&mut self, rule: Rule) {
        self.second += 1;
        let (started, since) = (self.second, self.since(rule));
        // The source goes on while the run gets ready.
        (0..self.below(3)).for_each(|_| self.change());
        if self.below(6) == 0 {
            return;
        }
        let run = format!("R{started}");
        let in_extract = |of: &(u32, i64, bool)| of.2 && since.is_none_or(|since| at(of.1) > since);
        let extract: Vec<usize> = (0..self.source.len()).filter(|&org| in_extract(&self.source[org])).collect();
        let mut counts = Counts { extracted: extract.len() as u64, ..Counts::default() };
        let mut changes = BTreeMap::new();
        let mut waiting: BTreeSet<usize> =
            self.folder.left.keys().copied().chain(self.folder.waiting.clone()).collect();
        for &org in &extract {
            if self.below(12) == 0 {
                counts.rejected += 1;
                continue;
            }
            waiting.remove(&org);
            self.folder.judged.insert(org, self.source[org].1);
            if self.differs(org) {
                counts.changed += 1;
                changes.insert(org, self.source[org].0);
            }
        }
        let manifest = Manifest { since, ..manifest(&run, None, waiting.len() as u64) };
        let known = std::mem::take(&mut self.folder.known);
        let judged = std::mem::take(&mut self.folder.judged);
        self.folder = Folder { manifest: Some(manifest), known, left: changes.clone(), changes, waiting, judged };
        self.records.insert(run.clone(), record(&run, started, RunState::Published, counts));
        self.deliver();
    }

    /// Also what `retry` does.
    fn deliver(&mut self) {
        let Some(run) = self.folder.manifest.as_ref().map(|m| m.run.clone()) else { return };
        let Some(mut record) = self.records.get(&run).cloned() else { return };
        let counts = &mut record.counts;
        (counts.refused, counts.unknown, counts.pending) = (0, 0, 0);
        for (org, value) in self.folder.left.clone() {
            match self.below(5) {
                0 => counts.refused += 1,
                1 => {
                    counts.unknown += 1;
                    self.unsure(org);
                }
                2 => counts.pending += 1,
                _ => {
                    counts.acknowledged += 1;
                    self.folder.left.remove(&org);
                    self.folder.known.insert(org, (Some(value), false));
                }
            }
        }
        record.state = if counts.pending == 0 { RunState::Finished } else { RunState::Delivering };
        self.records.insert(run, record);
    }

    /// A change of the org may have been applied.
    fn unsure(&mut self, org: usize) {
        let before = self.folder.known.get(&org).and_then(|(value, _)| *value);
        self.folder.known.insert(org, (before, true));
    }

    /// The state store is lost: every change of the published run may have been applied.
    fn forget(&mut self) {
        self.records.clear();
        self.folder.left = self.folder.changes.clone();
        let changed: Vec<usize> = self.folder.changes.keys().copied().collect();
        changed.into_iter().for_each(|org| self.unsure(org));
    }

    fn step(&mut self, rule: Rule) {
        match self.below(20) {
            0..8 => self.change(),
            8 => self.hide_or_show(),
            9..11 => self.deliver(),
            11 => self.forget(),
            12 => self.backup = Some(self.folder.clone()),
            // Restored, with a store that does not know what came of its run.
            13 => {
                if let Some(folder) = self.backup.take() {
                    self.folder = folder;
                    self.forget();
                }
            }
            _ => self.run(rule),
        }
    }
}

/// The seeds of the first 3,000 after which the rule has lost an org.
fn losses(rule: Rule) -> Vec<u64> {
    let lost = |seed: &u64| {
        let mut world = World::new(*seed);
        (0..200).any(|_| {
            world.step(rule);
            world.lost(rule).is_some()
        })
    };
    (0..3000).filter(lost).collect()
}

#[test]
fn no_change_is_ever_left_out_of_the_next_extract() {
    assert_eq!(losses(up_to), Vec::<u64>::new());
}

/// Each condition is needed: the model finds what is lost without it.
#[test]
fn with_any_weaker_rule_changes_are_lost() {
    fn started(manifest: &Manifest, record: Option<&RunRecord>, is: fn(&RunRecord) -> bool) -> Option<DateTime<Utc>> {
        record.filter(|run| is(run)).map(|run| run.started_at).or(manifest.since)
    }
    let weaker: [(&str, Rule); 4] = [
        ("any run", |m, r, _| started(m, r, |_| true)),
        ("finished, whatever was refused", |m, r, _| started(m, r, |run| run.state == RunState::Finished)),
        ("rejected rows do not matter", |m, r, now| {
            let r = r.map(|r| RunRecord { counts: Counts { rejected: 0, ..r.counts }, ..r.clone() });
            up_to(m, r.as_ref(), now)
        }),
        ("waiting changes do not matter", |m, r, now| up_to(&Manifest { waiting: None, ..m.clone() }, r, now)),
    ];
    for (name, rule) in weaker {
        assert!(!losses(rule).is_empty(), "{name}");
    }
}
