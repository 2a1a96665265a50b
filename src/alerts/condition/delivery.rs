//! What deliveries and destinations say.

use super::{Condition, Kind, Seen, last_published, time};
use crate::store::{DestinationState, RunState};
use serde_json::Value;

pub(super) fn destination(seen: &Seen<'_>) -> Option<Condition> {
    let job = &seen.job.name;
    let (what, mut todo) = match seen.destination {
        Some(record) => {
            let is = match record.state {
                DestinationState::Paused => "is paused",
                DestinationState::Disabled => "is disabled",
            };
            let until = record.paused_until.map(|until| format!(" until {}", time(until))).unwrap_or_default();
            let what = format!("the destination {is}{until} since {}: {}", time(record.since), record.reason);
            let enable = format!("nightmark destinations enable {job}  once it takes webhooks again");
            (what, vec![record.remedy.clone(), enable])
        }
        None => {
            let (run, reason, remedy) = given_up(seen)?;
            (format!("the destination did not answer run {run}, which stopped: {reason}"), vec![remedy.to_owned()])
        }
    };
    todo.push(format!("nightmark retry {job}  sends what is left at once"));
    let pending = last_published(seen).map_or(0, |run| run.counts.pending);
    Some(Condition {
        job: job.clone(),
        kind: Kind::Destination,
        about: String::new(),
        what,
        unsent: format!("{pending} changes are pending; runs go on comparing, and nothing is lost"),
        todo,
    })
}

/// The last run that was published, if its delivery was given up because the destination kept failing: no record of the destination says so, as the next run simply tries again.
fn given_up<'a>(seen: &Seen<'a>) -> Option<(&'a str, &'a str, &'a str)> {
    let run = last_published(seen).filter(|run| run.state == RunState::Delivering)?;
    let stopped = run.report.as_ref()?.get("stopped")?;
    let text = |name| stopped.get(name).and_then(Value::as_str);
    text("kind").filter(|kind| *kind == "breaker")?;
    Some((&run.id, text("reason")?, text("remedy")?))
}

pub(super) fn dead_letters(seen: &Seen<'_>) -> Option<Condition> {
    let (job, count) = (&seen.job.name, seen.dead_letters);
    (count > 0).then(|| Condition {
        job: job.clone(),
        kind: Kind::DeadLetters,
        about: String::new(),
        what: format!("{count} rows are set aside: the destination keeps refusing them"),
        unsent: "those rows are not sent until their values change or somebody asks for it".to_owned(),
        todo: vec![
            format!("nightmark dead-letters list {job}"),
            format!("nightmark dead-letters retry {job} --all  once the cause is mended"),
        ],
    })
}
