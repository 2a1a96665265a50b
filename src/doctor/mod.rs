//! What keeps an installation from doing its work, or will before long: everything around the jobs, looked at all at once.
//!
//! In: home folder, settings, clock, where the state is. Out: [`Finding`]s, each of what is well, what is worth a note and what is to be mended, with the remedy.
//! Always holds: one thing that is out of order keeps no other from being looked at; nothing waits for longer than a minute; nothing is migrated, repaired or
//! sent (destinations are asked for `/` by HEAD, without headers of the job); no secret stands in a finding. One small file is written to each folder and to the shared snapshots, and
//! taken away again.
//! Deliberately absent: extracts and payloads (`nightmark check`), the files of snapshots (`nightmark snapshot verify`), what is wrong with runs (`nightmark alerts list`).
//!
//! A file for each thing that is looked at; what is asked of stores, drivers and destinations is asked by the code that works with them.

mod admin;
mod clock;
mod database;
mod destinations;
mod disk;
mod jobs;
mod process;
mod rights;
mod snapshots;
mod tls;

pub use process::files_missing;

use crate::clock::Clock;
use crate::config::{Home, Settings};
use crate::job::load::{load_all, loose, names};
use crate::job::problem::Problem;
use crate::job::spec::Job;
use crate::store::Place;
use chrono::TimeDelta;
use serde::Serialize;
use std::sync::Arc;

/// What ends within that is told. Whoever renews by itself has done so long before.
const SOON: TimeDelta = TimeDelta::days(14);

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and is worth a look.
    Note,
    /// To be mended: jobs or the daemon do not work, or not safely.
    Mend,
}

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing: `disk`, `rights`, `clock`, `database`, `jobs`, `secrets`, `drivers`, `destinations`, `snapshots`, `process`.
    pub area: &'static str,
    /// Which one.
    pub subject: String,
    /// How it is.
    pub verdict: Verdict,
    /// In words.
    pub what: String,
    /// What to do; empty where nothing is.
    pub remedy: String,
}

impl Finding {
    fn ok(area: &'static str, subject: impl Into<String>, what: impl Into<String>) -> Self {
        Finding { area, subject: subject.into(), verdict: Verdict::Ok, what: what.into(), remedy: String::new() }
    }

    fn note(
        area: &'static str,
        subject: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Finding { verdict: Verdict::Note, remedy: remedy.into(), ..Finding::ok(area, subject, what) }
    }

    fn mend(
        area: &'static str,
        subject: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Finding { verdict: Verdict::Mend, remedy: remedy.into(), ..Finding::ok(area, subject, what) }
    }
}

/// What is looked at.
#[derive(Debug)]
pub struct Patient {
    /// Where things are.
    pub home: Home,
    /// The daemon's settings.
    pub settings: Settings,
    /// What this machine takes for the time.
    pub clock: Arc<dyn Clock>,
    /// Where the state is; or why that cannot be said.
    pub place: Result<Place, String>,
    /// Whether the operator's address may be served as the settings say; or why not, as `serve` says it.
    pub admitted: Result<(), String>,
}

/// Looks at everything.
pub async fn examine(patient: &Patient) -> Vec<Finding> {
    let (jobs, problems) = load_all(&patient.home);
    let names = names(&patient.home).unwrap_or_default();
    let loose: Vec<Problem> = jobs.iter().flat_map(|job| loose(&patient.home, job, &jobs, &names)).collect();
    let jobs: Vec<Arc<Job>> = jobs.into_iter().map(Arc::new).collect();
    let local = {
        let (home, settings) = (patient.home.clone(), patient.settings.clone());
        let (jobs, now) = (jobs.clone(), patient.clock.now());
        blocking(move || {
            let rights = rights::look(&home, &settings, &jobs);
            [disk::look(&home), rights, process::look(&settings), tls::look(&settings, &home, now)].concat()
        })
    };
    let drivers = {
        let (home, jobs, now) = (patient.home.clone(), jobs.clone(), patient.clock.now());
        blocking(move || jobs::drivers(&home, &jobs, now))
    };
    let (local, admin, drivers, database, destinations, snapshots) = tokio::join!(
        local,
        admin::look(patient),
        drivers,
        database::look(patient),
        destinations::look(patient, &jobs),
        snapshots::look(patient),
    );
    let files = jobs::files(patient, &jobs, &problems, &loose);
    let secrets = jobs::secrets(patient, &jobs);
    [local, admin, clock::look(patient), database, files, secrets, drivers, destinations, snapshots].concat()
}

/// On a thread where it may block. A panic is a finding too.
async fn blocking(look: impl FnOnce() -> Vec<Finding> + Send + 'static) -> Vec<Finding> {
    let broken =
        || vec![Finding::mend("process", "nightmark doctor", "a check panicked", "this is a bug of nightmark")];
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|_| broken())
}

#[cfg(test)]
mod tests;
