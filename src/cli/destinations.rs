//! `nightmark destinations`: those that take nothing, and how to put them back into service.

use super::table::{shown, table};
use super::{Context, Exit};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::json;

/// Arguments of `nightmark destinations`.
#[derive(Debug, Args)]
pub struct DestinationsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the destinations that are paused (until a time that they asked for, or the next run tries again) or disabled
    /// (nothing is sent), and why
    List,
    /// Put a job's destination back into service
    Enable {
        /// The job's name
        job: String,
    },
}

impl DestinationsArgs {
    /// What of it goes into the audit log.
    pub(super) fn audited(&self) -> Option<(&'static str, Option<String>)> {
        match &self.command {
            Command::Enable { job } => Some(("destinations enable", Some(job.clone()))),
            Command::List => None,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// A state store that cannot be read or written.
pub async fn run(context: &Context, args: DestinationsArgs) -> anyhow::Result<Exit> {
    match args.command {
        Command::List => list(context).await,
        Command::Enable { job } => {
            let store = context.store().await?;
            let was_out = store.clear_destination(&job).await?;
            store.close().await;
            match (context.json, was_out) {
                (true, _) => crate::say!("{}", json!({ "job": job, "enabled": was_out })),
                (false, true) => {
                    crate::say!("enabled: `nightmark retry {job}` sends what is left, or the next run does")
                }
                (false, false) => crate::say!("the destination of job `{job}` was in service"),
            }
            Ok(Exit::Done)
        }
    }
}

async fn list(context: &Context) -> anyhow::Result<Exit> {
    let records = match context.look_into_store().await? {
        Some(store) => {
            let mut records = store.destinations().await?;
            store.close().await;
            records.retain(|record| !record.is_over(context.clock.now()));
            records
        }
        None => Vec::new(),
    };
    if context.json {
        crate::say!("{}", json!(records));
    } else if records.is_empty() {
        crate::say!("every destination is in service");
    } else {
        let mut out = table(&["job", "state", "since", "until", "address"]);
        for record in &records {
            let state = json!(record.state).as_str().unwrap_or_default().to_owned();
            let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S").to_string();
            let until = record.paused_until.map_or_else(|| "-".to_owned(), time);
            out.add_row([record.job.clone(), state, time(record.since), until, shown(&record.address)]);
        }
        crate::say!("{out}");
        for record in &records {
            crate::say!("{}: {}\n  what to do: {}", record.job, shown(&record.reason), record.remedy);
        }
    }
    Ok(Exit::Done)
}
