//! Finds and reads job files.

use super::circles::Link;
use super::problem::{Invalid, Problem, did_you_mean};
use super::spec::{Job, Timing};
use super::validate;
use crate::config::Home;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// Why a job could not be had.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The file has mistakes.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// No job goes by this name.
    #[error("there is no job `{name}` in {}{suggestion}\n    hint: {known}", dir.display())]
    Unknown {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        dir: PathBuf,
        /// ` (did you mean …?)` or nothing.
        suggestion: String,
        /// The jobs that there are, as a sentence.
        known: String,
    },
    /// Several files claim the name.
    #[error("{} jobs are named `{name}`: {}\n    hint: give each its own `name`", files.len(), listed(files))]
    Ambiguous {
        /// The name.
        name: String,
        /// The files.
        files: Vec<PathBuf>,
    },
    /// A file or folder cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Loads one job: by the name in a file of `jobs/`, by such a file's stem, or by the path of a `.toml` file.
///
/// # Errors
/// No such job, or every problem of its file.
pub fn load_job(home: &Home, name_or_path: &str) -> Result<Job, JobError> {
    if Path::new(name_or_path).extension().is_some_and(|extension| extension == "toml") {
        let given = Path::new(name_or_path);
        let in_home = home.dir().join(given);
        return read(home, if !given.exists() && in_home.exists() { &in_home } else { given });
    }
    let files = named_files(home)?;
    let by_name: Vec<&PathBuf> = files.iter().filter(|(_, name)| *name == name_or_path).map(|(file, _)| file).collect();
    let by_stem = || files.iter().map(|(file, _)| file).find(|file| stem(file) == name_or_path);
    match by_name.as_slice() {
        [file] => read(home, file),
        [] => match by_stem() {
            Some(file) => read(home, file),
            None => Err(unknown(home, name_or_path, &files)),
        },
        several => Err(JobError::Ambiguous {
            name: name_or_path.to_owned(),
            files: several.iter().map(|file| shown(home, file)).collect(),
        }),
    }
}

/// Loads every job of `jobs/`, sorted by name, and the problems of those that cannot be. Two jobs of one name are a
/// problem, and neither is returned. No `jobs/` is no jobs.
pub fn load_all(home: &Home) -> (Vec<Job>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut by_name: BTreeMap<String, Vec<Job>> = BTreeMap::new();
    let files = job_files(home).unwrap_or_else(|error| {
        problems.push(whole_file(home, &home.jobs(), reason(error)));
        Vec::new()
    });
    for file in files {
        match read(home, &file) {
            Ok(job) => by_name.entry(job.name.clone()).or_default().push(job),
            Err(JobError::Invalid(invalid)) => problems.extend(invalid.problems),
            Err(error) => problems.push(whole_file(home, &file, reason(error))),
        }
    }
    let mut jobs = Vec::new();
    for (name, mut same) in by_name {
        if same.len() == 1 {
            jobs.append(&mut same);
            continue;
        }
        let files: Vec<PathBuf> = same.iter().map(|job| job.file.clone()).collect();
        for job in same {
            let others: Vec<PathBuf> = files.iter().filter(|file| **file != job.file).cloned().collect();
            let mut problem = whole_file(home, &job.file, format!("the name `{name}` is taken by {}", listed(&others)));
            problem.path = "name".to_owned();
            problem.hint = Some("give each job its own `name`".to_owned());
            problems.push(problem);
        }
    }
    problems.extend(take_circles(home, &mut jobs));
    (jobs, problems)
}

/// Takes out the jobs that would begin themselves or wait for themselves, and says why.
fn take_circles(home: &Home, jobs: &mut Vec<Job>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut is_sound = vec![true; jobs.len()];
    for link in Link::ALL {
        let found = link.circles(jobs.iter());
        for (job, is_sound) in jobs.iter().zip(&mut is_sound) {
            let Some(way) = found.get(&job.name) else { continue };
            *is_sound = false;
            problems.push(linked(home, job, link.field(), link.told(way), "take one of them out"));
        }
    }
    let mut is_sound = is_sound.into_iter();
    jobs.retain(|_| is_sound.next().unwrap_or(true));
    problems
}

/// What is wrong with a sound job among the others of `jobs/`: it would begin itself or wait for itself, or names a job that is not there, or waits for one
/// that has no fires.
pub fn links(home: &Home, job: &Job) -> Vec<Problem> {
    if Link::ALL.iter().all(|link| link.of(job).is_empty()) {
        return Vec::new();
    }
    let (jobs, problems) = load_all(home);
    let is_circle = |problem: &Problem| {
        problem.file == job.file && Link::ALL.iter().any(|link| problem.path.as_str() == link.field())
    };
    let mut found: Vec<Problem> = problems.into_iter().filter(is_circle).collect();
    found.extend(loose(home, job, &jobs, &names(home).unwrap_or_default()));
    found
}

