//! `nightmark run JOB`: extract, compare, publish, send.

use super::report::{self, clipped, grouped, plural};
use super::resources::ResourceArgs;
use super::table::shown;
use super::{Context, Exit, columns};
use crate::deliver::{Http, Summary};
use crate::job::load::load_job;
use crate::job::spec::Job;
use crate::lease::Leases;
use crate::metrics::Metrics;
use crate::pipeline::{How, PipelineError, Reach, Resources, RunReport, Runner, SendProgress};
use crate::receipt::Outcome;
use crate::store::{RunState, StateStore};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::sync::{Arc, Weak};
use std::time::Instant;
use tokio::sync::watch;

/// Arguments of `nightmark run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The job's name, or the path of its file
    pub job: String,
    /// Go on although a guard holds the run (never for a drifted schema)
    #[arg(long)]
    pub approve: bool,
    /// Publish the change set and send nothing: every change stays pending, and the next run sends it
    #[arg(long)]
    pub no_send: bool,
    /// Read all orgs, also if the query asks for those that have changed: {{last_success}} is 1970-01-01
    #[arg(long)]
    pub full: bool,
    /// How much it may take.
    #[command(flatten)]
    pub resources: ResourceArgs,
}

/// Runs the command. Ctrl-C or SIGTERM ends it in order: requests in flight finish, the rest stays pending.
///
/// # Errors
/// Whatever kept the job from being done; its record in `nightmark runs` has the reason too.
pub async fn run(context: &Context, args: RunArgs) -> anyhow::Result<Exit> {
    let reach = if args.full { Reach::All } else { Reach::SinceLastSuccess };
    let how = How { approved: args.approve, sends: !args.no_send, reach };
    work(context, &args.job, args.resources, async |runner, job| runner.run(job, how).await).await
}

/// Loads a job, does `does` with it and all that a run needs, and prints what came of it.
///
/// # Errors
/// A job or state store that cannot be had; what `does` fails with.
pub async fn work(
    context: &Context,
    job: &str,
    resources: ResourceArgs,
    does: impl AsyncFnOnce(&Runner, Arc<Job>) -> Result<RunReport, PipelineError>,
) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let job = Arc::new(load_job(&context.home, job)?);
    let store = context.store().await?;
    let runner = runner(context, &store, bar(), Arc::new(()), resources.resources(), stop_on_signal()?);
    let outcome = does(&runner, Arc::clone(&job)).await;
    // With it goes the progress bar, which must be off the screen before anything else is printed.
    drop(runner);
    store.close().await;
    let report = outcome?;
    let elapsed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    if context.json {
        print_json(&job.name, &report, elapsed);
    } else {
        print_text(&job.name, &report, elapsed);
    }
    Ok(exit(&report))
}

/// What runs jobs, as the settings say. `stop`: true once runs are to end in order.
pub fn runner(
    context: &Context,
    store: &Arc<dyn StateStore>,
    progress: Arc<dyn SendProgress>,
    metrics: Arc<dyn Metrics>,
    resources: Resources,
    stop: watch::Receiver<bool>,
) -> Runner {
    Runner {
        home: context.home.clone(),
        settings: context.settings.clone(),
        store: Arc::clone(store) as _,
        clock: Arc::clone(&context.clock),
        connect: Arc::new(Http),
        progress,
        metrics,
        resources,
        stop,
        leases: leases(context, store),
        tenures: Vec::new(),
        fences: Vec::new(),
        lock: Weak::new(),
    }
}

/// Where machines share the state store, they agree on who runs a job.
pub fn leases(context: &Context, store: &Arc<dyn StateStore>) -> Option<Leases> {
    let length = context.settings.store.lease;
    Some(Leases::new(store.leases()?, Arc::clone(&context.clock), &context.place_name(), length))
}

/// 3 if held; 1 if a row was rejected, refused, unknown or left pending; else 0.
pub fn exit(report: &RunReport) -> Exit {
    let counts = &report.counts;
    if report.state == RunState::Held {
        Exit::Held
    } else if counts.rejected + counts.refused + counts.unknown + counts.pending + report.dead_letters > 0 {
        Exit::SomeFailed
    } else {
        Exit::Done
    }
}

fn print_json(job: &str, report: &RunReport, elapsed: u64) {
    let mut object = report::counts_json(Some(&report.run), job, &report.counts, elapsed);
    object.insert("state".into(), json!(report.state));
    object.insert("held".into(), json!(report.held));
    if let Some(planned) = &report.planned {
        object.insert("suppressed".into(), json!(planned.suppressed));
        object.insert("notes".into(), json!(report::notes(planned)));
        object.insert("since".into(), json!(planned.since()));
        object.insert("columns".into(), columns::object(&planned.compared(), &planned.stats));
    }
    if let Some(delivery) = &report.delivery {
        let stopped =
            delivery.stopped.as_ref().map(|s| json!({ "kind": s.kind, "reason": s.reason, "remedy": s.remedy }));
        object.insert("stopped".into(), stopped.unwrap_or(Value::Null));
        let failures = delivery.failures.iter();
        let failures =
            failures.map(|f| json!({ "key": f.key, "kind": f.kind, "status": f.status, "detail": f.detail }));
        object.insert("failures".into(), failures.collect());
        object.insert("undelivered".into(), json!(delivery.undelivered));
        object.insert("dead_letters".into(), json!(report.dead_letters));
        object.insert("limits".into(), json!(delivery.limits));
    }
    crate::say!("{}", Value::Object(object));
}

