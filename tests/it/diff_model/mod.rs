//! Random schemas, kinds, forms, formats, orders and nights against a naive map: what is sent, what is known, and that neither
//! depends on the number of threads, the order of rows, whether last night's order is known, the format of the extract or the
//! memory budget.

mod cells;
mod extract;
mod model;

use crate::support::environment;
use cells::{Cell, ColumnSpec, column};
use extract::Format;
use model::{Model, Op};
use nightmark::diff::Operation;
use nightmark::job::spec::Job;
use nightmark::pipeline::{PlanInput, Planned, Purpose, Resources, Since, plan_blocking};
use nightmark::receipt::{Outcome, Progress};
use nightmark::row::HashSeed;
use nightmark::snapshot::{self, Manifest};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The org that is always there and has a value in every column, so that every type is pinned on the first night.
const PIN: u16 = u16::MAX;

/// One night.
#[derive(Debug, Clone)]
struct Night {
    /// Orgs by number, with seeds of their cells.
    orgs: BTreeMap<u16, Vec<u16>>,
    /// Orgs that stand twice.
    doubled: Vec<u16>,
    /// How rows are ordered.
    order: u64,
    /// Places of the order that change with each other.
    moved: Vec<(usize, usize)>,
    format: Format,
    /// Which changes the destination takes: by `seq`, in turn.
    taken: Vec<bool>,
}

#[derive(Debug, Clone)]
struct Case {
    columns: Vec<ColumnSpec>,
    text_key: bool,
    removed: bool,
    nights: Vec<Night>,
}

fn key_of(case: &Case, org: u16) -> Cell {
    if case.text_key { Cell::Text(format!("ws-{org:03}")) } else { Cell::Int(i64::from(org)) }
}

impl Case {
    fn row(&self, org: u16, seeds: &[u16]) -> Vec<Cell> {
        self.columns.iter().zip(seeds).map(|(column, seed)| column.cell(if org == PIN { 1 } else { *seed })).collect()
    }

    /// The rows of a night: `(key, cells)`, in its order.
    fn rows(&self, night: &Night) -> Vec<(Cell, Vec<Cell>)> {
        let mut orgs: Vec<u16> = night.orgs.keys().copied().chain([PIN]).collect();
        orgs.extend(night.doubled.iter().filter(|org| night.orgs.contains_key(org)));
        let shuffled =
            |org: &u16, at: usize| (u64::from(*org) + at as u64 * 7).wrapping_mul(night.order | 1).rotate_left(17);
        let mut numbered: Vec<(usize, u16)> = orgs.into_iter().enumerate().collect();
        if night.order != 0 {
            numbered.sort_by_key(|(at, org)| shuffled(org, *at));
        }
        let places = numbered.len();
        night.moved.iter().for_each(|(a, b)| numbered.swap(a % places, b % places));
        let none = Vec::new();
        let row = |org: u16| {
            let seeds = night.orgs.get(&org).unwrap_or(&none).iter().copied().chain(std::iter::repeat(0));
            let seeds: Vec<u16> = seeds.take(self.columns.len()).collect();
            (key_of(self, org), self.row(org, &seeds))
        };
        numbered.into_iter().map(|(_, org)| row(org)).collect()
    }

