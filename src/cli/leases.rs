//! `nightmark leases`: which process has which job, and which daemon of a fleet schedules.

use super::table::{shown, table};
use super::{Context, Exit};
use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::json;

/// Arguments of `nightmark leases`.
#[derive(Debug, Args)]
pub struct LeasesArgs {}

/// Runs the command.
///
/// # Errors
/// A state store that cannot be read, or that is on one machine alone.
pub async fn run(context: &Context, _: LeasesArgs) -> anyhow::Result<Exit> {
    let records = match context.look_into_store().await? {
        Some(store) => {
            let leases = store.leases();
            anyhow::ensure!(
                leases.is_some(),
                "the state store is a file on this machine, and who runs a job has its lock there (snapshots/JOB/lock, daemon.lock); leases are for \
                 machines that share a Postgres database ([store] url)"
            );
            let records = match leases {
                Some(leases) => leases.leases().await?,
                None => Vec::new(),
            };
            store.close().await;
            records
        }
        None => Vec::new(),
    };
    if context.json {
        crate::say!("{}", json!(records));
    } else if records.is_empty() {
        crate::say!("no job is being run, and no fleet schedules");
    } else {
        let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S").to_string();
        let mut out = table(&["lease", "process", "place", "since", "until"]);
        for record in &records {
            let (taken, until) = (time(record.taken_at), time(record.until));
            out.add_row([shown(&record.name), shown(&record.what), shown(&record.holder), taken, until]);
        }
        crate::say!("{out}");
    }
    Ok(Exit::Done)
}
