//! `nightmark preview JOB`: what a run would send. Sends nothing, changes nothing.

use super::first_look::{FirstLook, LookArgs};
use super::report::{self, clipped, grouped, plural};
use super::resources::ResourceArgs;
use super::table::{shown, table};
use super::{Context, Exit, columns};
use crate::diff::Operation;
use crate::job::load::load_job;
use crate::job::spec::Job;
use crate::pipeline::{self, PipelineError, Planned, Reach};
use crate::receipt::Counts;
use crate::row::key_text;
use crate::snapshot::{ChangeBatch, Manifest};
use crate::store::RunStore;
use crate::template::RenderError;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Arguments of `nightmark preview`.
#[derive(Debug, clap::Args)]
pub struct PreviewArgs {
    /// The job's name, or the path of its file
    pub job: String,
    /// Show at most so many changes [default: 20 as text, all as JSON]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Write the whole change set, with before and after, to this file as Parquet; bodies are not tried
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Show what a run would send that is held, as it was found then: what `approve` sends
    #[arg(long, conflicts_with_all = ["full", "twice"])]
    pub held: bool,
    /// Read all orgs, also if the query asks for those that have changed: {{last_success}} is 1970-01-01
    #[arg(long)]
    pub full: bool,
    /// How often the rows are looked at.
    #[command(flatten)]
    pub look: LookArgs,
    /// How much it may take.
    #[command(flatten)]
    pub resources: ResourceArgs,
}

/// Runs the command.
///
/// # Errors
/// Whatever would keep a run from being done.
pub async fn run(context: &Context, args: PreviewArgs) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let job = Arc::new(load_job(&context.home, &args.job)?);
    if args.held {
        return held(context, &job, &args).await;
    }
    let store = context.look_into_store().await?;
    let state = store.as_deref().map(|s| s as &dyn RunStore);
    context.freshen_for_run(&job.name, state).await?;
    let reach = if args.full { Reach::All } else { Reach::SinceLastSuccess };
    let (home, resources) = (&context.home, args.resources.resources());
    let look = look(context, &job, state, &args).await;
    let outcome = pipeline::preview(Arc::clone(&job), home, state, &context.clock, resources, reach).await;
    if let Some(store) = &store {
        store.close().await;
    }
    let planned = match outcome {
        Ok(planned) => planned,
        Err(error) => return not_planned(context, &job, look.as_ref(), error, started),
    };
    let elapsed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    if let Some(file) = &args.output {
        return output(context, &planned, file, elapsed);
    }
    let unsendable = unsendable(&planned)?;
    if context.json {
        let sample = look.map(|look| look.json(&job, &planned.bad_keys));
        print_json(
            &planned,
            &report::first_changes(planned.batches()?, args.limit.unwrap_or(usize::MAX))?,
            elapsed,
            sample,
        );
    } else {
        if let Some(look) = look {
            look.print(&job, &planned.bad_keys, Some(planned.counts.extracted));
        }
        print_text(
            &planned,
            &report::first_changes(planned.batches()?, args.limit.unwrap_or(20))?,
            elapsed,
            unsendable,
        );
    }
    Ok(match (planned.held.is_empty(), unsendable) {
        (false, _) => Exit::Held,
        (true, 0) => Exit::Done,
        (true, _) => Exit::SomeFailed,
    })
}

/// What the extract looks like, where there is nothing yet to compare it with, or where it is asked for. An extract that cannot be read is told
/// by the comparison.
async fn look(
    context: &Context,
    job: &Arc<Job>,
    store: Option<&dyn RunStore>,
    args: &PreviewArgs,
) -> Option<FirstLook> {
    let manifest = Manifest::load(&context.home.snapshots(&job.name)).ok()?;
    if args.output.is_some() || (manifest.is_some() && !args.look.twice) {
        return None;
    }
    FirstLook::take(context, job, store, &args.look, manifest.is_none()).await.ok()
}

