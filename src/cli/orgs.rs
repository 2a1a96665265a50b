//! `nightmark orgs`: what the receiver holds.

use super::table::{shown, table};
use super::{Context, Exit};
use crate::store::{OrgRecord, StateStore, TrialStatus};
use anyhow::bail;
use chrono::SecondsFormat;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Arguments of `nightmark orgs`.
#[derive(Debug, Args)]
pub struct OrgsArgs {
    #[command(subcommand)]
    command: Option<OrgsCommand>,
}

#[derive(Debug, Subcommand)]
enum OrgsCommand {
    /// List orgs in the order of their ids
    List {
        /// At most so many
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
        /// Only those behind this id, which need not exist
        #[arg(long, value_name = "ID")]
        after: Option<String>,
    },
    /// Show one org
    Show {
        /// Its product org id, exactly (case-sensitive)
        id: String,
    },
}

/// Runs the command.
///
/// # Errors
/// A state store that cannot be read, or an id that no org has.
pub async fn run(context: &Context, args: OrgsArgs) -> anyhow::Result<Exit> {
    let store = context.look_into_store().await?;
    match args.command.unwrap_or(OrgsCommand::List { limit: 50, after: None }) {
        OrgsCommand::List { limit, after } => list(context, store.as_deref(), after.as_deref(), limit).await?,
        OrgsCommand::Show { id } => show(context, store.as_deref(), &id).await?,
    }
    if let Some(store) = store {
        store.close().await;
    }
    Ok(Exit::Done)
}

async fn list(
    context: &Context,
    store: Option<&dyn StateStore>,
    after: Option<&str>,
    limit: u32,
) -> anyhow::Result<()> {
    let orgs = match store {
        Some(store) => store.orgs(after, limit).await?,
        None => Vec::new(),
    };
    if context.json {
        crate::say!("{}", json!(orgs));
    } else if orgs.is_empty() {
        crate::say!("no orgs{}", after.map(|id| format!(" behind {}", shown(id))).unwrap_or_default());
    } else {
        crate::say!("{}", orgs_table(&orgs).trim_fmt());
        if let Some(last) = orgs.last().filter(|_| orgs.len() == limit as usize) {
            crate::say!("there may be more: --after '{}'", shown(&last.product_org_id));
        }
    }
    Ok(())
}

fn orgs_table(orgs: &[OrgRecord]) -> comfy_table::Table {
    let mut out = table(&["product org id", "target id", "name", "plan", "users", "mrr (cents)", "trial", "updated"]);
    for org in orgs {
        let fields = &org.fields;
        let text = |text: &Option<String>| text.as_deref().map(shown).unwrap_or_default();
        let number = |number: Option<i64>| number.map(|n| n.to_string()).unwrap_or_default();
        out.add_row([
            shown(&org.product_org_id),
            org.target_org_id.to_string(),
            text(&fields.name),
            text(&fields.plan_id),
            number(fields.user_count),
            number(fields.mrr),
            fields.trial_status.map(TrialStatus::as_str).unwrap_or_default().to_owned(),
            org.updated_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        ]);
    }
    out
}

async fn show(context: &Context, store: Option<&dyn StateStore>, id: &str) -> anyhow::Result<()> {
    let org = match store {
        Some(store) => store.org(id).await?,
        None => None,
    };
    let Some(org) = org else {
        bail!("there is no org {}; ids are case-sensitive, `nightmark orgs list` shows them", shown(id));
    };
    let org = json!(org);
    if context.json {
        crate::say!("{org}");
    } else if let Value::Object(fields) = org {
        let mut out = table(&["field", "value"]);
        for (name, value) in &fields {
            let value = match value {
                Value::Null => String::new(),
                Value::String(text) => shown(text),
                other => shown(&other.to_string()),
            };
            out.add_row([name.as_str(), &value]);
        }
        crate::say!("{}", out.trim_fmt());
    }
    Ok(())
}
