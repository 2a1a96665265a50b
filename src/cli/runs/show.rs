//! `nightmark runs show`: one run, for whoever reads it after a bad night.

use super::words::{self, Around};
use crate::cli::dead_letters;
use crate::cli::report::{clipped, grouped, plural};
use crate::cli::table::{shown, table};
use crate::cli::{Context, Exit};
use crate::receipt::FailureKind;
use crate::snapshot::{Held, Manifest};
use crate::store::{DestinationRecord, DestinationState, FailedReceipt, RunEvent, RunRecord, StateStore};
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Rows that did not get through that are looked at for the summary.
const FAILURES: u32 = 10_000;

/// Arguments of `nightmark runs show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// A run's id, as `nightmark runs` shows it, or a job: its newest run
    #[arg(value_name = "RUN|JOB")]
    pub run: String,
}

/// What is known of a run.
struct Known {
    run: RunRecord,
    events: Vec<RunEvent>,
    failures: Vec<FailedReceipt>,
    /// Rows that may be in flight.
    in_flight: u64,
    /// Too long ago: only the counts are remembered.
    rows_forgotten: bool,
    around: Around,
    /// Of the job, now; those that nobody has dropped.
    refused_versions: u64,
    destination: Option<DestinationRecord>,
}

/// Runs the command.
///
/// # Errors
/// A state store that cannot be read; a run that is not known.
pub async fn run(context: &Context, args: ShowArgs) -> anyhow::Result<Exit> {
    let none = || format!("there is no run and no job with runs `{}`; `nightmark runs` lists them", args.run);
    let store = context.look_into_store().await?.with_context(none)?;
    let found = match store.run(&args.run).await? {
        Some(run) => Some(run),
        None => store.runs(Some(&args.run), 1).await?.pop(),
    };
    let known = load(context, &*store, found.with_context(none)?).await?;
    store.close().await;
    if context.json {
        print_json(&known)
    } else {
        print_text(&known)
    }
    Ok(Exit::Done)
}

async fn load(context: &Context, store: &dyn StateStore, mut run: RunRecord) -> anyhow::Result<Known> {
    let dir = context.home.snapshots(&run.job);
    let progress = store.progress(&run.id).await?;
    // The record has what was known when it was written; a run that is on, or was cut off, has come further.
    if run.state.is_published() && run.finished_at.is_none() {
        run.counts = run.counts.delivered(&progress, run.counts.set_aside);
    }
    let refusals = store.refusals(Some(&run.job)).await?;
    let after = dead_letters::limit(context, &run.job);
    let given_up: Vec<_> = refusals.iter().filter(|refusal| refusal.is_given_up(after)).collect();
    let dead_letters = given_up.iter().filter(|refusal| !refusal.dropped).count() as u64;
    let given_up = given_up.iter().filter(|refusal| refusal.run == run.id).count() as u64;
    let destination = store.destination(&run.job).await?.filter(|of| !of.is_over(context.clock.now()));
    let around = Around {
        left_alone: super::is_free(context, &run.job, &super::leased(store).await?),
        // A damaged manifest is told by the commands that need it.
        is_current: Manifest::load(&dir).ok().flatten().is_some_and(|manifest| manifest.run == run.id),
        can_be_decided: Held::load(&dir, &run.id).ok().flatten().is_some(),
        is_out_of_service: destination
            .as_ref()
            .is_some_and(|of| of.state == DestinationState::Disabled || of.paused_until.is_some()),
        given_up,
        dead_letters: if run.counts.set_aside + given_up > 0 { dead_letters } else { 0 },
    };
    Ok(Known {
        events: store.events(&run.id).await?,
        failures: store.failures(&run.id, FAILURES).await?,
        in_flight: progress.attempting.len(),
        rows_forgotten: progress.forgotten,
        around,
        refused_versions: refusals.iter().filter(|refusal| !refusal.dropped).count() as u64,
        destination,
        run,
    })
}

fn print_json(known: &Known) {
    let mut object = json!(known.run);
    if let Value::Object(object) = &mut object {
        object.insert("status".into(), json!(words::state(&known.run, known.around.left_alone)));
        object.insert("in_flight".into(), json!(known.in_flight));
        object.insert("rows_forgotten".into(), json!(known.rows_forgotten));
        object.insert("is_current".into(), json!(known.around.is_current));
        object.insert("steps".into(), json!(known.events));
        object.insert("failures".into(), json!(known.failures));
        object.insert("destination".into(), json!(known.destination));
        object.insert("refused_versions".into(), json!(known.refused_versions));
        object.insert("what_to_do".into(), json!(words::what_to_do(&known.run, &known.around)));
    }
    crate::say!("{object}");
}