/// The report for people.
pub fn print_text(job: &str, report: &RunReport, elapsed: u64) {
    if let Some(planned) = &report.planned {
        crate::say!("{}", report::found_line(job, &report.counts));
        let lines = columns::lines(&planned.compared(), &planned.stats);
        lines.iter().for_each(|line| crate::say!("{}", shown(line)));
        report::notes(planned).iter().for_each(|note| crate::say!("note: {note}"));
    }
    if report.state == RunState::Held {
        crate::say!("{job}: HELD, nothing was sent:");
        report.held.iter().for_each(|reason| crate::say!("  {reason}"));
        if report.planned.is_some() {
            crate::say!(
                "Look at it with:  nightmark preview {job} --held\nSend all the same: nightmark approve {job}\nGive it up:        nightmark discard {job}"
            );
        }
        return;
    }
    match &report.delivery {
        Some(delivery) => print_delivery(job, delivery, report, elapsed),
        None => crate::say!(
            "published, not sent (--no-send): {} for the next run ({elapsed} ms, run {})",
            plural(report.counts.pending, "webhook"),
            report.run
        ),
    }
}

fn print_delivery(job: &str, delivery: &Summary, report: &RunReport, elapsed: u64) {
    let counts = &report.counts;
    let dead_letters = match report.dead_letters {
        0 => String::new(),
        1 => {
            format!("1 org is set aside, because the destination keeps refusing it: nightmark dead-letters list {job}")
        }
        n => format!(
            "{} orgs are set aside, because the destination keeps refusing them: nightmark dead-letters list {job}",
            grouped(n)
        ),
    };
    if counts.planned() == 0 {
        crate::say!("nothing to send ({elapsed} ms, run {})", report.run);
        return;
    }
    let mut line = format!("{} acknowledged", grouped(counts.acknowledged));
    let refused = counts.refused.saturating_sub(delivery.undelivered);
    let rest = [
        (refused, "refused"),
        (delivery.undelivered, "not delivered"),
        (counts.unknown, "unknown (may have been applied)"),
        (counts.pending, "not sent"),
        (counts.set_aside, "set aside or dropped"),
    ];
    for (count, what) in rest {
        if count > 0 {
            line.push_str(&format!(", {} {what}", grouped(count)));
        }
    }
    crate::say!("{}: {line} ({elapsed} ms, run {})", plural(counts.planned(), "webhook"), report.run);
    for failure in &delivery.failures {
        let status = failure.status.map_or_else(String::new, |s| format!("HTTP {s}: "));
        crate::say!("  {}: {status}{}", clipped(&failure.key), clipped(&failure.detail));
    }
    let failed = counts.refused + counts.unknown;
    if failed > 0 && delivery.failures.is_empty() {
        crate::say!("  none of these was tried now; what they met before: nightmark runs show {job}");
    } else if failed > delivery.failures.len() as u64 {
        crate::say!("  … and {} more", grouped(failed - delivery.failures.len() as u64));
    }
    if let Some(stopped) = &delivery.stopped {
        crate::say!("delivery stopped: {}\n  what to do: {}", stopped.reason, stopped.remedy);
    }
    if !dead_letters.is_empty() {
        crate::say!("{dead_letters}");
    }
    if counts.pending + counts.unknown + counts.refused > 0 {
        crate::say!("What was not acknowledged is sent by the next run, or now with: nightmark retry {job}");
    }
}

/// A progress bar on a terminal, silence elsewhere.
pub fn bar() -> Arc<dyn SendProgress> {
    if std::io::stderr().is_terminal() {
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta}");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Arc::new(Bar(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))))
    } else {
        Arc::new(())
    }
}

struct Bar(ProgressBar);

impl SendProgress for Bar {
    fn sending(&self, planned: u64) {
        self.0.set_length(planned);
        if planned > 0 {
            self.0.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    fn sent(&self, outcome: Option<Outcome>) {
        // What stays pending has not gone anywhere.
        self.0.inc(u64::from(outcome.is_some()));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Becomes true with the first Ctrl-C or SIGTERM; the second ends the process.
pub(super) fn stop_on_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        eprintln!("stopping: requests in flight finish, the rest stays pending; once more to leave at once");
        let _ = sender.send(true);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        // As after a crash: what was in flight counts as unknown and is sent again.
        std::process::exit(1);
    });
    Ok(receiver)
}
