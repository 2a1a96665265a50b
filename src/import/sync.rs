//! Syncs: `syncs/*.yaml`, or the REST API's answer, and the destination that they name.

use super::Notes;
use super::bag::Bag;
use super::request::{self, Request, shown};
use super::schedule::{self, Schedule};
use serde_json::Value;
use std::collections::BTreeMap;

/// A kind of difference, as Hightouch triggers on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trigger {
    Added,
    Changed,
    Removed,
}

impl Trigger {
    pub(super) const ALL: [Trigger; 3] = [Trigger::Added, Trigger::Changed, Trigger::Removed];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Trigger::Added => "added",
            Trigger::Changed => "changed",
            Trigger::Removed => "removed",
        }
    }

    /// How it may be called.
    fn names(self) -> &'static [&'static str] {
        match self {
            Trigger::Added => {
                &["added", "rowsadded", "rowadded", "add", "insert", "inserts", "inserted", "create", "created"]
            }
            Trigger::Changed => &["changed", "rowschanged", "rowchanged", "change", "update", "updates", "updated"],
            Trigger::Removed => &["removed", "rowsremoved", "rowremoved", "remove", "delete", "deletes", "deleted"],
        }
    }

    fn of(name: &str) -> Option<Trigger> {
        let plain: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        Trigger::ALL.into_iter().find(|trigger| trigger.names().contains(&plain.as_str()))
    }
}

/// What a job needs of a sync.
#[derive(Debug, Default)]
pub(super) struct Sync {
    /// The model that it names.
    pub(super) model: Option<String>,
    /// The destination that it names.
    pub(super) destination: Option<String>,
    pub(super) schedule: Schedule,
    pub(super) is_paused: bool,
    /// What triggers a request, and the request; empty: the file does not say.
    pub(super) requests: BTreeMap<Trigger, Request>,
    /// What holds for all triggers.
    pub(super) common: Request,
    /// Field of the body and column, of a sync that maps columns instead of writing JSON.
    pub(super) mappings: Vec<(String, String)>,
    /// `50/s`
    pub(super) rate: Option<String>,
    pub(super) concurrency: Option<u32>,
    /// Attempts after the first.
    pub(super) retries: Option<u32>,
    /// In seconds.
    pub(super) timeout: Option<f64>,
}

pub(super) fn read(mut bag: Bag, destination: Option<Bag>, notes: &mut Notes) -> Sync {
    bag.pass_over(&[
        "id",
        "name",
        "slug",
        "createdat",
        "updatedat",
        "workspaceid",
        "modelid",
        "destinationid",
        "primarykey",
        "referencedcolumns",
        "status",
        "lastrunat",
        "tags",
        "labels",
        "folder",
        "folderid",
        "description",
        "configversion",
        "type",
    ]);
    let mut sync = Sync {
        model: bag.text(&["model"]),
        destination: bag.text(&["destination"]),
        is_paused: bag.flag(&["schedulepaused", "paused"]).unwrap_or(false) | bag.flag(&["disabled"]).unwrap_or(false),
        ..Sync::default()
    };
    if bag.flag(&["enabled", "active"]) == Some(false) {
        sync.is_paused = true;
    }
    if let Some(schedule) = bag.bag(&["schedule"]) {
        sync.schedule = schedule::read(schedule, notes);
    }
    if let Some(mut config) = bag.bag(&["config", "configuration"]) {
        configuration(&mut config, &mut sync, notes);
        config.tell_rest(notes);
    }
    configuration(&mut bag, &mut sync, notes);
    bag.tell_rest(notes);
    if let Some(destination) = destination {
        sync.common = std::mem::take(&mut sync.common).or(&of_destination(destination, notes));
    }
    sync
}

/// Base URL and headers, which Hightouch keeps with the destination.
fn of_destination(mut bag: Bag, notes: &mut Notes) -> Request {
    bag.pass_over(&["id", "name", "slug", "type", "createdat", "updatedat", "workspaceid", "syncs", "tags"]);
    let mut request = request::take(&mut bag, notes);
    if let Some(mut config) = bag.bag(&["config", "configuration"]) {
        request = request::take(&mut config, notes).or(&request);
        config.tell_rest(notes);
    }
    bag.tell_rest(notes);
    // A destination's URL is the base of what the sync's path continues.
    Request { base: request.base.or(request.url.take()), ..request }
}

fn configuration(bag: &mut Bag, sync: &mut Sync, notes: &mut Notes) {
    bag.pass_over(&["configversion", "mode", "object", "type"]);
    sync.common = std::mem::take(&mut sync.common).or(&request::take(bag, notes));
    triggers(bag, sync, notes);
    limits(bag, sync, notes);
    if let Some(mappings) = bag.list(&["mappings"]) {
        sync.mappings = mappings.iter().filter_map(|mapping| self::mapping(mapping, notes)).collect();
    }
}

/// Triggers stand in a table or list of their own, or beside the request's fields.
fn triggers(bag: &mut Bag, sync: &mut Sync, notes: &mut Notes) {
    for names in [["triggers"], ["events"], ["operations"], ["requests"], ["requesttriggers"], ["on"]] {
        if let Some(mut table) = bag.bag(&names) {
            named(&mut table, sync, notes);
            table.tell_rest(notes);
        } else if let Some(items) = bag.list(&names) {
            items.into_iter().for_each(|item| listed(item, sync, notes));
        }
    }
    named(bag, sync, notes);
    // The names of an early form of Git Sync.
    let early = [["subscribeadd"], ["subscribechange"], ["subscribedelete"]];
    for (trigger, names) in Trigger::ALL.into_iter().zip(early) {
        if bag.flag(&names) == Some(true) {
            sync.requests.entry(trigger).or_default();
        }
    }
}

