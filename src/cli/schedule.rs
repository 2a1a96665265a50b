//! `nightmark schedule`: when jobs run next, and what became of their last fires.

use super::table::{shown, table};
use super::{Context, Exit};
use crate::daemon::fires;
use crate::job::load::{load_all, load_job};
use crate::job::spec::{Job, Schedule};
use crate::store::{FireRecord, FireState};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// Arguments of `nightmark schedule`.
#[derive(Debug, clap::Args)]
pub struct ScheduleArgs {
    /// The job's name; without it all jobs that have a schedule
    pub job: Option<String>,
    /// So many of the next fires, and of the last
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub count: u32,
}

/// A job beside its fires.
struct Line {
    job: Job,
    schedule: Schedule,
    next: Vec<DateTime<Utc>>,
    last: Vec<FireRecord>,
}

/// Runs the command.
///
/// # Errors
/// A job that cannot be had, a state store that cannot be read.
pub async fn run(context: &Context, args: ScheduleArgs) -> anyhow::Result<Exit> {
    let (jobs, problems) = match &args.job {
        Some(job) => (vec![load_job(&context.home, job)?], Vec::new()),
        None => load_all(&context.home),
    };
    let by_hand: Vec<String> = jobs.iter().filter(|job| job.schedule.is_none()).map(|job| job.name.clone()).collect();
    let lines = lines(context, jobs, args.count).await?;
    if context.json {
        crate::say!("{}", Value::Array(lines.iter().map(object).collect()));
    } else {
        print(&lines, &by_hand, args.count);
    }
    for problem in &problems {
        eprintln!("{problem}");
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::SomeFailed })
}

async fn lines(context: &Context, jobs: Vec<Job>, count: u32) -> anyhow::Result<Vec<Line>> {
    let (store, now) = (context.look_into_store().await?, context.clock.now());
    let mut lines = Vec::new();
    for job in jobs {
        let Some(schedule) = job.schedule.clone() else { continue };
        let last = match &store {
            Some(store) => store.fires(Some(&job.name), count).await?,
            None => Vec::new(),
        };
        let next = fires::upcoming(&schedule, now).take(count as usize).collect();
        lines.push(Line { job, schedule, next, last });
    }
    if let Some(store) = store {
        store.close().await;
    }
    Ok(lines)
}

fn object(line: &Line) -> Value {
    let local = |at: &DateTime<Utc>| at.with_timezone(&line.schedule.timezone).to_rfc3339();
    let next: Vec<Value> = line.next.iter().map(|at| json!({ "utc": at, "local": local(at) })).collect();
    json!({
        "job": line.job.name,
        "schedule": line.schedule.expression,
        "timezone": line.schedule.timezone.name(),
        "next": next,
        "last": line.last,
    })
}

fn print(lines: &[Line], by_hand: &[String], count: u32) {
    let mut out = table(&["job", "schedule", "next (local)", "next (UTC)", "last due (UTC)", "state"]);
    for line in lines {
        for row in 0..count as usize {
            let (next, last) = (line.next.get(row), line.last.get(row));
            if row > 0 && next.is_none() && last.is_none() {
                break;
            }
            let local = |at: &DateTime<Utc>| {
                let local = at.with_timezone(&line.schedule.timezone);
                format!("{} {}", local.format("%a %Y-%m-%d %H:%M:%S"), local.format("%Z"))
            };
            let utc = |at: &DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S").to_string();
            let name = |text: &str| if row == 0 { text.to_owned() } else { String::new() };
            out.add_row([
                name(&line.job.name),
                name(line.schedule.expression.trim()),
                next.map_or_else(|| "-".to_owned(), local),
                next.map_or_else(|| "-".to_owned(), utc),
                last.map_or_else(|| "-".to_owned(), |fire| utc(&fire.due)),
                last.map_or_else(|| "-".to_owned(), |fire| fire.state.as_str().to_owned()),
            ]);
        }
    }
    match lines {
        [] => crate::say!("no job has a schedule; write one into its file: schedule = \"30 2 * * *\""),
        _ => crate::say!("{out}"),
    }
    for fire in lines.iter().flat_map(|line| &line.last).filter(|fire| fire.state != FireState::Running) {
        if let Some(reason) = &fire.reason {
            crate::say!(
                "{} {}: {}: {}",
                fire.job,
                fire.due.format("%Y-%m-%d %H:%M"),
                fire.state.as_str(),
                shown(reason)
            );
        }
    }
    if !by_hand.is_empty() {
        crate::say!("by hand only: {}", by_hand.join(", "));
    }
}
