//! The jobs of a daemon as they are told: which there are, when they run next, what became of their last fires.
//!
//! In: job files as they were read, the store's memory of fires. Out: [`Known`] jobs, a [`Timetable`] for each.

use super::fires;
use crate::job::circles::Link;
use crate::job::problem::Problem;
use crate::job::spec::{Job, Timing};
use crate::metrics::Watched;
use crate::store::{FireRecord, FireStore, StoreError};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use utoipa::ToSchema;

/// A job file.
#[derive(Debug, Clone)]
pub struct Known {
    /// The job's name, or as near to it as a file with mistakes says.
    pub name: String,
    /// The file, as it is shown.
    pub file: PathBuf,
    /// What is in force of it; `None`: nothing.
    pub job: Option<Arc<Job>>,
    /// What is wrong with the file.
    pub faulty: Option<String>,
}

/// The jobs after their files were read: `jobs` are sound, `problems` those of the others. A file with mistakes leaves what was in
/// force `before` in force; so does a folder that cannot be read. What has no file any more is gone. By name.
pub fn take_over(before: &[Known], jobs: Vec<Job>, problems: &[Problem]) -> Vec<Known> {
    let mut known = BTreeMap::new();
    for job in jobs {
        let (name, file) = (job.name.clone(), job.file.clone());
        let same = before.iter().filter_map(|one| one.job.as_ref()).find(|one| is_same(one, &job)).cloned();
        let job = same.unwrap_or_else(|| Arc::new(job));
        known.insert(name.clone(), Known { name, file, job: Some(job), faulty: None });
    }
    for (file, reason) in by_file(problems) {
        let is_job = file.extension().is_some_and(|extension| extension == "toml");
        let mut concerned: Vec<Known> = before.iter().filter(|one| !is_job || one.file == file).cloned().collect();
        if concerned.is_empty() && is_job {
            concerned.push(Known { name: stem(&file), file, job: None, faulty: None });
        }
        for one in concerned {
            let one = Known { faulty: Some(reason.clone()), ..one };
            // Its name may have gone over to another file meanwhile.
            let name = if known.contains_key(&one.name) { one.file.display().to_string() } else { one.name.clone() };
            let job = one.job.filter(|_| name == one.name);
            known.insert(name.clone(), Known { name, job, ..one });
        }
    }
    without_circles(before, &mut known);
    known.into_values().collect()
}

/// Those in force, for whoever keeps figures of them.
pub fn watched(known: &[Known]) -> Vec<Watched> {
    let jobs = known.iter().filter_map(|one| one.job.as_deref());
    jobs.map(|job| Watched { job: job.name.clone(), dead_letter_after: job.destination.dead_letter_after }).collect()
}

/// Whether they are one job, of one file, that was read twice. What a job is made of shows all that it says, and names of secrets in place of them.
fn is_same(one: &Job, other: &Job) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

/// Together with versions that stay in force, sound files may make a circle: then those that are new give way.
fn without_circles(before: &[Known], known: &mut BTreeMap<String, Known>) {
    while Link::ALL.into_iter().any(|link| gives_way(before, known, link)) {}
}

/// Whether a job did.
fn gives_way(before: &[Known], known: &mut BTreeMap<String, Known>, link: Link) -> bool {
    let found = link.circles(known.values().filter_map(|one| one.job.as_deref()));
    let mut gave_way = false;
    for (name, way) in found {
        let Some(one) = known.get_mut(&name) else { continue };
        let old = before.iter().find(|old| old.name == name).and_then(|old| old.job.clone());
        let is_new = !matches!((&old, &one.job), (Some(old), Some(job)) if Arc::ptr_eq(old, job));
        if is_new {
            gave_way = true;
            let reason = format!("{}: {}: {}", one.file.display(), link.field(), link.told(&way));
            (one.job, one.faulty) = (old, Some(reason));
        }
    }
    gave_way
}

fn by_file(problems: &[Problem]) -> BTreeMap<PathBuf, String> {
    let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
    for problem in problems {
        let text = files.entry(problem.file.clone()).or_default();
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&problem.to_string());
    }
    files
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is told of a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct Timetable {
    /// Its name.
    pub job: String,
    /// Its file.
    pub file: String,
    /// Its schedule as written; `null`: the clock does not begin it.
    pub schedule: Option<String>,
    /// How often it is looked for a new extract, in seconds; `null`: not at all.
    pub on_file: Option<u64>,
    /// Jobs whose success begins a run.
    pub run_after: Vec<String>,
    /// The IANA zone of the schedule.
    pub timezone: Option<String>,
    /// When its schedule fires next, the first first.
    pub next: Vec<Next>,
    /// What became of its last fires, the newest first.
    pub last: Vec<FireRecord>,
    /// What is wrong with its file; what stands above it is then of the version before, if there is one in force. `null`: nothing.
    pub faulty: Option<String>,
    #[serde(skip)]
    pub(crate) zone: Tz,
}

/// A fire that is to come.
#[derive(Debug, Serialize, ToSchema)]
pub struct Next {
    /// The instant.
    pub utc: DateTime<Utc>,
    /// The same in the schedule's zone.
    pub local: String,
}