fn named(table: &mut Bag, sync: &mut Sync, notes: &mut Notes) {
    for trigger in Trigger::ALL {
        if table.flag(trigger.names()) == Some(true) {
            sync.requests.entry(trigger).or_default();
        } else if let Some(request) = table.bag(trigger.names()) {
            one(trigger, request, sync, notes);
        }
    }
}

/// `added`, or a table that says which trigger it is.
fn listed(item: Value, sync: &mut Sync, notes: &mut Notes) {
    if let Some(trigger) = item.as_str().and_then(Trigger::of) {
        sync.requests.entry(trigger).or_default();
        return;
    }
    let Ok(mut bag) = Bag::of("sync: trigger", item) else {
        return notes.lost("a trigger of the sync that is not known to this importer");
    };
    match bag.text(&["trigger", "event", "type", "operation", "on", "name"]).as_deref().and_then(Trigger::of) {
        Some(trigger) => one(trigger, bag, sync, notes),
        None => notes.lost("a trigger of the sync that does not say when it triggers"),
    }
}

fn one(trigger: Trigger, mut bag: Bag, sync: &mut Sync, notes: &mut Notes) {
    let is_on = bag.flag(&["enabled", "active", "trigger", "send"]).unwrap_or(true);
    let request = request::take(&mut bag, notes);
    bag.tell_rest(notes);
    if is_on {
        sync.requests.insert(trigger, request);
    }
}

fn limits(bag: &mut Bag, sync: &mut Sync, notes: &mut Notes) {
    const CONCURRENCY: [&str; 5] =
        ["concurrency", "concurrencylimit", "maxconcurrency", "maxconcurrentrequests", "concurrentrequests"];
    let mut concurrency = bag.number(&CONCURRENCY);
    if let Some(mut limit) = bag.bag(&["ratelimit", "ratelimits", "ratelimiting", "limits"]) {
        concurrency = concurrency.or(limit.number(&CONCURRENCY));
        let quantity = limit.number(&["quantity", "limit", "requests", "count", "amount", "rate"]);
        let unit = limit.text(&["unit", "per", "interval", "period", "timeunit"]);
        limit.pass_over(&["enabled"]);
        limit.tell_rest(notes);
        sync.rate = rate(quantity, unit.as_deref(), notes).or(sync.rate.take());
    }
    let quantity = bag.number(&["ratelimit", "ratelimitquantity", "requestspersecond"]);
    if let Some(rate) = rate(quantity, bag.text(&["ratelimitunit", "ratelimitinterval"]).as_deref(), notes) {
        sync.rate = Some(rate);
    }
    sync.concurrency = concurrency.map(|n| n.clamp(1.0, 1024.0) as u32).or(sync.concurrency);
    for names in [["errorhandling"], ["retrypolicy"], ["retry"], ["retries"]] {
        if let Some(mut table) = bag.bag(&names) {
            retries(&mut table, sync);
            table.tell_rest(notes);
        }
    }
    retries(bag, sync);
}

fn retries(bag: &mut Bag, sync: &mut Sync) {
    let retries = bag.number(&["retries", "maxretries", "retrycount", "numretries", "retry"]);
    sync.retries = retries.map(|n| n.clamp(0.0, 99.0) as u32).or(sync.retries);
    let seconds = bag.number(&["timeout", "timeoutseconds", "requesttimeout"]);
    // Nobody waits a quarter of an hour for a webhook: such a number is in milliseconds.
    let seconds = seconds.map(|n| if n >= 1000.0 { n / 1000.0 } else { n });
    let millis = bag.number(&["timeoutms", "timeoutmillis", "requesttimeoutms"]).map(|n| n / 1000.0);
    sync.timeout = millis.or(seconds).filter(|seconds| *seconds > 0.0).or(sync.timeout);
}

fn rate(quantity: Option<f64>, unit: Option<&str>, notes: &mut Notes) -> Option<String> {
    let quantity = quantity.filter(|n| *n >= 1.0 && *n <= f64::from(u32::MAX))? as u32;
    let unit = unit.unwrap_or("second").to_lowercase();
    match unit.trim_start_matches("per").trim_matches([' ', '_', '-']).trim_end_matches('s') {
        "" | "sec" | "second" => Some(format!("{quantity}/s")),
        "m" | "min" | "minute" => Some(format!("{quantity}/m")),
        "h" | "hour" => Some(format!("{quantity}/h")),
        "day" => {
            let hourly = (quantity / 24).max(1);
            notes.changed(format!("rate limit: {quantity} a day is kept as {hourly} an hour"));
            Some(format!("{hourly}/h"))
        }
        other => {
            notes.todo(format!("the rate limit's unit `{}` is not understood; set `rate`", shown(other)));
            None
        }
    }
}

/// `from: column, to: field`; the other kinds of mapping need a template.
fn mapping(mapping: &Value, notes: &mut Notes) -> Option<(String, String)> {
    let text = |name: &str| mapping[name].as_str().map(str::to_owned);
    let kind = mapping["type"].as_str().unwrap_or("standard");
    match (kind, text("to"), text("from")) {
        ("standard" | "reference" | "column", Some(to), Some(from)) => Some((to, from)),
        (kind, to, _) => {
            let to = to.unwrap_or_default();
            notes.lost(format!(
                "the mapping to `{}` of type `{}`: write it into a `template`",
                shown(&to),
                shown(kind)
            ));
            None
        }
    }
}
