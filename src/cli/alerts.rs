//! `nightmark alerts`: what is wrong now, and whether the channels work.

use super::serve::alerts::{channels, watch};
use super::table::shown;
use super::{Context, Exit};
use crate::alerts::condition::{self, Condition};
use crate::alerts::message;
use crate::alerts::watch::Jobs;
use crate::job::load::load_all;
use crate::store::AlertRecord;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Arguments of `nightmark alerts`.
#[derive(Debug, Args)]
pub struct AlertsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything that is wrong with jobs now: what happened, what was not sent, what to type; and who was told
    List,
    /// Send a test to each channel of [alerts] in nightmark.toml; exit code 1 if one does not take it
    Test,
}

/// Runs the command.
///
/// # Errors
/// A state store that cannot be read; a test without a channel.
pub async fn run(context: &Context, args: AlertsArgs) -> anyhow::Result<Exit> {
    match args.command {
        Command::List => list(context).await,
        Command::Test => test(context).await,
    }
}

async fn list(context: &Context) -> anyhow::Result<Exit> {
    let store = context.look_into_store().await?;
    let (wrong, alerts) = match &store {
        Some(store) => {
            let found = (watch(context, store, Vec::new()).wrong().await?, store.alerts().await?);
            store.close().await;
            found
        }
        None => {
            let (jobs, problems) = load_all(&context.home);
            let faulty = Jobs::new(jobs, &problems).faulty;
            (faulty.iter().map(|(job, problems)| condition::faulty(job, problems)).collect(), Vec::new())
        }
    };
    let known = |of: &Condition| alerts.iter().find(|alert| alert.job == of.job && alert.kind == of.kind.as_str());
    if context.json {
        crate::say!("{}", wrong.iter().map(|condition| json_of(condition, known(condition))).collect::<Value>());
    } else if wrong.is_empty() && store.is_none() {
        crate::say!("nothing is wrong, and no runs yet in {}", context.home.dir().display());
    } else if wrong.is_empty() {
        crate::say!("nothing is wrong");
    } else {
        wrong.iter().for_each(|condition| print(condition, known(condition)));
    }
    Ok(Exit::Done)
}

fn print(condition: &Condition, alert: Option<&AlertRecord>) {
    let message = message::raised(condition);
    message.text().lines().for_each(|line| crate::say!("{}", shown(line)));
    let told = match alert.filter(|alert| alert.ended_at.is_none()) {
        None => "nobody was told yet: a daemon tells it when it looks next".to_owned(),
        Some(alert) => {
            let since = alert.since.format("%Y-%m-%d %H:%M UTC");
            match alert.told.is_empty() {
                true => format!("found {since}; no channel was told"),
                false => format!("found {since}; told by {}", alert.told.join(", ")),
            }
        }
    };
    crate::say!("{told}\n");
}

fn json_of(condition: &Condition, alert: Option<&AlertRecord>) -> Value {
    let alert = alert.filter(|alert| alert.ended_at.is_none());
    json!({
        "job": condition.job,
        "kind": condition.kind.as_str(),
        "what": condition.what,
        "unsent": condition.unsent,
        "todo": condition.todo,
        "since": alert.map(|alert| alert.since),
        "told": alert.map(|alert| &alert.told),
    })
}

async fn test(context: &Context) -> anyhow::Result<Exit> {
    let channels = channels(context);
    if channels.is_empty() {
        anyhow::bail!(
            "nobody is told anything: nightmark.toml has neither `[alerts] webhook` nor `[alerts.email]`\n    hint: docs/OPERATIONS.md has both, ready to be copied"
        );
    }
    let message = message::test(context.clock.now());
    let mut results = Vec::new();
    for channel in &channels {
        results.push((channel.name(), channel.send(&message).await.err()));
    }
    let is_told = results.iter().all(|(_, error)| error.is_none());
    if context.json {
        let told =
            results.iter().map(|(name, error)| json!({ "channel": name, "ok": error.is_none(), "error": error }));
        crate::say!("{}", told.collect::<Value>());
    } else {
        for (name, error) in &results {
            match error {
                None => crate::say!("{name}: sent; look whether it has arrived"),
                Some(error) => crate::say!("{name}: NOT sent: {}", shown(error)),
            }
        }
    }
    Ok(if is_told { Exit::Done } else { Exit::SomeFailed })
}
