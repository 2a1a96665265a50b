//! `nightmark run JOB`: extract, compare, publish, send.

use super::report::{self, grouped, plural};
use super::{Context, Exit};
use crate::deliver::Summary;
use crate::job::load::load_job;
use crate::pipeline::{RunReport, Runner, SendProgress};
use crate::receipt::Outcome;
use crate::store::RunState;
use crate::store::sqlite::SqliteStore;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::sync::Arc;
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
}

/// Runs the command. Ctrl-C or SIGTERM ends it in order: requests in flight finish, the rest stays pending.
///
/// # Errors
/// Whatever kept the job from being done; its record in `nightmark runs` has the reason too.
pub async fn run(context: &Context, args: RunArgs) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let job = Arc::new(load_job(&context.home, &args.job)?);
    let store = Arc::new(SqliteStore::open(&context.home.database()).await?);
    let runner = Runner {
        home: context.home.clone(),
        settings: context.settings.clone(),
        store: Arc::clone(&store) as _,
        clock: Arc::clone(&context.clock),
        progress: bar(),
        stop: stop_on_signal()?,
    };
    let outcome = runner.run(Arc::clone(&job), args.approve).await;
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

/// 3 if held; 1 if a row was rejected, refused, unknown or left pending; else 0.
pub fn exit(report: &RunReport) -> Exit {
    let counts = &report.counts;
    if report.state == RunState::Held {
        Exit::Held
    } else if counts.rejected + counts.refused + counts.unknown + counts.pending > 0 {
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
    }
    if let Some(delivery) = &report.delivery {
        let stopped = delivery.stopped.as_ref().map(|s| json!({ "reason": s.reason, "remedy": s.remedy }));
        object.insert("stopped".into(), stopped.unwrap_or(Value::Null));
        let failures = delivery.failures.iter();
        let failures = failures.map(|f| json!({ "key": f.key, "status": f.status, "detail": f.detail }));
        object.insert("failures".into(), failures.collect());
    }
    println!("{}", Value::Object(object));
}

/// The report for people.
pub fn print_text(job: &str, report: &RunReport, elapsed: u64) {
    if let Some(planned) = &report.planned {
        println!("{}", report::found_line(job, &report.counts));
        report::notes(planned).iter().for_each(|note| println!("note: {note}"));
    }
    if report.state == RunState::Held {
        println!("{job}: HELD, nothing was sent:");
        report.held.iter().for_each(|reason| println!("  {reason}"));
        if report.planned.is_some() {
            println!("Look at it with: nightmark preview {job}\nSend all the same:  nightmark run {job} --approve");
        }
        return;
    }
    if let Some(delivery) = &report.delivery {
        print_delivery(delivery, report, elapsed);
    }
}

fn print_delivery(delivery: &Summary, report: &RunReport, elapsed: u64) {
    let counts = &report.counts;
    if counts.planned() == 0 {
        println!("nothing to send ({elapsed} ms, run {})", report.run);
        return;
    }
    let mut line = format!("{} acknowledged", grouped(counts.acknowledged));
    for (count, what) in [(counts.refused, "refused"), (counts.unknown, "unknown"), (counts.pending, "not sent")] {
        if count > 0 {
            line.push_str(&format!(", {} {what}", grouped(count)));
        }
    }
    println!("{}: {line} ({elapsed} ms, run {})", plural(counts.planned(), "webhook"), report.run);
    for failure in &delivery.failures {
        let status = failure.status.map_or_else(String::new, |s| format!("HTTP {s}: "));
        println!("  {}: {status}{}", failure.key, failure.detail);
    }
    if let Some(stopped) = &delivery.stopped {
        println!("delivery stopped: {}\n  what to do: {}", stopped.reason, stopped.remedy);
    }
    if counts.planned() > counts.acknowledged {
        println!("What was not acknowledged is sent by the next run.");
    }
}

/// A progress bar on a terminal, silence elsewhere.
pub fn bar() -> Arc<dyn SendProgress> {
    if std::io::stderr().is_terminal() {
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} sent  {per_sec}  {eta} left {msg}");
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Arc::new(Bar(bar))
    } else {
        Arc::new(Silent)
    }
}

struct Silent;

impl SendProgress for Silent {
    fn sending(&self, _: u64) {}
    fn sent(&self, _: Option<Outcome>) {}
}

struct Bar(ProgressBar);

impl SendProgress for Bar {
    fn sending(&self, planned: u64) {
        self.0.set_length(planned);
    }

    fn sent(&self, _: Option<Outcome>) {
        self.0.inc(1);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn stop_on_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        eprintln!("stopping: requests in flight finish, the rest stays pending");
        let _ = sender.send(true);
        // Kept alive: a dropped sender would look like an error to those who wait.
        std::future::pending::<()>().await;
    });
    Ok(receiver)
}
