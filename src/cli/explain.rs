//! `nightmark explain JOB KEY…`: what a run would make of one org, and why.

use super::preview::cut;
use super::snapshot::form_text;
use super::table::{shown, table};
use super::{Context, Exit, report};
use crate::job::load::load_job;
use crate::pipeline::{self, Explained, ExplainedColumn, Fate, Position};
use crate::store::RunStore;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Arguments of `nightmark explain`.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// The job's name, or the path of its file
    pub job: String,
    /// The org's key; of a composite key one argument for each column, in the order of diff.key
    #[arg(required = true, allow_negative_numbers = true)]
    pub key: Vec<String>,
}

/// Runs the command. Sends nothing, changes nothing.
///
/// # Errors
/// A key that cannot be one, and whatever would keep a run from being planned.
pub async fn run(context: &Context, args: ExplainArgs) -> anyhow::Result<Exit> {
    let job = Arc::new(load_job(&context.home, &args.job)?);
    let name = job.name.clone();
    context.freshen(&name).await?;
    let store = context.look_into_store().await?;
    let state = store.as_deref().map(|store| store as &dyn RunStore);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let explained = pipeline::explain(job, &context.home, state, &context.clock, threads, args.key).await;
    if let Some(store) = &store {
        store.close().await;
    }
    let explained = match explained {
        Ok(explained) => explained,
        Err(error) => match report::held_by(&name, &error) {
            Some(reasons) => return Ok(held(context, &name, &reasons)),
            None => return Err(error.into()),
        },
    };
    match context.json {
        true => print_json(&explained),
        false => print_text(&explained),
    }
    Ok(Exit::Done)
}

fn held(context: &Context, job: &str, reasons: &[String]) -> Exit {
    if context.json {
        crate::say!("{}", json!({ "job": job, "verdict": "held", "held": reasons }));
    } else {
        crate::say!("{job}: nothing can be said of one org, since a run would be held:");
        reasons.iter().for_each(|reason| crate::say!("  {}", shown(reason)));
    }
    Exit::Held
}

/// What a run would do, in words.
fn verdict(fate: Fate) -> String {
    match fate {
        Fate::Sent(operation) => format!("It would be sent as {}", operation.as_str()),
        Fate::NotSent => "It would not be sent".to_owned(),
        Fate::LeftOut => "It would be left out".to_owned(),
        Fate::Fails => "The run would fail".to_owned(),
    }
}

fn print_text(explained: &Explained) {
    let key: Vec<String> = explained.key.iter().map(|(column, value)| format!("{column} = {}", bare(value))).collect();
    let rows: Vec<String> = explained.rows.iter().map(ToString::to_string).collect();
    let place = match rows.as_slice() {
        [] => "not in the extract".to_owned(),
        [row] => format!("row {row} of the extract"),
        rows => format!("rows {} of the extract", rows.join(", ")),
    };
    crate::say!("{}: {} ({place})", explained.job, shown(&key.join(", ")));
    let mut out = table(&["column", "role", "destination has", "tonight", "differs"]);
    for column in &explained.columns {
        out.add_row([
            shown(&column.name),
            role(column),
            position(&column.destination),
            position(&column.tonight),
            differs(column),
        ]);
    }
    crate::say!("\n{}\n", out.trim_fmt());
    crate::say!("{}: {}.", verdict(explained.fate), shown(&explained.why));
    explained.notes.iter().for_each(|note| crate::say!("note: {}", shown(note)));
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What a column is for and how it is compared.
fn role(column: &ExplainedColumn) -> String {
    match form_text(&column.form) {
        form if form.is_empty() => column.role.to_owned(),
        form => format!("{} ({form})", column.role),
    }
}

fn position(position: &Position) -> String {
    match position {
        Position::Value(None, _) => "NULL".to_owned(),
        Position::Value(Some(text), _) if text.is_empty() => "\"\"".to_owned(),
        Position::Value(Some(text), _) => cut(&shown(text), 60),
        Position::NoOrg => "-".to_owned(),
        Position::NotKept => "(not kept)".to_owned(),
        Position::NotKnown => "(not known)".to_owned(),
        Position::NotRead => "(not read)".to_owned(),
    }
}

fn differs(column: &ExplainedColumn) -> String {
    match (column.differs, column.remark) {
        (Some(true), _) => "YES".to_owned(),
        (Some(false), None) => "no".to_owned(),
        (Some(false), Some(remark)) => format!("no, {remark}"),
        (None, remark) => remark.unwrap_or_default().to_owned(),
    }
}

fn position_json(position: &Position) -> Value {
    let state = match position {
        Position::Value(_, value) => return json!({ "value": value }),
        Position::NoOrg => "no org",
        Position::NotKept => "not kept",
        Position::NotKnown => "not known",
        Position::NotRead => "not read",
    };
    json!({ "absent": state })
}

fn print_json(explained: &Explained) {
    let (verdict, operation) = match explained.fate {
        Fate::Sent(operation) => ("send", Some(operation.as_str())),
        Fate::NotSent => ("do not send", None),
        Fate::LeftOut => ("leave out", None),
        Fate::Fails => ("fail", None),
    };
    let column = |column: &ExplainedColumn| {
        json!({
            "name": column.name,
            "kind": column.kind.to_string(),
            "role": column.role,
            "form": column.form,
            "destination": position_json(&column.destination),
            "tonight": position_json(&column.tonight),
            "differs": column.differs,
            "remark": column.remark,
        })
    };
    crate::say!(
        "{}",
        json!({
            "job": explained.job,
            "key": explained.key.iter().cloned().collect::<Map<String, Value>>(),
            "rows": explained.rows,
            "verdict": verdict,
            "operation": operation,
            "why": explained.why,
            "waiting": explained.waiting,
            "columns": explained.columns.iter().map(column).collect::<Value>(),
            "notes": explained.notes,
        })
    );
}