/// The same without the circles, which [`load_all`] finds. `jobs`: the sound ones of `jobs/`; `names`: those of all, of broken files too.
pub fn loose(home: &Home, job: &Job, jobs: &[Job], names: &[String]) -> Vec<Problem> {
    let named = Link::ALL.into_iter().flat_map(|link| link.of(job).iter().enumerate().map(move |one| (link, one)));
    let mut found = Vec::new();
    for (link, (index, name)) in named {
        let field = format!("{}[{index}]", link.field());
        if !names.contains(name) {
            let suggestion = did_you_mean(name, names.iter().map(String::as_str));
            let what = format!("there is no job `{name}`{suggestion}");
            found.push(linked(home, job, &field, what, "names of jobs, as `nightmark schedule` has them"));
        } else if link == Link::DependsOn && jobs.iter().any(|other| other.name == *name && !is_by_clock(other)) {
            let what = format!("the clock begins no run of job `{name}`, so that there is nothing to wait for");
            found.push(linked(home, job, &field, what, "give it a `schedule`, or name it in `run_after`"));
        }
    }
    found
}

fn is_by_clock(job: &Job) -> bool {
    job.schedule.as_ref().is_some_and(|schedule| !matches!(schedule.timing, Timing::Never))
}

fn linked(home: &Home, job: &Job, field: &str, message: String, hint: &str) -> Problem {
    let problem = whole_file(home, &job.file, message);
    Problem { path: field.to_owned(), hint: Some(hint.to_owned()), ..problem }
}

/// Another number if a job file is another, is there or is gone.
pub fn fingerprint(home: &Home) -> u64 {
    let files: Vec<(PathBuf, Result<Vec<u8>, String>)> = match job_files(home) {
        Ok(files) => files
            .into_iter()
            .map(|file| (file.clone(), std::fs::read(&file).map_err(|error| error.to_string())))
            .collect(),
        Err(error) => vec![(home.jobs(), Err(error.to_string()))],
    };
    xxhash_rust::xxh3::xxh3_64(format!("{files:?}").as_bytes())
}

/// The names of the jobs in `jobs/`, sorted, of broken files too.
///
/// # Errors
/// A folder that cannot be read.
pub fn names(home: &Home) -> Result<Vec<String>, JobError> {
    let mut names: Vec<String> = named_files(home)?.into_iter().map(|(_, name)| name).collect();
    names.sort();
    Ok(names)
}

fn read(home: &Home, path: &Path) -> Result<Job, JobError> {
    let unreadable = |source| JobError::Unreadable { path: shown(home, path), source };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let file = shown(home, path);
    validate::parse(&text, &file, home.dir()).map_err(|problems| Invalid { file, problems }.into())
}

/// The `.toml` files of `jobs/`, sorted; hidden ones (an editor's leavings) are not jobs.
fn job_files(home: &Home) -> Result<Vec<PathBuf>, JobError> {
    let dir = home.jobs();
    let unreadable = |source| JobError::Unreadable { path: shown(home, &dir), source };
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") && !stem(&path).starts_with('.') {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The job files with their names. Reads no more than the name, so that one broken job does not keep another from
/// being found.
fn named_files(home: &Home) -> Result<Vec<(PathBuf, String)>, JobError> {
    let named = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let (table, _) = DeTable::parse_recoverable(&text);
        let name = table.get_ref().get("name").and_then(|name| name.get_ref().as_str()).map(str::to_owned);
        let name = name.unwrap_or_else(|| stem(&file));
        (file, name)
    };
    Ok(job_files(home)?.into_iter().map(named).collect())
}

fn unknown(home: &Home, name: &str, files: &[(PathBuf, String)]) -> JobError {
    let mut names: Vec<&str> = files.iter().map(|(_, name)| name.as_str()).collect();
    names.sort_unstable();
    let known = match names.as_slice() {
        [] => "there are no job files there; see `--home`".to_owned(),
        names => format!("the jobs there: {}", names.join(", ")),
    };
    JobError::Unknown { name: name.to_owned(), dir: home.jobs(), suggestion: did_you_mean(name, names), known }
}

/// Why a file cannot be had, for a problem that names the file itself.
fn reason(error: JobError) -> String {
    match error {
        JobError::Unreadable { source, .. } => format!("cannot be read: {source}"),
        other => other.to_string(),
    }
}

fn whole_file(home: &Home, path: &Path, message: String) -> Problem {
    Problem { file: shown(home, path), line: 0, column: 0, path: String::new(), message, hint: None }
}

/// Relative to the home folder if it lies there: that is how a person speaks of it.
fn shown(home: &Home, path: &Path) -> PathBuf {
    path.strip_prefix(home.dir()).unwrap_or(path).to_owned()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn listed(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}
