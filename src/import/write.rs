//! The job file, in the order and with the words in which a person would write it.

use super::model::{Model, slug_of};
use super::sql::{self, Tables};
use super::sync::Sync;
use super::toml::{block, comment, has_word, one_line, quoted};
use super::{Notes, Wishes, target};
use std::fmt::Write as _;

/// Columns that the guide names as changing too often to be compared.
const VOLATILE: [&str; 5] = ["last_active_at", "last_login_at", "last_seen_at", "updated_at", "modified_at"];

pub(super) fn job(model: &Model, sync: &Sync, wishes: &Wishes, notes: &mut Notes) -> String {
    let mut body = String::new();
    schedule(sync, notes, &mut body);
    source(model, wishes, notes, &mut body);
    diff(model, sync, wishes, notes, &mut body);
    target::write(model, sync, wishes, notes, &mut body);
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

/// The name that a job gets of a sync's or model's file: its letters, digits and dashes.
pub fn job_name(of: &str) -> String {
    let name: String = slug_of(of).chars().take(64).collect();
    if name.is_empty() { "hightouch".to_owned() } else { name }
}
