//! A kill at every named place in the code.

use super::{Form, Instance, KINDS, Kill, Kind, seed};
use crate::receiver::RECEIVER_MARKS;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

const ROWS: usize = 120;

/// The kind of instance that comes past a place, if not every one does.
fn kind(point: &str) -> Kind {
    match point {
        "base.copied" => Kind { form: Form::Parquet, removals: true, spills: false },
        "spill.written" => Kind { form: Form::Csv, removals: true, spills: true },
        // Orgs that are away and not removed are kept, and their changes wait.
        _ if point.starts_with("kept.") || point.starts_with("waiting.") => KINDS[3],
        _ => KINDS[0],
    }
}

/// Every mark in the source.
pub fn marks() -> BTreeSet<String> {
    fn walk(dir: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.file_name().unwrap() != "failpoint.rs" {
                let text = std::fs::read_to_string(&path).unwrap();
                let names = text.split("failpoint!(\"").skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(names.map(str::to_owned));
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

/// Two kills at a place, at the first and at a later time that it is reached, with a night of its own after each.
fn kill_at(point: &'static str, rng: StdRng) {
    let mut instance = Instance::new(kind(point), ROWS, rng);
    let mut killed = 0;
    // The first nights have nothing to keep, to wait for or to retire.
    // Some marks need luck (an org away tonight whose change did not leave last night): the nights end with the second kill.
    for night in 0..150 {
        let nth = if killed == 1 { instance.rng.random_range(0..2) } else { 0 };
        killed += usize::from(instance.night(&Kill::AtPoint(point, nth)));
        if killed >= 2 && night >= 3 {
            break;
        }
        // A kill early in delivery leaves much to keep and to wait for.
        let between = if night % 2 == 0 { Kill::AtRequest(instance.rng.random_range(0..20)) } else { Kill::Never };
        instance.night(&between);
    }
    assert!(killed > 0, "no process came past `{point}`: a mark that is never reached proves nothing");
    instance.finish();
}

#[test]
fn a_kill_at_every_failpoint() {
    let seed = seed();
    // The receiver's are in tests/it/receiver/kill.rs: no run comes past them. Those of shared snapshots are in tests/it/shared, those of held runs
    // in tests/it/holds.rs, those of alerts in tests/it/alerts, those of shared deliveries in tests/it/fleet/shares.rs, those of `rollback` and `backfill` in tests/it/baselines.rs and backfills.rs.
    let others = ["shared.", "share.", "held.", "alert.", "rollback.", "backfill."];
    let is_elsewhere =
        |name: &str| RECEIVER_MARKS.contains(&name) || others.iter().any(|other| name.starts_with(other));
    let marks = marks().into_iter().filter(|name| !is_elsewhere(name));
    let marks: Vec<&'static str> = marks.map(|name| &*name.leak()).collect();
    assert!(marks.len() > 20, "{marks:?}");
    // Without the feature the marks are no code, and this test would find each of them dead.
    if !cfg!(feature = "failpoints") {
        panic!("run the tests with --features failpoints, as ./test.sh does");
    }
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some(mark) = marks.get(number) else { return };
                    kill_at(mark, StdRng::seed_from_u64(seed.wrapping_add(number as u64)));
                }
            });
        }
    });
}
