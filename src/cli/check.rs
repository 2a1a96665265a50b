//! `nightmark check`: is a job file right, can its extract be read, what would a body look like?

use super::{Context, Exit};
use crate::job::load::{JobError, load_all, load_job};
use crate::job::secrets::Secrets;
use crate::job::spec::Job;
use crate::pipeline;
use crate::store::RunStore;
use crate::store::sqlite::SqliteStore;
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

/// Runs the command. Exit 2 if any job has a problem.
///
/// # Errors
/// Only what keeps the check itself from being done.
pub async fn run(context: &Context, args: CheckArgs) -> anyhow::Result<Exit> {
    let (jobs, mut checked) = load(context, &args);
    let store = SqliteStore::open_existing_readonly(&context.home.database()).await?;
    for job in jobs {
        let result = match args.syntax {
            true => Checked { name: job.name, problems: Vec::new(), notes: Vec::new(), body: None },
            false => check(context, Arc::new(job), store.as_ref().map(|s| s as &dyn RunStore)).await,
        };
        checked.push(result);
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
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let broken = if problems.is_empty() { Vec::new() } else { vec![broken("jobs/", problems)] };
        return (jobs, broken);
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

async fn check(context: &Context, job: Arc<Job>, store: Option<&dyn RunStore>) -> Checked {
    let mut checked = Checked { name: job.name.clone(), problems: Vec::new(), notes: Vec::new(), body: None };
    let secrets = Secrets::new(&context.home);
    checked.problems.extend(pipeline::missing_secrets(&secrets, &job));
    match pipeline::preview(Arc::clone(&job), &context.home, store, &context.clock).await {
        Ok(planned) => {
            checked.notes.push(format!("{} rows, columns: {}", planned.counts.extracted, columns(&planned)));
            checked.notes.extend(super::report::notes(&planned));
            checked.notes.extend(planned.held.iter().map(|reason| format!("a run would be held: {reason}")));
            match planned.sample_body() {
                Some(Ok(body)) => checked.body = Some(body),
                Some(Err(error)) => checked.problems.push(format!("the payload of the first row: {error}")),
                None => checked.notes.push("the extract has no rows, so no payload was rendered".to_owned()),
            }
        }
        Err(error) => checked.problems.push(error.to_string()),
    }
    checked
}

fn columns(planned: &pipeline::Planned) -> String {
    let columns = planned.changes.schema.columns.iter();
    columns.map(|c| format!("{} {}", c.name, c.kind)).collect::<Vec<_>>().join(", ")
}

fn print_text(checked: &[Checked]) {
    for job in checked {
        println!("{}: {}", job.name, if job.problems.is_empty() { "ok" } else { "not ok" });
        job.problems.iter().for_each(|p| println!("{}", indent(p)));
        job.notes.iter().for_each(|n| println!("{}", indent(n)));
        if let Some(body) = &job.body {
            println!("{}", indent(&format!("a body: {body}")));
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
    println!("{}", Value::Array(jobs.collect()));
}