/// What the job's newest run that is held would send. Exit 3, as of any run that is held.
async fn held(context: &Context, job: &Job, args: &PreviewArgs) -> anyhow::Result<Exit> {
    let nothing = || PipelineError::NothingHeld(job.name.clone());
    let store = context.look_into_store().await?.ok_or_else(nothing)?;
    let held = pipeline::held_run(&context.home, &*store, job, None).await;
    store.close().await;
    let held = held?;
    if let Some(file) = &args.output {
        let copied = std::fs::copy(held.changes().path(), file);
        copied.with_context(|| format!("the change set cannot be written to {}", file.display()))?;
    }
    let (run, counts) = (&held.record.id, &held.record.counts);
    if context.json {
        let first = report::first_changes(held.batches()?, args.limit.unwrap_or(usize::MAX))?;
        let changes = first.iter().flat_map(|batch| (0..batch.len()).map(move |at| (batch, at)));
        let mut object = report::counts_json(Some(run), &job.name, counts, 0);
        object.remove("duration_ms");
        object.insert("held".into(), json!(held.record.reason));
        object.insert("until".into(), json!(held.until));
        object.insert(
            "changes".into(),
            changes.map(|(batch, at)| report::change_json(held.body(batch, at), batch, at)).collect(),
        );
        crate::say!("{}", Value::Object(object));
        return Ok(Exit::Held);
    }
    crate::say!("{}", report::found_line(&job.name, counts));
    crate::say!(
        "run {run} is held since {}: {}",
        held.record.finished_at.unwrap_or(held.record.started_at).format("%Y-%m-%d %H:%M UTC"),
        shown(held.record.reason.as_deref().unwrap_or(""))
    );
    print_changes(
        &report::first_changes(held.batches()?, args.limit.unwrap_or(20))?,
        held.changes().len(),
        |batch, at| held.body(batch, at),
    );
    crate::say!(
        "\nNothing was sent. Until {}:\n  nightmark approve {}  sends exactly this\n  nightmark discard {}  gives it up",
        held.until.format("%Y-%m-%d %H:%M UTC"),
        job.name,
        job.name
    );
    Ok(Exit::Held)
}

/// A held run, or none at all: keys that are none are part of the first look.
fn not_planned(
    context: &Context,
    job: &Job,
    look: Option<&FirstLook>,
    error: PipelineError,
    started: Instant,
) -> anyhow::Result<Exit> {
    if let Some(reasons) = report::held_by(&job.name, &error) {
        return Ok(held_without_plan(context, &job.name, &reasons, started));
    }
    if let (PipelineError::BadKeys { bad, .. }, Some(look)) = (&error, look) {
        if context.json {
            let sample = look.json(job, bad);
            eprintln!("error: {error}");
            crate::say!("{}", json!({ "state": "failed", "error": error.to_string(), "sample": sample }));
            return Ok(Exit::CouldNotRun);
        }
        look.print(job, bad, None);
    }
    Err(error.into())
}

/// The change set as a file, for whoever wants to look at all of it.
fn output(context: &Context, planned: &Planned, file: &Path, elapsed: u64) -> anyhow::Result<Exit> {
    let copied = std::fs::copy(planned.changes.path(), file);
    copied.with_context(|| format!("the change set cannot be written to {}", file.display()))?;
    if context.json {
        let mut object = report::counts_json(None, &planned.of.job.name, &planned.counts, elapsed);
        object.insert("held".into(), json!(planned.held));
        object.insert("output".into(), json!(file));
        crate::say!("{}", Value::Object(object));
    } else {
        crate::say!("{}", report::found_line(&planned.of.job.name, &planned.counts));
        report::notes(planned).iter().for_each(|note| crate::say!("note: {note}"));
        let written = plural(planned.changes.len(), "change");
        crate::say!("{written} written to {}. Nothing was sent ({elapsed} ms)", file.display());
    }
    Ok(if planned.held.is_empty() { Exit::Done } else { Exit::Held })
}

/// Changes whose body cannot be built, so that they would never leave.
fn unsendable(planned: &Planned) -> anyhow::Result<u64> {
    let mut count = 0;
    for batch in planned.batches()? {
        let batch = batch?;
        count += (0..batch.len()).filter(|&at| planned.body(&batch, at).is_err()).count() as u64;
    }
    Ok(count)
}

fn held_without_plan(context: &Context, job: &str, reasons: &[String], started: Instant) -> Exit {
    if context.json {
        let elapsed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut object = report::counts_json(None, job, &Counts::default(), elapsed);
        object.insert("held".into(), json!(reasons));
        object.insert("changes".into(), json!([]));
        crate::say!("{}", Value::Object(object));
    } else {
        crate::say!("{job}: a run would be held:");
        reasons.iter().for_each(|r| crate::say!("  {r}"));
    }
    Exit::Held
}