/// A job's timetable, with so many fires that come and that were. `store`: `None` if there is none yet.
///
/// # Errors
/// A store that cannot be read.
pub async fn timetable(
    known: &Known,
    store: Option<&dyn FireStore>,
    now: DateTime<Utc>,
    (next, last): (usize, u32),
) -> Result<Timetable, StoreError> {
    let schedule = known.job.as_ref().and_then(|job| job.schedule.as_ref());
    let zone = known.job.as_ref().map_or(Tz::UTC, |job| job.timezone);
    let told = |at: DateTime<Utc>| Next { utc: at, local: at.with_timezone(&zone).to_rfc3339() };
    Ok(Timetable {
        job: known.name.clone(),
        file: known.file.display().to_string(),
        schedule: schedule
            .filter(|schedule| !matches!(schedule.timing, Timing::Never))
            .map(|schedule| schedule.expression.trim().to_owned()),
        on_file: schedule.and_then(|schedule| schedule.on_file).map(|every| every.as_secs()),
        run_after: schedule.map(|schedule| schedule.run_after.clone()).unwrap_or_default(),
        timezone: schedule.map(|schedule| schedule.timezone.name().to_owned()),
        next: schedule
            .map(|schedule| fires::upcoming(schedule, now).take(next).map(told).collect())
            .unwrap_or_default(),
        last: match store {
            Some(store) => store.fires(Some(&known.name), last).await?,
            None => Vec::new(),
        },
        faulty: known.faulty.clone(),
        zone,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job;

    fn job_of(name: &str, file: &str) -> Job {
        job_when(name, file, "")
    }

    fn job_when(name: &str, file: &str, when: &str) -> Job {
        let text = format!(
            "version = 1\n{when}\nname = \"{name}\"\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n[diff]\nkey = \"id\"\n\
             [destination]\nkind = \"http\"\nurl = \"http://127.0.0.1:9/\"\n[payload]\npreset = \"flat\"\n"
        );
        job::parse(&text, Path::new(file), Path::new("/home")).unwrap_or_else(|p| panic!("{p:?}"))
    }

    fn problem(file: &str, message: &str) -> Problem {
        Problem { file: file.into(), line: 0, column: 0, path: String::new(), message: message.into(), hint: None }
    }

    /// Of each job: its name, its file, whether something of it is in force, what is wrong.
    fn told(known: &[Known]) -> Vec<(&str, &str, bool, Option<&str>)> {
        known
            .iter()
            .map(|one| (one.name.as_str(), one.file.to_str().unwrap(), one.job.is_some(), one.faulty.as_deref()))
            .collect()
    }

    #[test]
    fn a_file_with_mistakes_leaves_what_was_in_force() {
        let before = take_over(
            &[],
            vec![job_of("a", "jobs/a.toml"), job_of("b", "jobs/x.toml")],
            &[problem("jobs/c.toml", "no")],
        );
        let c = ("c", "jobs/c.toml", false, Some("jobs/c.toml: no"));
        assert_eq!(told(&before), [("a", "jobs/a.toml", true, None), ("b", "jobs/x.toml", true, None), c]);
        // `b` is broken, `a` is gone, `c` is mended.
        let broken = [problem("jobs/x.toml", "one"), problem("jobs/x.toml", "two")];
        let after = take_over(&before, vec![job_of("c", "jobs/c.toml")], &broken);
        let reason = Some("jobs/x.toml: one\njobs/x.toml: two");
        assert_eq!(told(&after), [("b", "jobs/x.toml", true, reason), ("c", "jobs/c.toml", true, None)]);
        // Still broken; then its name is another file's.
        assert_eq!(told(&take_over(&after, Vec::new(), &broken)), [("b", "jobs/x.toml", true, reason)]);
        let after = take_over(&after, vec![job_of("b", "jobs/b.toml")], &broken);
        assert_eq!(told(&after), [("b", "jobs/b.toml", true, None), ("jobs/x.toml", "jobs/x.toml", false, reason)]);
    }

    #[test]
    fn a_folder_that_cannot_be_read_ends_nothing() {
        let before = take_over(&[], vec![job_of("a", "jobs/a.toml")], &[]);
        let after = take_over(&before, Vec::new(), &[problem("jobs", "cannot be read")]);
        assert_eq!(told(&after), [("a", "jobs/a.toml", true, Some("jobs: cannot be read"))]);
    }

    /// Jobs that wait for each other are not taken, and what was in force of them stays.
    #[test]
    fn new_versions_that_make_a_circle_give_way() {
        let when = |name: &str, lines: &str| {
            job_when(name, &format!("jobs/{name}.toml"), &format!("schedule = \"30 2 * * *\"\n{lines}"))
        };
        let waits = |name: &str, whom: &str| when(name, &format!("depends_on = [\"{whom}\"]"));
        let before = take_over(&[], vec![when("a", ""), waits("b", "a")], &[]);
        // `b` is broken, so that its version before stays in force; with it the new `a` makes a circle, and so does `c` with itself over `d`.
        let broken = [problem("jobs/b.toml", "no")];
        let after = take_over(&before, vec![waits("a", "b"), waits("c", "d"), waits("d", "c")], &broken);
        let circle = |one: &str, other: &str| {
            format!(
                "jobs/{one}.toml: depends_on: the job would wait for itself: `{one}` depends on `{other}`, `{other}` depends on `{one}`"
            )
        };
        let (a, c, d) = (circle("a", "b"), circle("c", "d"), circle("d", "c"));
        assert_eq!(
            told(&after),
            [
                ("a", "jobs/a.toml", true, Some(a.as_str())),
                ("b", "jobs/b.toml", true, Some("jobs/b.toml: no")),
                ("c", "jobs/c.toml", false, Some(c.as_str())),
                ("d", "jobs/d.toml", false, Some(d.as_str())),
            ]
        );
        let in_force = after[0].job.as_ref().and_then(|job| job.schedule.as_ref()).expect("the version before");
        assert!(in_force.depends_on.is_empty(), "{in_force:?}");
    }
}
