//! Nothing is lost and nothing is repeated needlessly, however often the process is killed.
//!
//! In: a seed. An [`Instance`] has a source that changes from night to night, a faulty destination, a home folder, and runs
//! the real binary against them, killed by SIGKILL: after a random time, while its n-th request is at the destination, or at
//! a named place in the code (`failpoint!`). At the end it runs without kills until nothing is left.
//! Out: a panic with the seed if one of these does not hold:
//! - at the end the destination has every org exactly as the source has it;
//! - every request carries what the source had in the night of its run, so no older version follows a newer one; no two
//!   requests of one org are under way at once;
//! - what the store has as acknowledged was applied; what it has as refused was not; after a run that ended in order, every
//!   answer that came is recorded;
//! - what is recorded as acknowledged is never sent again, however the process ends;
//! - a repeat of the same version has its first `webhook-id`, and an id never stands for two versions.
//!
//! Deliberately absent: clocks. A kill after a random time may hit anything; what is checked holds wherever it hits.

mod check;
mod instance;
mod points;
mod source;
mod stored;

pub use check::check;
pub use instance::{Era, Instance, Kill, Kind, SETTINGS, job_text, misbehave};
pub use points::marks;
pub use source::{Form, Night, Source};
pub use stored::recorded;

use crate::support::number;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The seed of this run: another each time, unless NIGHTMARK_CRASH_SEED says which.
fn seed() -> u64 {
    let seed = number("NIGHTMARK_CRASH_SEED").unwrap_or_else(rand::random);
    println!("NIGHTMARK_CRASH_SEED={seed}");
    seed
}

/// Every kind of instance: the form of the extract, whether removals are sent, whether memory is so short that the
/// comparison goes over disk.
const KINDS: [Kind; 4] = [
    Kind { form: Form::Csv, removals: true, spills: false },
    Kind { form: Form::Parquet, removals: true, spills: false },
    Kind { form: Form::Csv, removals: false, spills: true },
    Kind { form: Form::Parquet, removals: false, spills: false },
];

/// Kills so many processes, a share of each kind. The kinds run beside each other: a process mostly waits. The environment may
/// say other numbers.
fn kill_at_random(kills: usize, rows: usize) {
    let size = |name, default| number(name).map_or(default, |number| usize::try_from(number).unwrap());
    let (kills, rows) = (size("NIGHTMARK_CRASH_KILLS", kills), size("NIGHTMARK_CRASH_ROWS", rows));
    let seed = seed();
    let each = kills.div_ceil(KINDS.len());
    std::thread::scope(|scope| {
        for (kind, number) in KINDS.into_iter().zip(0..) {
            let rng = StdRng::seed_from_u64(seed.wrapping_add(number));
            std::thread::Builder::new()
                .name(format!("NIGHTMARK_CRASH_SEED={seed} {kind:?}"))
                .spawn_scoped(scope, move || random_kills(kind, rows, each, rng))
                .unwrap();
        }
    });
}

/// Kills of one instance at most. It remembers every night and request, to check them all at the end.
const LONGEST_LIFE: usize = 25;

fn random_kills(kind: Kind, rows: usize, kills: usize, mut rng: StdRng) {
    let mut left = kills;
    while left > 0 {
        let life = left.min(LONGEST_LIFE);
        one_life(kind, rows, life, StdRng::from_rng(&mut rng));
        left -= life;
    }
}

fn one_life(kind: Kind, rows: usize, kills: usize, rng: StdRng) {
    let mut instance = Instance::new(kind, rows, rng);
    while instance.kills < kills {
        let kill = match instance.rng.random_bool(0.6) {
            true => Kill::After(instance.random_time()),
            false => Kill::AtRequest(instance.rng.random_range(0..rows / 8)),
        };
        instance.night(&kill);
    }
    instance.finish();
    println!("{kind:?}: {}", instance.summary());
}

#[test]
fn a_hundred_random_kills() {
    kill_at_random(100, 300);
}

#[test]
#[ignore = "an hour: NIGHTMARK_CRASH_KILLS (1000) kills on NIGHTMARK_CRASH_ROWS (10000) rows; see docs/RELIABILITY.md"]
fn a_thousand_random_kills() {
    kill_at_random(1000, 10_000);
}
