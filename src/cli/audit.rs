//! `nightmark audit`, and what commands put there.

use super::table::{shown, table};
use super::{Command, Context, Exit};
use crate::store::AuditRecord;
use chrono::SubsecRound as _;
use clap::Args;
use serde_json::json;

/// Arguments of `nightmark audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Show at most so many entries
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Shows who did what, the newest first.
///
/// # Errors
/// A state store that cannot be read.
pub async fn run(context: &Context, args: AuditArgs) -> anyhow::Result<Exit> {
    let entries = match context.look_into_store().await? {
        Some(store) => {
            let entries = store.audit(None, args.limit).await;
            store.close().await;
            entries?
        }
        None => Vec::new(),
    };
    if context.json {
        crate::say!("{}", json!(entries));
        return Ok(Exit::Done);
    }
    if entries.is_empty() {
        crate::say!("nothing yet");
        return Ok(Exit::Done);
    }
    let mut out = table(&["at (UTC)", "who", "via", "action", "with", "outcome", "detail"]);
    for entry in &entries {
        let optional = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), shown);
        out.add_row([
            entry.at.format("%Y-%m-%d %H:%M:%S").to_string(),
            shown(&entry.who),
            entry.via.clone(),
            entry.action.clone(),
            optional(&entry.subject),
            entry.outcome.clone().unwrap_or_else(|| "begun".to_owned()),
            optional(&entry.detail),
        ]);
    }
    crate::say!("{out}");
    Ok(Exit::Done)
}

/// What a command is that decides something or gives somebody access.
pub(super) struct Deed {
    action: &'static str,
    subject: Option<String>,
    who: String,
    detail: Option<String>,
    /// What came to nothing is not put down.
    only_done: bool,
}

impl Deed {
    /// `None`: it only looks, makes files, or does what the daemon does by itself. A command that is new has to be put on one side.
    pub(super) fn of(command: &Command) -> Option<Self> {
        let (action, subject) = match command {
            Command::Run(args) => ("run", Some(args.job.clone())),
            Command::Approve(args) => ("approve", Some(args.of.clone())),
            Command::Discard(args) => ("discard", Some(args.of.clone())),
            Command::Retry(args) => ("retry", Some(args.job.clone())),
            Command::Adopt(args) => ("adopt", Some(args.job.clone())),
            Command::Rollback(args) if !args.dry_run => ("rollback", Some(args.job.clone())),
            Command::Backfill(args) if !args.dry_run && !args.status => ("backfill", Some(args.job.clone())),
            Command::DeadLetters(args) => args.audited()?,
            Command::Destinations(args) => args.audited()?,
            Command::Schema(args) => args.audited()?,
            Command::Keys(args) => args.audited()?,
            Command::Tokens(args) => args.audited()?,
            Command::State(args) => args.audited()?,
            Command::Rollback(_)
            | Command::Backfill(_)
            | Command::Demo(_)
            | Command::Check(_)
            | Command::Preview(_)
            | Command::Runs(_)
            | Command::Doctor(_)
            | Command::Alerts(_)
            | Command::Explain(_)
            | Command::Snapshot(_)
            | Command::Schedule(_)
            | Command::Leases(_)
            | Command::Tidy
            | Command::Serve(_)
            | Command::Health(_)
            | Command::Audit(_)
            | Command::Orgs(_)
            | Command::Init(_)
            | Command::Import(_)
            | Command::Template(_) => return None,
        };
        let (by, detail) = match command {
            Command::Approve(args) | Command::Discard(args) => (args.by.as_deref(), None),
            Command::Adopt(args) => (args.by.as_deref(), args.replace.then(|| "--replace".to_owned())),
            Command::Rollback(args) => (args.by.as_deref(), Some(format!("--to {}", args.to))),
            Command::Backfill(args) => (args.by.as_deref(), step(args)),
            Command::Run(args) if args.approve => (None, Some("--approve".to_owned())),
            _ => (None, None),
        };
        // What is taken in goes into a store that has nothing, not even a line of this log: one that was refused must not keep the next out.
        let only_done = matches!(command, Command::State(_));
        Some(Deed { action, subject, who: who(by), detail, only_done })
    }

    /// Puts it down. Where there is no state, nothing was done; what cannot be put down is logged: it is done by now.
    pub(super) async fn record(self, context: &Context, outcome: &anyhow::Result<Exit>) {
        if self.only_done && outcome.is_err() {
            return;
        }
        if !matches!(context.look_into_store().await.map(|store| store.is_some()), Ok(true)) {
            return;
        }
        let (outcome, detail) = match outcome {
            Ok(Exit::Held) => ("done", Some("a guard holds it".to_owned())),
            Ok(_) => ("done", self.detail),
            Err(error) => ("refused", Some(super::out::error_text(error))),
        };
        let entry = AuditRecord {
            id: context.clock.run_id(),
            at: context.clock.now().trunc_subsecs(6),
            who: self.who,
            via: "command line".to_owned(),
            action: self.action.to_owned(),
            subject: self.subject,
            outcome: Some(outcome.to_owned()),
            detail,
        };
        let written = async {
            let store = context.store().await?;
            let put = store.put_audit(&entry).await;
            store.close().await;
            anyhow::Ok(put?)
        };
        if let Err(error) = written.await {
            tracing::warn!(event = "audit_not_written", %error, action = self.action, "a command is not in the audit log");
        }
    }
}

/// What a backfill is told, besides to begin.
fn step(args: &super::backfill::BackfillArgs) -> Option<String> {
    let steps = [(args.resume, "--resume"), (args.pause, "--pause"), (args.cancel, "--cancel")];
    steps.iter().find(|(is_told, _)| *is_told).map(|(_, step)| (*step).to_owned())
}

/// Who types: the one that is named, or else the user of this process.
pub(super) fn who(by: Option<&str>) -> String {
    let user = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "somebody".to_owned());
    let by = by.map(str::trim).filter(|by| !by.is_empty()).map_or_else(user, str::to_owned);
    shown(&by)
}

#[cfg(test)]
mod tests;
