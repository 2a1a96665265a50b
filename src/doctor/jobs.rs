//! Job files, what they refer to, and the drivers that they name.

use super::{Finding, Patient, rights};
use crate::config::Home;
use crate::job::Secrets;
use crate::job::problem::Problem;
use crate::job::spec::{Job, Source};
use crate::pipeline;
use crate::source::{Environment, adbc};
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// Each problem of each file. `loose`: of sound files, about jobs that they name.
pub(super) fn files(patient: &Patient, jobs: &[Arc<Job>], problems: &[Problem], loose: &[Problem]) -> Vec<Finding> {
    let mend = |problem: &Problem, because: &str| {
        let file = problem.file.display().to_string();
        Finding::mend("jobs", &file, problem.to_string(), format!("mend {file}; {because}"))
    };
    let broken = problems.iter().map(|problem| mend(problem, "the job does not run, or as it was before"));
    let loose = loose
        .iter()
        .map(|problem| mend(problem, "a job that is not there begins no run, and fires that wait for it are left out"));
    let mut found: Vec<Finding> = broken.chain(loose).collect();
    let scheduled = jobs.iter().filter(|job| job.schedule.is_some()).count();
    found.push(match jobs.len() {
        0 => Finding::note(
            "jobs",
            "jobs/",
            format!("there is no job in {}", patient.home.jobs().display()),
            "nightmark init makes one; another home folder is given with --home",
        ),
        all => Finding::ok("jobs", "jobs/", format!("{all} sound, {scheduled} with a schedule")),
    });
    found
}

/// What cannot be had, by settings and by job.
pub(super) fn secrets(patient: &Patient, jobs: &[Arc<Job>]) -> Vec<Finding> {
    let secrets = Secrets::new(&patient.home);
    let remedy = "set it for the daemon as well: its environment may be another one than this shell's";
    let missing = |subject: &str, named: Vec<_>| -> Vec<Finding> {
        let missing = pipeline::missing_secrets(&secrets, named.into_iter());
        missing.into_iter().map(|what| Finding::mend("secrets", subject, what, remedy)).collect()
    };
    let mut found = missing("nightmark.toml", rights::templated(&patient.settings, &[]));
    found.extend(jobs.iter().flat_map(|job| missing(&job.name, rights::of_job(job))));
    if found.is_empty() {
        found.push(Finding::ok("secrets", "references", "all that settings and jobs refer to is there"));
    }
    found
}

/// Each ADBC driver that a job names is loaded, and let go again.
pub(super) fn drivers(home: &Home, jobs: &[Arc<Job>], now: DateTime<Utc>) -> Vec<Finding> {
    let environment = Arc::new(Environment::new(home, now));
    let look = |job: &Arc<Job>| {
        let Source::Adbc(spec) = &job.source else { return None };
        Some(match adbc::try_driver(spec, &environment) {
            Ok(()) => Finding::ok("drivers", &job.name, format!("{} can be loaded", spec.driver)),
            Err(error) => Finding::mend(
                "drivers",
                &job.name,
                error.message,
                error.hint.unwrap_or_else(|| "docs/sources/adbc.md says how drivers are installed".to_owned()),
            ),
        })
    };
    jobs.iter().filter_map(look).collect()
}