fn print_json(planned: &Planned, first: &[ChangeBatch], elapsed: u64, sample: Option<Value>) {
    let mut object = report::counts_json(None, &planned.of.job.name, &planned.counts, elapsed);
    object.insert("suppressed".into(), json!(planned.suppressed));
    object.insert("held".into(), json!(planned.held));
    object.insert("notes".into(), json!(report::notes(planned)));
    object.insert("since".into(), json!(planned.since()));
    let by_column = planned.changes_by_column().into_iter().map(|(name, count)| (name, json!(count)));
    object.insert("changes_by_column".into(), Value::Object(by_column.collect()));
    object.insert("columns".into(), columns::object(&planned.compared(), &planned.stats));
    let changes = first
        .iter()
        .flat_map(|batch| (0..batch.len()).map(|at| report::change_json(planned.body(batch, at), batch, at)));
    object.insert("changes".into(), changes.collect());
    object.extend(sample.map(|sample| ("sample".to_owned(), sample)));
    crate::say!("{}", Value::Object(object));
}

fn print_text(planned: &Planned, first: &[ChangeBatch], elapsed: u64, unsendable: u64) {
    crate::say!("{}", report::found_line(&planned.of.job.name, &planned.counts));
    columns::lines(&planned.compared(), &planned.stats).iter().for_each(|line| crate::say!("{}", shown(line)));
    report::notes(planned).iter().for_each(|note| crate::say!("note: {note}"));
    print_changes(first, planned.changes.len(), |batch, at| planned.body(batch, at));
    crate::say!(
        "\na run would send {}. Nothing was sent, nothing was changed ({elapsed} ms)",
        plural(planned.counts.planned() - unsendable, "webhook")
    );
    if unsendable > 0 {
        crate::say!("{} cannot be built into a body and would not leave", plural(unsendable, "change"));
    }
    if !planned.held.is_empty() {
        crate::say!("It would be held:");
        planned.held.iter().for_each(|reason| crate::say!("  {reason}"));
        crate::say!("To send all the same: nightmark run {} --approve", planned.of.job.name);
    }
}

/// The first of so many changes, and what is said of them.
fn print_changes(first: &[ChangeBatch], all: u64, body: impl Fn(&ChangeBatch, usize) -> Result<String, RenderError>) {
    let shown: u64 = first.iter().map(|batch| batch.len() as u64).sum();
    if shown > 0 {
        crate::say!("\n{}", changes_table(first));
        crate::say!("\nbodies:");
        for (batch, at) in first.iter().flat_map(|batch| (0..batch.len()).map(move |at| (batch, at))) {
            match body(batch, at) {
                Ok(body) => crate::say!("  {}", cut(&body, 2000)),
                Err(error) => {
                    let key = clipped(&key_text(batch.row(at), &batch.shape().key));
                    crate::say!("  {key}: cannot be sent: {error}");
                }
            }
        }
    }
    if all > shown {
        crate::say!("… and {} more (--limit)", grouped(all - shown));
    }
}

/// One line per changed column: before → after. Added and removed orgs have one line each.
pub(super) fn changes_table(first: &[ChangeBatch]) -> comfy_table::Table {
    let mut out = table(&["KEY", "OPERATION", "COLUMN", "BEFORE", "AFTER"]);
    for (batch, at) in first.iter().flat_map(|batch| (0..batch.len()).map(move |at| (batch, at))) {
        let row = batch.row(at);
        let (key, meta) = (cut(&shown(&key_text(row, &batch.shape().key)), 60), &batch.rows[at]);
        let columns = batch.changed_columns(at);
        if meta.operation != Operation::Changed || columns.is_empty() {
            let why = if meta.uncertain { "(an earlier send may have been applied)" } else { "" };
            out.add_row([key.as_str(), meta.operation.as_str(), why, "", ""]);
            continue;
        }
        for (index, name) in columns.into_iter().enumerate() {
            let before = batch.before(at).map_or_else(String::new, |b| shown_value(b, name));
            let first = index == 0;
            let (key, operation) = if first { (key.as_str(), meta.operation.as_str()) } else { ("", "") };
            out.add_row([key, operation, name, &before, &shown_value(row, name)]);
        }
    }
    out
}

/// A value for people; NULL is told apart from the empty string.
pub(super) fn shown_value(row: crate::row::RowRef<'_>, column: &str) -> String {
    let Some(index) = row.schema.index_of(column) else { return String::new() };
    match row.value(index) {
        crate::row::Value::Null => "NULL".to_owned(),
        crate::row::Value::Text("") => "\"\"".to_owned(),
        value => cut(&shown(&value.text()), 60),
    }
}

/// At most so many characters, and how many there are.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], grouped(text.chars().count() as u64)),
        None => text.to_owned(),
    }
}
