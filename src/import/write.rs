//! The job file, in the order and with the words in which a person would write it.

use super::model::{Model, slug_of};
use super::request::{self, Request};
use super::secrets::{self, is_liquid};
use super::sql::{self, Tables};
use super::sync::{Sync, Trigger};
use super::{Notes, Wishes};
use std::fmt::Write as _;

/// Columns that the guide names as changing too often to be compared.
const VOLATILE: [&str; 5] = ["last_active_at", "last_login_at", "last_seen_at", "updated_at", "modified_at"];

/// Comments are cut so that the file reads well beside code.
const WIDTH: usize = 110;

pub(super) fn job(model: &Model, sync: &Sync, wishes: &Wishes, notes: &mut Notes) -> String {
    let mut body = String::new();
    schedule(sync, notes, &mut body);
    source(model, wishes, notes, &mut body);
    diff(model, sync, wishes, notes, &mut body);
    destination(sync, wishes, notes, &mut body);
    payload(model, sync, notes, &mut body);
    let mut out = "#:schema ../schemas/job.schema.json\n".to_owned();
    let of = model.name.as_deref().unwrap_or("?");
    let to = sync.destination.as_deref().unwrap_or("?");
    comment(&format!("Imported from Hightouch: the model `{}`, synced to `{}`.", one_line(of), one_line(to)), &mut out);
    for (heading, lines) in notes.sections() {
        let _ = writeln!(out, "#\n# {heading}:");
        lines.iter().for_each(|line| comment(&format!("- {}", one_line(line)), &mut out));
    }
    let _ = write!(out, "\nversion = 1\nname = {}\n{body}", quoted(&wishes.name));
    out
}

fn schedule(sync: &Sync, notes: &mut Notes, out: &mut String) {
    let Some(cron) = &sync.schedule.cron else {
        if sync.is_paused {
            notes.todo("the sync is paused in Hightouch, and has no schedule here");
        }
        return;
    };
    let mark = if sync.is_paused { "# " } else { "" };
    if sync.is_paused {
        notes.todo("the sync is paused in Hightouch: its schedule is written as a comment");
    }
    let zone = sync.schedule.timezone.as_deref().unwrap_or("UTC");
    if sync.schedule.timezone.is_none() {
        notes.changed("schedule: in UTC, as Hightouch evaluates cron expressions; set `timezone` to have it follow a place's clock");
    }
    let _ = writeln!(out, "{mark}schedule = {}\n{mark}timezone = {}", quoted(cron), quoted(zone));
}

fn source(model: &Model, wishes: &Wishes, notes: &mut Notes, out: &mut String) {
    let path = wishes.source.clone().unwrap_or_else(|| {
        let path = format!("data/{}.csv", wishes.name);
        notes.todo(format!(
            "`source.path`: have your warehouse write the extract to {path} each night, or set another path"
        ));
        path
    });
    let warehouse = model.source.as_deref().map(|name| format!(" (`{}`)", one_line(name))).unwrap_or_default();
    let _ = writeln!(out, "\n[source]\nkind = \"files\"\npath = {}", quoted(&path));
    let Some(sql) = model.sql.as_deref().map(str::trim_end) else {
        notes.todo("the model has no SQL: the extract has to be what the model yields");
        return;
    };
    let tables = if wishes.is_result { None } else { Some(sql::tables(sql)) };
    match tables {
        Some(Tables::One(renamed)) => {
            notes.changed(format!(
                "the SQL runs over the extract, not in the warehouse{warehouse}: the table `{}` is called `extract`; \
                 the dialect is that of `query` (docs/JOBS.md)",
                one_line(&renamed.table)
            ));
            let _ = writeln!(out, "query = {}", block(&renamed.sql));
        }
        other => {
            match other {
                Some(Tables::Other(names)) if names.len() > 1 => notes.todo(format!(
                    "the SQL reads several tables ({}): run it in the warehouse{warehouse} and let it write the extract",
                    names.iter().map(|name| one_line(name)).collect::<Vec<_>>().join(", ")
                )),
                Some(_) => notes.todo(format!(
                    "the SQL does not read exactly one table: run it in the warehouse{warehouse} and let it write the extract"
                )),
                None => notes.todo(format!("run the SQL in the warehouse{warehouse} and let it write the extract")),
            }
            let _ = writeln!(out, "# What the extract has to hold:");
            for line in sql.lines() {
                let line = format!("#   {}", one_line(line));
                let _ = writeln!(out, "{}", line.trim_end());
            }
        }
    }
}

