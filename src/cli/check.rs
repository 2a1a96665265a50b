//! `nightmark check`: is a job file right, can its extract be read, what would a body look like?

use super::report::{grouped, plural};
use super::table::shown;
use super::{Context, Exit};
use crate::diff::BadKeys;
use crate::job::load::{JobError, links, load_all, load_job};
use crate::job::secrets::Secrets;
use crate::job::spec::{Job, Payload};
use crate::pipeline::{self, Answering, PipelineError};
use crate::store::RunStore;
use crate::template::RenderError;
use serde_json::{Value, json};
use std::sync::Arc;

/// Arguments of `nightmark check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Job names or paths of job files [default: every job in jobs/]
    pub jobs: Vec<String>,
    /// Only read the job files, not the extracts
    #[arg(long)]
    pub syntax: bool,
}

/// What was found out about one job.
struct Checked {
    name: String,
    problems: Vec<String>,
    notes: Vec<String>,
    body: Option<String>,
}

/// Runs the command: each job file, its secrets, the first 1,000 rows of its extract. Exit 2 if any job has a problem.
///
/// # Errors
/// Only what keeps the check itself from being done.
pub async fn run(context: &Context, args: CheckArgs) -> anyhow::Result<Exit> {
    let (jobs, mut checked) = load(context, &args);
    // What a query may ask for is known from it; that it cannot be looked into is no problem of a job.
    let store = if args.syntax { None } else { context.look_into_store().await.ok().flatten() };
    let state = store.as_deref().map(|s| s as &dyn RunStore);
    for job in jobs {
        let result = match args.syntax {
            true => Checked { name: job.name.clone(), problems: Vec::new(), notes: Vec::new(), body: None },
            false => check(context, Arc::new(job.clone()), state).await,
        };
        let links = links(&context.home, &job).iter().map(ToString::to_string).collect();
        checked.push(Checked { problems: [links, result.problems].concat(), ..result });
    }
    if let Some(store) = &store {
        store.close().await;
    }
    if checked.is_empty() {
        anyhow::bail!("there are no job files in {}", context.home.jobs().display());
    }
    if context.json {
        print_json(&checked)
    } else {
        print_text(&checked)
    }
    Ok(if checked.iter().any(|c| !c.problems.is_empty()) { Exit::CouldNotRun } else { Exit::Done })
}

/// The jobs that can be read, and the problems of those that cannot.
fn load(context: &Context, args: &CheckArgs) -> (Vec<Job>, Vec<Checked>) {
    let broken = |name: &str, problems| Checked { name: name.to_owned(), problems, notes: Vec::new(), body: None };
    if args.jobs.is_empty() {
        let (jobs, problems) = load_all(&context.home);
        let mut failed: Vec<Checked> = Vec::new();
        for problem in &problems {
            let file = problem.file.display().to_string();
            match failed.iter_mut().find(|c| c.name == file) {
                Some(checked) => checked.problems.push(problem.to_string()),
                None => failed.push(broken(&file, vec![problem.to_string()])),
            }
        }
        return (jobs, failed);
    }
    let mut jobs = Vec::new();
    let mut failed = Vec::new();
    for name in &args.jobs {
        match load_job(&context.home, name) {
            Ok(job) => jobs.push(job),
            Err(error) => failed.push(broken(name, vec![problem_text(&error)])),
        }
    }
    (jobs, failed)
}

fn problem_text(error: &JobError) -> String {
    error.to_string()
}

/// Rows that are read of each extract.
const SAMPLE: usize = 1000;

/// What there is against a job but for secrets that are not there yet.
pub(super) async fn problems_besides_secrets(context: &Context, job: Arc<Job>) -> Vec<String> {
    let store = context.look_into_store().await.ok().flatten();
    let mut checked = Checked { name: job.name.clone(), problems: Vec::new(), notes: Vec::new(), body: None };
    look(context, job, store.as_deref().map(|s| s as &dyn RunStore), &mut checked).await;
    if let Some(store) = &store {
        store.close().await;
    }
    checked.problems
}

async fn check(context: &Context, job: Arc<Job>, store: Option<&dyn RunStore>) -> Checked {
    let mut checked = Checked { name: job.name.clone(), problems: Vec::new(), notes: Vec::new(), body: None };
    checked.problems.extend(secret_problems(context, &job));
    let missing = pipeline::missing_secrets(&Secrets::new(&context.home), job.source.templated().into_iter());
    if let Err(error) = context.freshen(&job.name).await {
        checked.problems.push(format!("{error:#}"));
    }
    checked.notes.extend(pipeline::advice(&job, &context.home, &*context.clock).iter().map(|advice| shown(advice)));
    // Without them there is nothing to look at, and the source would name one of them alone.
    match missing.is_empty() {
        true => look(context, job, store, &mut checked).await,
        false => checked.problems.extend(missing),
    }
    checked
}

