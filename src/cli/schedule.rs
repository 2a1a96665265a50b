//! `nightmark schedule`: when jobs run next, and what became of their last fires.

use super::table::{shown, table};
use super::{Context, Exit};
use crate::daemon::timetable::{Known, Timetable, take_over, timetable};
use crate::job::load::{load_all, load_job};
use crate::store::{FireCause, FireState, FireStore};
use chrono::{DateTime, Utc};

/// Arguments of `nightmark schedule`.
#[derive(Debug, clap::Args)]
pub struct ScheduleArgs {
    /// The job's name; without it all jobs
    pub job: Option<String>,
    /// So many of the next fires, and of the last
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub count: u32,
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
    let told = told(context, &take_over(&[], jobs, &problems), args.count).await?;
    match context.json {
        true => crate::say!("{}", serde_json::to_value(&told)?),
        false => print(&told, args.count),
    }
    for problem in &problems {
        eprintln!("{problem}");
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::SomeFailed })
}

async fn told(context: &Context, known: &[Known], count: u32) -> anyhow::Result<Vec<Timetable>> {
    let (store, now) = (context.look_into_store().await?, context.clock.now());
    let fires = (count as usize, count);
    let mut told = Vec::new();
    for one in known {
        told.push(timetable(one, store.as_deref().map(|store| store as &dyn FireStore), now, fires).await?);
    }
    if let Some(store) = store {
        store.close().await;
    }
    Ok(told)
}

fn print(told: &[Timetable], count: u32) {
    // Of what nothing begins by itself, and nobody has begun, there is nothing to tell.
    let (lines, by_hand): (Vec<_>, Vec<_>) =
        told.iter().partition(|line| is_begun(line) || !line.last.is_empty() || line.faulty.is_some());
    let mut out = table(&["job", "schedule", "next (local)", "next (UTC)", "last due (UTC)", "by", "state"]);
    lines.iter().for_each(|line| (0..count as usize).for_each(|row| add(&mut out, line, row)));
    match lines.as_slice() {
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
        let names: Vec<&str> = by_hand.iter().map(|line| line.job.as_str()).collect();
        crate::say!("by hand only: {}", names.join(", "));
    }
}

/// One line of a job's fires: `row` counts from the next and from the last.
fn add(out: &mut comfy_table::Table, line: &Timetable, row: usize) {
    let (next, last) = (line.next.get(row), line.last.get(row));
    if row > 0 && next.is_none() && last.is_none() {
        return;
    }
    let local = |at: DateTime<Utc>| {
        let local = at.with_timezone(&line.zone);
        format!("{} {}", local.format("%a %Y-%m-%d %H:%M:%S"), local.format("%Z"))
    };
    let utc = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S").to_string();
    let none = || "-".to_owned();
    let name = |text: &str| if row == 0 { text.to_owned() } else { String::new() };
    let by = |cause: FireCause| cause.as_str().to_owned();
    out.add_row([
        name(&line.job),
        name(&begins(line)),
        next.map_or_else(none, |next| local(next.utc)),
        next.map_or_else(none, |next| utc(next.utc)),
        last.map_or_else(none, |fire| utc(fire.due)),
        last.map_or_else(none, |fire| by(fire.cause)),
        last.map_or_else(none, |fire| fire.state.as_str().to_owned()),
    ]);
}

/// Whether anything begins the job by itself.
fn is_begun(line: &Timetable) -> bool {
    line.schedule.is_some() || line.on_file.is_some() || !line.run_after.is_empty()
}

/// What begins it, in words.
fn begins(line: &Timetable) -> String {
    let file = line.on_file.map(|every| format!("new files ({every} s)"));
    let after = (!line.run_after.is_empty()).then(|| format!("after {}", line.run_after.join(", ")));
    let all: Vec<String> = line.schedule.iter().cloned().chain(file).chain(after).collect();
    match (all.is_empty(), &line.faulty) {
        (true, Some(_)) => "faulty".to_owned(),
        (true, None) => "-".to_owned(),
        (false, _) => all.join("; "),
    }
}