fn diff(model: &Model, sync: &Sync, wishes: &Wishes, notes: &mut Notes, out: &mut String) {
    let key = match model.key.as_slice() {
        [column] => quoted(column),
        columns => format!("[{}]", columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")),
    };
    let mut on: Vec<&str> = sync.requests.keys().map(|trigger| trigger.as_str()).collect();
    if on.is_empty() {
        on = vec!["added", "changed"];
        notes.todo("the sync does not say what triggers a request: `on` has rows added and rows changed");
    }
    let on = on.iter().map(|trigger| quoted(trigger)).collect::<Vec<_>>().join(", ");
    let _ = writeln!(out, "\n[diff]\nkey = {key}\non = [{on}]");
    let sql = model.sql.as_deref().unwrap_or_default().to_lowercase();
    let volatile: Vec<&str> = VOLATILE.into_iter().filter(|column| has_word(&sql, column)).collect();
    if !volatile.is_empty() {
        notes.todo(format!(
            "{}: such a column makes most orgs change each night; `ignore` under [diff] keeps it from triggering",
            volatile.join(", ")
        ));
    }
    let _ = writeln!(out, "# Hightouch leaves out rows whose key is NULL or not unique, and so does this.");
    let _ = writeln!(out, "on_bad_key = \"quarantine\"");
    match wishes.adopts {
        true => {
            let _ = writeln!(out, "# The destination has what the first extract holds: nothing is sent for it.");
            let _ = writeln!(out, "first_run = \"adopt\"");
        }
        false => {
            let _ = writeln!(
                out,
                "# \"adopt\" takes the first extract as known to the destination and sends nothing for it."
            );
            let _ = writeln!(out, "first_run = \"send\"");
        }
    }
}

/// The request that stands for all: that of changed rows, of added ones, of removed ones, or what holds for all.
fn leading(sync: &Sync) -> Request {
    let first = [Trigger::Changed, Trigger::Added, Trigger::Removed].iter().find_map(|t| sync.requests.get(t));
    first.cloned().unwrap_or_default().or(&sync.common)
}

fn destination(sync: &Sync, wishes: &Wishes, notes: &mut Notes, out: &mut String) {
    let request = leading(sync);
    for (trigger, other) in &sync.requests {
        let other = other.clone().or(&sync.common);
        if (other.method(), &other.url) != (request.method(), &request.url) {
            notes.lost(format!(
                "rows {}: a method or URL of its own ({}); the job sends all rows to one URL",
                trigger.as_str(),
                other.method()
            ));
        }
    }
    if request.method() != "POST" {
        notes.lost(format!("the method {}: the job sends POST", request::shown(&request.method())));
    }
    if request.url.as_deref().is_some_and(is_liquid) {
        notes.lost("the URL is a template: the job sends all rows to one URL");
    }
    let path = request.url.as_deref().filter(|url| !is_liquid(url));
    let base = wishes.base_url.as_deref().or(request.base.as_deref());
    if request.url.is_none() {
        notes.todo("the sync's endpoint path was not found: complete `url`");
    }
    let url = secrets::address(base, path, notes);
    let headers = secrets::headers(request.headers, notes);
    let _ = writeln!(out, "\n[destination]\nkind = \"http\"\nurl = {}", quoted(&url));
    if let Some(secret) = &headers.api_secret {
        let _ = writeln!(out, "secret = {}", quoted(secret));
    }
    limits(sync, out);
    if !headers.others.is_empty() {
        let _ = writeln!(out, "\n[destination.headers]");
        headers.others.iter().for_each(|(name, value)| {
            let _ = writeln!(out, "{} = {}", quoted(name), quoted(value));
        });
    }
    if headers.api_secret.is_none() {
        notes.todo("if the API key has a secret, or Hightouch's destination has headers, add `secret` and `[destination.headers]`");
    }
}

fn limits(sync: &Sync, out: &mut String) {
    if let Some(rate) = &sync.rate {
        let _ = writeln!(out, "rate = {}", quoted(rate));
    }
    if let Some(concurrency) = sync.concurrency {
        let _ = writeln!(out, "concurrency = {concurrency}");
    }
    if let Some(retries) = sync.retries {
        let _ = writeln!(out, "retry = {{ attempts = {} }}", retries + 1);
    }
    if let Some(seconds) = sync.timeout {
        let millis = (seconds * 1000.0).clamp(1.0, 86_400_000.0) as u64;
        let timeout = if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") };
        let _ = writeln!(out, "timeout = {}", quoted(&timeout));
    }
}

fn payload(model: &Model, sync: &Sync, notes: &mut Notes, out: &mut String) {
    let request = leading(sync);
    for (trigger, other) in &sync.requests {
        let other = other.clone().or(&sync.common);
        if other.body.is_some() && other.body != request.body {
            notes.lost(format!(
                "rows {}: a body of their own; the job has one template, which knows {{{{op}}}}",
                trigger.as_str()
            ));
        }
    }
    let _ = writeln!(out, "\n[payload]");
    match &request.body {
        Some(body) => {
            let _ = writeln!(out, "template = {}", block(body.trim_end()));
        }
        None => preset(model, sync, notes, out),
    }
    let url = request.url.unwrap_or_default();
    if url.contains("/product-orgs/webhook") {
        notes.todo(
            "[payload.conforms_to]: say what the payload template of the API key is, and no body that it would refuse is sent",
        );
        comment(
            "What the payload template of the API key says; with it, bodies are checked before they are sent:",
            out,
        );
        let _ = writeln!(out, "# [payload.conforms_to]\n# preset = \"hightouch\"");
    }
}

fn preset(model: &Model, sync: &Sync, notes: &mut Notes, out: &mut String) {
    let removes = sync.requests.contains_key(&Trigger::Removed);
    if sync.mappings.is_empty() {
        notes.todo("the JSON template was not found: the body has every column under its own name; see `payload`");
    }
    if removes {
        // A preset cannot say that an org is gone.
        notes.todo("rows removed: the body says so by `op`; make of it what the destination understands");
        let mut fields: Vec<(String, String)> = sync.mappings.clone();
        if fields.is_empty() {
            fields = model.key.iter().map(|column| (column.clone(), column.clone())).collect();
        }
        let members = fields.iter().map(|(to, from)| format!("  {}: {{{{row.{from}}}}}", serde_json::json!(to)));
        let members: Vec<String> = members.chain(["  \"op\": {{op}}".to_owned()]).collect();
        let _ = writeln!(out, "template = {}", block(&format!("{{\n{}\n}}", members.join(",\n"))));
        return;
    }
    let _ = writeln!(out, "preset = \"flat\"");
    if !sync.mappings.is_empty() {
        let _ = writeln!(out, "\n[payload.fields]");
        sync.mappings.iter().for_each(|(to, from)| {
            let _ = writeln!(out, "{} = {}", quoted(to), quoted(from));
        });
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A TOML string of several lines, as it is written; with escapes only where it has to.
fn block(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    match text.contains("'''") || text.ends_with('\'') || !text.chars().all(plain) {
        true => quoted(&text),
        false => format!("'''\n{text}\n'''"),
    }
}

/// A comment of as many lines as it needs.
fn comment(text: &str, out: &mut String) {
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.len() > 1 && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{line}");
            line = "#  ".to_owned();
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(out, "{line}");
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Whether `word` stands in `text`, and not as a part of a longer name.
fn has_word(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
        !before.is_some_and(inside) && !after.is_some_and(inside)
    })
}

/// The name that a job gets of a sync's or model's file: its letters, digits and dashes.
pub fn job_name(of: &str) -> String {
    let name: String = slug_of(of).chars().take(64).collect();
    if name.is_empty() { "hightouch".to_owned() } else { name }
}