    fn job(&self, home: &Path, night: &Night) -> Job {
        let on = if self.removed { r#"["added", "changed", "removed"]"# } else { r#"["added", "changed"]"# };
        let forms: String = self.columns.iter().enumerate().map(|(i, column)| column.form_toml(i)).collect();
        let text = format!(
            "version = 1\n[source]\nkind = \"files\"\npath = \"{}\"\n[diff]\nkey = \"id\"\non = {on}\n\
             on_bad_key = \"quarantine\"\n{forms}[destination]\nkind = \"http\"\nurl = \"http://127.0.0.1:9/\"\n\
             [payload]\ntemplate = '{{\"op\": \"{{{{op}}}}\"}}'\n",
            night.format.file()
        );
        nightmark::job::parse(&text, Path::new("model.toml"), home).unwrap_or_else(|p| panic!("{p:?}\n{text}"))
    }
}

/// What one plan says: operation, key and before-values, in order.
type Said = Vec<(Operation, String, Option<Vec<String>>, String)>;

fn said(planned: &Planned) -> Said {
    let mut out = Vec::new();
    for batch in planned.batches().unwrap() {
        let batch = batch.unwrap();
        for at in 0..batch.len() {
            let key = batch.row(at).value(0).text();
            let before =
                batch.before(at).map(|row| (1..row.schema.columns.len()).map(|c| row.value(c).text()).collect());
            out.push((batch.rows[at].operation, key, before, batch.rows[at].webhook_id.clone()));
        }
    }
    out
}

struct Homes(Vec<(PathBuf, Resources)>);

fn plan(case: &Case, night: &Night, number: usize, home: &Path, resources: Resources, progress: &Progress) -> Planned {
    extract::write(home, &night.format, &case.columns, &case.rows(night));
    let input = PlanInput {
        job: Arc::new(case.job(home, night)),
        dir: home.join("snapshots"),
        run: format!("{:026}", number + 1),
        at: chrono::DateTime::UNIX_EPOCH,
        environment: environment(home),
        since: Since::default(),
    };
    plan_blocking(input, progress, HashSeed([7; 16]), resources, Purpose::Run)
        .unwrap_or_else(|error| panic!("night {number}: {error}\n{case:?}"))
}

/// What is known loses its order of rows, so that the next night is compared by key hash.
fn forget_order(home: &Path) {
    let dir = home.join("snapshots");
    let manifest = Manifest::load(&dir).unwrap().unwrap();
    let (schema, input) = (manifest.schema.clone(), manifest.input.clone());
    Manifest { order: None, ..manifest }.repin(&dir, schema, input, None).unwrap();
}

/// The files of a run that must not depend on threads, byte by byte.
fn files(home: &Path, number: usize) -> Vec<(String, Vec<u8>)> {
    let folder = home.join("snapshots").join(format!("{:026}", number + 1));
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

fn check(case: &Case) {
    let dir = crate::support::folder_in_memory();
    let ample = 1 << 30;
    let homes = Homes(
        [(ample, 1), (ample, 3), (ample, 2), (100, 2)]
            .into_iter()
            .enumerate()
            .map(|(i, (memory, threads))| (dir.path().join(i.to_string()), Resources { memory, threads }))
            .collect(),
    );
    homes.0.iter().for_each(|(home, _)| std::fs::create_dir(home).unwrap());
    let mut model = Model::new(case);
    let mut progress = Progress::default();
    for (number, night) in case.nights.iter().enumerate() {
        let expected = model.plan(case, night);
        let mut plans: Vec<Planned> =
            homes.0.iter().map(|(home, resources)| plan(case, night, number, home, *resources, &progress)).collect();
        let first = said(&plans[0]);
        for other in &plans[1..] {
            assert_eq!(said(other), first, "night {number}: the change set depends on threads or memory\n{case:?}");
            assert_eq!((other.counts, &other.stats), (plans[0].counts, &plans[0].stats), "night {number}\n{case:?}");
        }
        let mut got: Vec<Op> =
            first.iter().map(|(operation, key, before, _)| (*operation, key.clone(), before.clone())).collect();
        got.sort_by(|a, b| a.1.cmp(&b.1));
        model::assert_same(&got, &expected, case, number);
        plans.iter_mut().for_each(|planned| drop(planned.publish(chrono::DateTime::UNIX_EPOCH, None).unwrap()));
        drop(plans);
        for (other, on) in [(1, "threads"), (2, "whether rows are compared in last night's order")] {
            assert!(
                files(&homes.0[0].0, number) == files(&homes.0[other].0, number),
                "night {number}: files depend on {on}\n{case:?}"
            );
        }
        if number + 1 == case.nights.len() {
            [0, 3].iter().for_each(|home| check_sound(&homes.0[*home].0));
        }
        forget_order(&homes.0[2].0);
        progress = Progress::default();
        for (seq, (operation, key, ..)) in first.iter().enumerate() {
            let taken = night.taken[seq % night.taken.len()];
            progress.receive(seq as u64, if taken { Outcome::Acknowledged } else { Outcome::Refused });
            if taken {
                model.take(case, night, *operation, key);
            }
        }
    }
}

/// What was published is in itself what it says.
fn check_sound(home: &Path) {
    let dir = home.join("snapshots");
    let verified = snapshot::verify(&dir, &Manifest::load(&dir).unwrap().unwrap());
    assert!(verified.is_sound(), "{:?}", verified.damage().collect::<Vec<_>>());
}

fn night(orgs: u16) -> impl Strategy<Value = Night> {
    (
        prop::collection::btree_map(0..orgs, prop::collection::vec(0..6u16, 4), 0..usize::from(orgs)),
        prop_oneof![4 => Just(vec![]), 1 => prop::collection::vec(0..orgs, 1..3)],
        prop_oneof![1 => Just(0u64), 2 => any::<u64>()],
        Format::any(),
        prop_oneof![2 => Just(vec![true]), 1 => prop::collection::vec(any::<bool>(), 1..5)],
    )
        .prop_map(|(orgs, doubled, order, format, taken)| Night {
            orgs,
            doubled,
            order,
            moved: Vec::new(),
            format,
            taken,
        })
}

/// What becomes of a night's rows on the next: orgs with other values or none, orgs that stand twice, rows that change places.
type Edits = (Vec<(u16, Option<Vec<u16>>)>, Vec<u16>, Vec<(usize, usize)>, Vec<bool>);

fn edits(orgs: u16) -> impl Strategy<Value = Edits> {
    (
        prop::collection::vec((0..orgs, prop::option::of(prop::collection::vec(0..6u16, 4))), 0..12),
        prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec(0..orgs, 1..4)],
        prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec((0..1000usize, 0..1000usize), 1..4)],
        prop_oneof![2 => Just(vec![true]), 1 => prop::collection::vec(any::<bool>(), 1..5)],
    )
}

