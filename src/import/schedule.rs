//! Schedules: Hightouch's interval, cron expression and custom recurrence as one crontab expression.
//!
//! Hightouch evaluates cron expressions in UTC (its page "Schedule syncs in the UI"). An interval runs from the last run on,
//! a crontab by the clock; where the two cannot agree, the crontab runs more often, which does no harm: a night without
//! differences sends nothing.

use super::Notes;
use super::bag::Bag;
use serde_json::Value;
use std::collections::BTreeSet;

/// When a sync runs. `None`: by hand.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) cron: Option<String>,
    pub(super) timezone: Option<String>,
}

const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

pub(super) fn read(mut bag: Bag, notes: &mut Notes) -> Schedule {
    let kind = bag.text(&["type"]).unwrap_or_default().to_lowercase();
    // The REST API has the schedule within the schedule; Git Sync's own form is not documented.
    let mut inner = bag.bag(&["schedule"]);
    let from = inner.as_mut().unwrap_or(&mut bag);
    let timezone = from.text(&["timezone", "tz"]);
    let cron = match kind.as_str() {
        "manual" | "none" => None,
        _ if from.has("expression") || from.has("cron") || from.has("cronexpression") => {
            from.text(&["expression", "cron", "cronexpression"]).map(|cron| cron.trim().to_owned())
        }
        _ if from.has("expressions") => recurrence(&from.list(&["expressions"]).unwrap_or_default(), notes),
        _ if from.has("interval") || from.has("quantity") || from.has("amount") => interval(from, notes),
        "" => {
            notes.todo("the schedule is not understood; set `schedule`");
            None
        }
        other => {
            notes.todo(format!(
                "the sync runs on `{other}`, which Nightmark does not hear of: set `schedule`, or start `nightmark run` there"
            ));
            bag.pass_over(&["schedule", "account", "accountid", "job", "jobid"]);
            None
        }
    };
    if let Some(inner) = inner {
        inner.tell_rest(notes);
    }
    bag.tell_rest(notes);
    Schedule { cron, timezone }
}

fn interval(bag: &mut Bag, notes: &mut Notes) -> Option<String> {
    let mut inner = bag.bag(&["interval"]);
    let from = inner.as_mut().unwrap_or(bag);
    let (quantity, unit) = (from.number(&["quantity", "amount", "value", "interval"]), from.text(&["unit"]));
    if let Some(inner) = inner {
        inner.tell_rest(notes);
    }
    let quantity = quantity.unwrap_or(1.0).max(1.0) as u32;
    let unit = unit.unwrap_or_default().to_lowercase();
    let (cron, exact) = match unit.trim_end_matches('s') {
        "minute" | "min" | "m" if quantity < 60 => by_divisor(quantity, 60, "*/N * * * *", "* * * * *"),
        "minute" | "min" | "m" => by_divisor(quantity / 60, 24, "0 */N * * *", "0 * * * *"),
        "hour" | "h" if quantity < 24 => by_divisor(quantity, 24, "0 */N * * *", "0 * * * *"),
        "hour" | "h" => ("0 0 * * *".to_owned(), quantity == 24),
        "day" | "d" if quantity < 7 => ("0 0 * * *".to_owned(), quantity == 1),
        "day" | "d" => ("0 0 * * 0".to_owned(), quantity == 7),
        "week" | "w" => ("0 0 * * 0".to_owned(), quantity == 1),
        _ => {
            notes.todo("the interval's unit is not understood; set `schedule`");
            return None;
        }
    };
    let every = format!("every {quantity} {}{}", unit.trim_end_matches('s'), if quantity == 1 { "" } else { "s" });
    notes.changed(match exact {
        true => format!("schedule: {every} is `{cron}`: by the clock, not from the last run on"),
        false => {
            format!("schedule: {every} has no crontab of its own; `{cron}` is the nearest that runs as often or more")
        }
    });
    Some(cron)
}

/// `*/N` is even only if N divides the whole; otherwise the next lower divisor.
fn by_divisor(quantity: u32, whole: u32, every: &str, each: &str) -> (String, bool) {
    if quantity >= whole {
        return ("0 0 * * *".to_owned(), quantity == whole);
    }
    let step = (1..=quantity.max(1)).rev().find(|step| whole.is_multiple_of(*step)).unwrap_or(1);
    let cron = if step == 1 { each.to_owned() } else { every.replace('N', &step.to_string()) };
    (cron, step == quantity)
}

/// Days and a time each. One crontab can say several of them only if they are at the same time, or on the same days at the
/// same minute.
fn recurrence(items: &[Value], notes: &mut Notes) -> Option<String> {
    let mut entries: Vec<(BTreeSet<usize>, (u32, u32))> = items.iter().filter_map(entry).collect();
    if entries.len() < items.len() || entries.is_empty() {
        notes.todo("a part of the custom recurrence is not understood; look at `schedule`");
    }
    let (days, (hour, minute)) = entries.first().cloned()?;
    if entries.iter().all(|(_, time)| *time == (hour, minute)) {
        let days = entries.iter().flat_map(|(days, _)| days.iter().copied()).collect();
        return Some(format!("{minute} {hour} * * {}", listed(&days)));
    }
    if entries.iter().all(|(of, (_, m))| *of == days && *m == minute) {
        let hours: BTreeSet<u32> = entries.iter().map(|(_, (hour, _))| *hour).collect();
        let hours: Vec<String> = hours.iter().map(u32::to_string).collect();
        return Some(format!("{minute} {} * * {}", hours.join(","), listed(&days)));
    }
    let others: Vec<String> =
        entries.drain(1..).map(|(days, (hour, minute))| format!("`{minute} {hour} * * {}`", listed(&days))).collect();
    notes.lost(format!("schedule: one crontab cannot say all of it; missing: {}", others.join(", ")));
    Some(format!("{minute} {hour} * * {}", listed(&days)))
}

fn entry(value: &Value) -> Option<(BTreeSet<usize>, (u32, u32))> {
    let is_on = |day: &str| {
        let entry = value["days"].as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(day))?;
        entry.1.as_bool()
    };
    let days: BTreeSet<usize> = (0..7).filter(|day| is_on(DAYS[*day]) == Some(true)).collect();
    let (hour, minute) = value["time"].as_str()?.split_once(':')?;
    let (hour, minute) = (hour.trim().parse().ok()?, minute.get(..2)?.parse().ok()?);
    (!days.is_empty() && hour < 24 && minute < 60).then_some((days, (hour, minute)))
}

fn listed(days: &BTreeSet<usize>) -> String {
    match days.len() {
        7 => "*".to_owned(),
        _ => days.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
    }
}