/// Looks at the beginning of the extract.
async fn look(context: &Context, job: Arc<Job>, store: Option<&dyn RunStore>, checked: &mut Checked) {
    match pipeline::sample(Arc::clone(&job), &context.home, store, &context.clock, SAMPLE).await {
        Ok(sample) => {
            let columns = sample.columns.iter().map(|(name, kind, purpose)| format!("{name} ({kind}, {purpose})"));
            let columns = columns.collect::<Vec<_>>().join(", ");
            checked.notes.push(shown(&format!("{} read; columns: {columns}", plural(sample.rows, "row"))));
            checked.notes.extend(sample.held.iter().map(|why| shown(&format!("a run would be held: {why}"))));
            let rejected = sample.rejects.count();
            let more = rejected > sample.rejects.listed().len() as u64;
            checked.notes.extend(sample.rejects.listed().iter().map(super::report::reject_line));
            checked.notes.extend(more.then(|| {
                format!("… and more: {} of {} would be rejected", grouped(rejected), plural(sample.rows, "row"))
            }));
            let bad_keys = bad_keys(&job, &sample.bad_keys, sample.rows);
            match job.diff.quarantine_bad_keys {
                true => checked.notes.extend(bad_keys),
                false => checked.problems.extend(bad_keys),
            }
            let answering = sample.conformance.unwrap_or_default();
            checked.problems.extend(refused(&answering, sample.rows));
            match sample.body {
                Some(Ok(body)) if body.is_empty() => checked.notes.push("its request has no body".to_owned()),
                Some(Ok(body)) => checked.body = Some(body),
                // Told already as one of the rows that are refused.
                Some(Err(_)) if answering.refused > 0 => {}
                Some(Err(error)) => checked.problems.push(format!("the first row: {error}")),
                None => checked.notes.push("the extract has no rows, so no payload was rendered".to_owned()),
            }
            checked.problems.extend(sample.unsendable.iter().map(|(operation, error)| {
                let told = if *operation == "removed" {
                    "the first row, if it were gone"
                } else {
                    "the first row, if it had changed"
                };
                shown_lines(&format!("{told}: {error}"))
            }));
            let unanswered = unanswered(&answering);
            match job.payload_of.added.as_ref().unwrap_or(&job.payload) {
                // A template may leave a member out where a column is NULL; a preset never does.
                Payload::Liquid { .. } | Payload::Rows { .. } | Payload::Empty => checked.notes.extend(unanswered),
                Payload::Flat { .. } | Payload::Group { .. } => checked.problems.extend(unanswered),
            }
        }
        Err(PipelineError::Several(errors)) => {
            checked.problems.extend(errors.iter().map(|error| shown_lines(&error.to_string())));
        }
        Err(error) => checked.problems.push(shown_lines(&error.to_string())),
    }
}

/// What is wrong with the keys of the sample.
fn bad_keys(job: &Job, bad: &BadKeys, rows: u64) -> Option<String> {
    if bad.count == 0 {
        return None;
    }
    let mut lines = vec![format!(
        "diff.key = {} is no key: {} in the first {}",
        job.diff.key.join(", "),
        plural(bad.count, "bad value"),
        plural(rows, "row")
    )];
    lines.extend(bad.listed.iter().map(|bad| format!("  {bad}")));
    let more = bad.count - bad.listed.len() as u64;
    lines.extend((more > 0).then(|| format!("  … and {} more", grouped(more))));
    lines.push(match job.diff.quarantine_bad_keys {
        true => "  these orgs are left out (diff.on_bad_key)".to_owned(),
        false => {
            "  hint: one row per org is needed; mend the extract or its query, or set diff.on_bad_key = \"quarantine\""
                .to_owned()
        }
    });
    Some(shown_lines(&lines.join("\n")))
}

/// The rows of the sample that the destination's key would refuse.
fn refused(answering: &Answering, rows: u64) -> Vec<String> {
    let told = |(row, error): &(u64, RenderError)| {
        let hint = error.hint.as_ref().map(|hint| format!("\n    hint: {hint}")).unwrap_or_default();
        shown_lines(&format!("row {row}: {error}{hint}"))
    };
    let mut problems: Vec<String> = answering.first.iter().map(told).collect();
    if answering.refused > problems.len() as u64 {
        problems.push(format!("{} of {} would not be sent", plural(answering.refused, "row"), grouped(rows)));
    }
    problems
}

/// Paths of `[payload.conforms_to]` that lead nowhere in every body of the sample.
fn unanswered(answering: &Answering) -> Vec<String> {
    let told = |(field, path): &(String, String)| {
        shown(&format!(
            "payload.conforms_to: no body has anything at `{path}`, so the destination never learns {field} (paths are \
             case-sensitive)"
        ))
    };
    answering.unanswered.iter().map(told).collect()
}

/// Missing secrets, or what they lead to that cannot be delivered to.
fn secret_problems(context: &Context, job: &Job) -> Vec<String> {
    let secrets = Secrets::new(&context.home);
    let missing = pipeline::missing_secrets(&secrets, job.destination.templated());
    if !missing.is_empty() {
        return missing;
    }
    pipeline::check_destination(&secrets, job).err().map(|error| error.to_string()).into_iter().collect()
}

/// Escapes what may not reach a terminal, line by line.
fn shown_lines(text: &str) -> String {
    text.lines().map(shown).collect::<Vec<_>>().join("\n")
}

fn print_text(checked: &[Checked]) {
    for job in checked {
        crate::say!("{}: {}", job.name, if job.problems.is_empty() { "ok" } else { "not ok" });
        job.problems.iter().for_each(|p| crate::say!("{}", indent(p)));
        job.notes.iter().for_each(|n| crate::say!("{}", indent(n)));
        if let Some(body) = &job.body {
            crate::say!("{}", indent(&format!("a body: {body}")));
        }
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn print_json(checked: &[Checked]) {
    let jobs = checked.iter().map(|c| {
        let body = c.body.as_ref().map(|b| serde_json::from_str(b).unwrap_or_else(|_| Value::String(b.clone())));
        json!({ "job": c.name, "ok": c.problems.is_empty(), "problems": c.problems, "notes": c.notes, "body": body })
    });
    crate::say!("{}", Value::Array(jobs.collect()));
}