/// Nights whose extract comes in the order of the night before, with few differences.
fn calm_case(orgs: u16) -> impl Strategy<Value = Case> {
    let all = prop::collection::vec(prop::option::of(prop::collection::vec(0..6u16, 4)), usize::from(orgs));
    let nights = prop::collection::vec(edits(orgs), 1..4);
    let job = (prop::collection::vec(column(), 1..4), any::<bool>(), any::<bool>(), any::<bool>());
    (job, all, nights).prop_map(|((columns, text_key, removed, dictionary), orgs, nights)| {
        let orgs = (0..).zip(orgs).filter_map(|(org, seeds)| Some((org, seeds?))).collect();
        let format = Format::Parquet { dictionary };
        let first = Night { orgs, doubled: vec![], order: 0, moved: vec![], format, taken: vec![true] };
        let mut all = vec![first];
        for (edits, doubled, moved, taken) in nights {
            let mut orgs = all[all.len() - 1].orgs.clone();
            for (org, seeds) in edits {
                match seeds {
                    Some(seeds) => drop(orgs.insert(org, seeds)),
                    None => drop(orgs.remove(&org)),
                }
            }
            let format = Format::Parquet { dictionary };
            all.push(Night { orgs, doubled, order: 0, moved, format, taken });
        }
        Case { columns, text_key, removed, nights: all }
    })
}

fn case(orgs: u16, nights: usize) -> impl Strategy<Value = Case> {
    (
        prop::collection::vec(column(), 1..4),
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec(night(orgs), 2..=nights),
    )
        .prop_map(|(columns, text_key, removed, mut nights)| {
            // The first night pins the types, which Parquet declares and the others only guess.
            nights[0].format = Format::Parquet { dictionary: nights[0].order % 2 == 0 };
            Case { columns, text_key, removed, nights }
        })
}

/// 5,000 cases in all, on as many cores as there are: two tests of small extracts, one of larger ones.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(2400))]
    #[test]
    fn what_is_sent_is_what_differs(case in case(10, 3)) {
        check(&case);
    }
}

proptest! {
    #![proptest_config(config(2400))]
    #[test]
    fn what_is_sent_is_what_differs_over_more_nights(case in case(6, 4)) {
        check(&case);
    }
}

proptest! {
    #![proptest_config(config(200))]
    #[test]
    fn what_is_sent_is_what_differs_in_larger_extracts(case in case(400, 3)) {
        check(&case);
    }
}

proptest! {
    #![proptest_config(config(120))]
    #[test]
    fn what_is_sent_is_what_differs_where_rows_keep_their_order(case in calm_case(160)) {
        check(&case);
    }
}
