//! `nightmark orgs list` and `show`.

use super::super::Context;
use super::super::table::{shown, table};
use super::{seconds, unknown};
use crate::store::{OrgRecord, OrgStore, TrialStatus};
use clap::Args;
use serde_json::{Value, json};

/// Arguments of `nightmark orgs list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
    /// Only those behind this id, which need not exist
    #[arg(long, value_name = "ID")]
    after: Option<String>,
}

impl Default for ListArgs {
    fn default() -> Self {
        ListArgs { limit: 50, after: None }
    }
}

pub(super) async fn list(context: &Context, store: Option<&dyn OrgStore>, args: &ListArgs) -> anyhow::Result<()> {
    let after = args.after.as_deref();
    let orgs = match store {
        Some(store) => store.orgs(after, args.limit).await?,
        None => Vec::new(),
    };
    if context.json {
        crate::say!("{}", json!(orgs));
    } else if orgs.is_empty() {
        crate::say!("no orgs{}", after.map(|id| format!(" behind {}", shown(id))).unwrap_or_default());
    } else {
        crate::say!("{}", orgs_table(&orgs).trim_fmt());
        if let Some(last) = orgs.last().filter(|_| orgs.len() == args.limit as usize) {
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
            seconds(org.updated_at),
        ]);
    }
    out
}

pub(super) async fn show(context: &Context, store: Option<&dyn OrgStore>, id: &str) -> anyhow::Result<()> {
    let org = match store {
        Some(store) => store.org(id).await?,
        None => None,
    };
    let org = json!(org.ok_or_else(|| unknown(id))?);
    if context.json {
        crate::say!("{org}");
    } else if let Value::Object(fields) = org {
        let mut out = table(&["field", "value"]);
        for (name, value) in &fields {
            out.add_row([name.as_str(), &value_text(value)]);
        }
        crate::say!("{}", out.trim_fmt());
    }
    Ok(())
}

/// A value for people; nothing where there is none.
pub(super) fn value_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => shown(text),
        other => shown(&other.to_string()),
    }
}