fn print_text(known: &Known) {
    let run = &known.run;
    crate::say!("run {} of job {}: {}", run.id, run.job, words::sentence(run, &known.around));
    if let Some(reason) = &run.reason {
        reason.lines().for_each(|line| crate::say!("  {}", shown(line)));
    }
    crate::say!("");
    print_steps(run, &known.events);
    print_counts(known);
    print_failures(known);
    if let Some(report) = &run.report {
        super::since::lines(report).iter().for_each(|line| crate::say!("{line}"));
        super::limits::lines(report).iter().for_each(|line| crate::say!("{line}"));
    }
    if let Some(destination) = &known.destination {
        let since = destination.since.format("%Y-%m-%d %H:%M:%S");
        crate::say!(
            "The destination of the job is {} since {since} UTC: {}\n  what to do: {}",
            json!(destination.state).as_str().unwrap_or_default(),
            shown(&destination.reason),
            destination.remedy
        );
    }
    let todo = words::what_to_do(&known.run, &known.around);
    if !todo.is_empty() {
        crate::say!("What you can do:");
        todo.iter().for_each(|line| crate::say!("  {line}"));
    }
}

fn print_steps(run: &RunRecord, events: &[RunEvent]) {
    crate::say!("Steps (UTC)");
    let first = RunEvent { at: run.started_at, state: run.state, reason: None };
    let events = if events.is_empty() { std::slice::from_ref(&first) } else { events };
    for event in events {
        // What the run itself says now stands above.
        let why = event.reason.as_deref().filter(|why| run.reason.as_deref() != Some(why));
        let why = why.map(|why| format!(": {}", clipped(why))).unwrap_or_default();
        crate::say!("  {}  {}{why}", event.at.format("%Y-%m-%d %H:%M:%S"), event.state.as_str());
    }
    if let Some(at) = run.finished_at {
        crate::say!("  {}  ended after {}", at.format("%Y-%m-%d %H:%M:%S"), lasted(run.started_at, at));
    }
}

/// `4 s`, `2 min 5 s`, `3 h 12 min`
fn lasted(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    match (to - from).num_seconds().max(0) {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

fn print_counts(known: &Known) {
    let counts = &known.run.counts;
    crate::say!(
        "Found      {} extracted, {} rejected: {} added, {} changed, {} removed",
        grouped(counts.extracted),
        grouped(counts.rejected),
        grouped(counts.added),
        grouped(counts.changed),
        grouped(counts.removed)
    );
    let of = |kind| known.failures.iter().filter(|failure| failure.kind == kind).count() as u64;
    let undelivered = of(FailureKind::NotDelivered).min(counts.refused);
    let parts = [
        (counts.acknowledged, "acknowledged"),
        (counts.refused - undelivered, if known.rows_forgotten { "refused or not delivered" } else { "refused" }),
        (undelivered, "not delivered"),
        (counts.unknown, "unknown (may have been applied; sent again)"),
        (known.in_flight, "in flight"),
        (counts.set_aside, "set aside as dead letters"),
        (counts.pending.saturating_sub(known.in_flight), "not sent"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .enumerate()
        .filter(|(at, (count, _))| *at == 0 || *count > 0)
        .map(|(_, (count, what))| format!("{} {what}", grouped(*count)))
        .collect();
    crate::say!("Webhooks   {} planned: {}", grouped(counts.planned()), parts.join(", "));
}

/// What did not get through, equal answers together.
fn print_failures(known: &Known) {
    if known.failures.is_empty() {
        if known.rows_forgotten && known.run.counts.refused + known.run.counts.unknown > 0 {
            crate::say!("Which rows did not get through is no longer known (runs.keep_rows_of in nightmark.toml).");
        }
        return;
    }
    let mut alike: BTreeMap<_, Vec<&FailedReceipt>> = BTreeMap::new();
    for failure in &known.failures {
        let said = failure.detail.as_deref().unwrap_or_default();
        alike.entry((kind(failure.kind), failure.status, said)).or_default().push(failure);
    }
    let mut alike: Vec<_> = alike.into_iter().collect();
    alike.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.len()));
    crate::say!("What did not get through");
    let mut out = table(&["rows", "outcome", "HTTP", "for example", "why"]);
    for ((kind, status, said), rows) in alike.iter().take(20) {
        let keys: Vec<String> = rows.iter().take(3).map(|row| clipped(&row.key)).collect();
        out.add_row([
            grouped(rows.len() as u64),
            (*kind).to_owned(),
            status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
            keys.join(", "),
            clipped(said),
        ]);
    }
    crate::say!("{out}");
    if alike.len() > 20 {
        crate::say!("  … and {} more", plural((alike.len() - 20) as u64, "kind"));
    }
    if known.failures.len() as u64 >= u64::from(FAILURES) {
        crate::say!("  (of the first {} rows)", grouped(u64::from(FAILURES)));
    }
}

fn kind(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::NotDelivered => "not delivered",
        FailureKind::Refused => "refused",
        FailureKind::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_it_took() {
        let at = |seconds| DateTime::<Utc>::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds);
        for (seconds, text) in [(-1, "0 s"), (59, "59 s"), (125, "2 min 5 s"), (11_520, "3 h 12 min")] {
            assert_eq!(lasted(at(0), at(seconds)), text);
        }
    }
}
