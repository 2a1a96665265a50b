//! The whole protocol against a model: histories of a source that changes and goes back, of runs, retries and crashes, and of a
//! destination that takes, refuses, fails and does not answer.
//!
//! In: a seed. Each history is drawn from it (`history`), and drives the real pipeline in this process: extract, diff, snapshot
//! files, SQLite, delivery. Only the clock, and the HTTP client below `deliver`, are the test's (`ports`). A process ends at any
//! place that it comes by (`life`), and the next one starts from what is on the disk (`site`).
//! Out: a panic with the seed and the smallest history found, if what was published, sent, recorded, reported or applied is not what
//! a naive model says (`model`, `check`). Checked after each step:
//! - the change set is exactly what differs from what is surely known of the destination, and what is in doubt, also if the source
//!   has gone back;
//! - nothing is sent that is not published, not durably allowed to leave, acknowledged, or a dead letter; and all the rest is;
//! - a repeat of the same version has its first id, and no two versions share one; one request of an org at a time;
//! - each receipt says what the answers mean, and what it is sure of is so at the destination; rows that were refused together are
//!   asked for again in fewer, until each has its own answer, and are in doubt until then, because some may have been taken;
//! - a request of the same rows has the same id, and of other rows another;
//! - the store knows of each row what it should, and the counts of report and record add up.
//!
//! At the end, after one undisturbed night, the destination has what the source has, and the next night sends nothing.
//! Deliberately absent: HTTP (`faulty`, `delivery`), power cuts between two writes of a file (`crash`), guards and holds.

mod check;
mod history;
mod life;
mod memory;
mod model;
mod ports;
mod replay;
mod row;
mod site;
mod source;
mod tally;

use crate::crash::marks;
use crate::support::number;
use history::History;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use site::{Ground, Keeps};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use tally::Tally;

/// Histories that are tried to make a broken one smaller.
const SHRINKS: usize = 400;

/// One kind of histories.
#[derive(Debug, Clone, Copy)]
struct Kind {
    keeps: Keeps,
    /// Least and most acts.
    acts: (usize, usize),
    /// Whether requests carry several rows.
    batches: bool,
}

/// The history of a seed, as proptest has it: it can be made smaller.
fn tree(kind: Kind, seed: u64) -> impl ValueTree<Value = History> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    history::history(kind.acts.0..kind.acts.1 + 1, kind.batches).new_tree(&mut runner).unwrap()
}

/// What does not hold in a history, panics included.
fn broken(ground: &mut Ground, history: &History, keeps: Keeps, tally: &mut Tally) -> Option<String> {
    let checked = catch_unwind(AssertUnwindSafe(|| check::check(ground, history, keeps, tally)));
    life::enter(None);
    match checked {
        Ok(checked) => checked.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            Some(text.or(panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
        }
    }
}

/// The smallest history found that breaks, and how.
fn smallest(ground: &mut Ground, kind: Kind, seed: u64, found: String) -> (History, String) {
    let mut tree = tree(kind, seed);
    let mut smallest = (tree.current(), found);
    let mut more = tree.simplify();
    for _ in 0..SHRINKS {
        if !more {
            break;
        }
        let history = tree.current();
        more = match broken(ground, &history, kind.keeps, &mut Tally::default()) {
            Some(how) => {
                smallest = (history, how);
                tree.simplify()
            }
            None => tree.complicate(),
        };
    }
    smallest
}

/// Checks the histories of these seeds on all cores.
fn check_all(kind: Kind, first: u64, histories: u64) -> Tally {
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let (total, found) = (Mutex::new(Tally::default()), Mutex::new(None));
    std::thread::scope(|scope| {
        // A history often waits for a thread of its own.
        for _ in 0..2 * std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let (mut ground, mut tally) = (Ground::new(), Tally::default());
                while !failed.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= histories {
                        break;
                    }
                    let seed = first.wrapping_add(number);
                    if let Some(how) = broken(&mut ground, &tree(kind, seed).current(), kind.keeps, &mut tally) {
                        failed.store(true, Ordering::Relaxed);
                        *found.lock().unwrap() = Some((seed, smallest(&mut ground, kind, seed, how)));
                    }
                }
                total.lock().unwrap().add(tally);
            });
        }
    });
    if let Some((seed, (history, how))) = found.into_inner().unwrap() {
        panic!("NIGHTMARK_PROTOCOL_SEED={seed} breaks; the smallest such history is\n{history:#?}\nwhere {how}");
    }
    total.into_inner().unwrap()
}

/// Marks are eventful only from the first one on that this process has come by: then the environment was read.
fn watch_the_marks() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let first = broken(&mut Ground::new(), &History::quiet(), Keeps::Memory, &mut Tally::default());
        assert_eq!(first, None, "the quietest history");
        for name in marks() {
            watch(name.leak(), life::mark);
        }
    });
}

#[cfg(feature = "failpoints")]
fn watch(name: &'static str, reached: fn(&'static str)) {
    fail::cfg_callback(name, move || reached(name)).unwrap();
}

#[cfg(not(feature = "failpoints"))]
fn watch(name: &'static str, _: fn(&'static str)) {
    panic!("`{name}` is no code: run the tests with --features failpoints, as ./test.sh does");
}

/// Checks so many histories, or the one that the environment names.
fn check_some(kind: Kind, histories: u64) {
    watch_the_marks();
    let seed = number("NIGHTMARK_PROTOCOL_SEED");
    let first = seed.unwrap_or_else(rand::random);
    println!("NIGHTMARK_PROTOCOL_SEED={first}");
    let histories = number("NIGHTMARK_PROTOCOL_HISTORIES").unwrap_or(if seed.is_some() { 1 } else { histories });
    let tally = check_all(kind, first, histories);
    println!("{tally}");
    assert_eq!(tally.histories, histories);
    if histories >= 1000 {
        let of_batches = tally::OF_BATCHES.into_iter().filter(|_| kind.batches);
        let expected = tally::EXPECTED.into_iter().chain(of_batches);
        let missing: Vec<&str> = expected.filter(|name| tally.of(name) == 0).collect();
        assert!(missing.is_empty(), "histories in which these never happen prove little: {missing:?}");
    }
}

#[test]
fn twenty_thousand_histories() {
    check_some(Kind { keeps: Keeps::Memory, acts: (2, 3), batches: false }, 20_000);
}

#[test]
fn histories_over_sqlite() {
    check_some(Kind { keeps: Keeps::Sqlite, acts: (3, 8), batches: false }, 600);
}

#[test]
fn histories_over_postgres() {
    check_some(Kind { keeps: Keeps::Postgres, acts: (3, 8), batches: false }, 100);
}

#[test]
fn histories_of_batches() {
    check_some(Kind { keeps: Keeps::Memory, acts: (2, 4), batches: true }, 3_000);
}
