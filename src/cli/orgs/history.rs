//! `nightmark orgs history`

use super::super::Context;
use super::super::table::{shown, table};
use super::list::value_text;
use super::{seconds, unknown};
use crate::store::{OrgChange, OrgStore};
use clap::Args;
use serde_json::json;

/// Arguments of `nightmark orgs history`.
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// Its product org id, exactly (case-sensitive)
    id: String,
    /// At most so many changes
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
    /// Only those behind this number
    #[arg(long, value_name = "NUMBER")]
    after: Option<i64>,
}

pub(super) async fn run(context: &Context, store: Option<&dyn OrgStore>, args: &HistoryArgs) -> anyhow::Result<()> {
    let store = store.ok_or_else(|| unknown(&args.id))?;
    let changes = store.history(&args.id, args.after, args.limit).await?;
    // An org that was received before there was a history has none yet.
    if changes.is_empty() && store.org(&args.id).await?.is_none() {
        return Err(unknown(&args.id));
    }
    if context.json {
        crate::say!("{}", json!(changes));
    } else if changes.is_empty() {
        crate::say!("no changes{}", args.after.map(|after| format!(" behind number {after}")).unwrap_or_default());
    } else {
        crate::say!("{}", changes_table(&changes).trim_fmt());
        if let Some(last) = changes.last().filter(|_| changes.len() == args.limit as usize) {
            crate::say!("there may be more: --after {}", last.number);
        }
    }
    Ok(())
}

/// A line for each field; what goes for the whole change stands on its first.
fn changes_table(changes: &[OrgChange]) -> comfy_table::Table {
    let mut out = table(&["number", "received", "happened", "key", "request", "field", "before", "after"]);
    for change in changes {
        let mut head = [
            change.number.to_string(),
            seconds(change.at),
            change.event_at.map(seconds).unwrap_or_default(),
            shown(&change.key_id),
            shown(&change.request_id),
        ];
        if change.fields.is_empty() {
            out.add_row(head.iter().map(String::as_str).chain(["(no fields)"]));
        }
        for (field, values) in &change.fields {
            let line = [shown(field), value_text(&values["before"]), value_text(&values["after"])];
            out.add_row(head.iter().chain(&line));
            head = Default::default();
        }
    }
    out
}
