//! `nightmark orgs`: what the receiver holds.

mod columns;
mod export;
mod history;
mod list;

use super::table::shown;
use super::{Context, Exit};
use crate::store::OrgStore;
use anyhow::anyhow;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};

/// Arguments of `nightmark orgs`.
#[derive(Debug, Args)]
pub struct OrgsArgs {
    #[command(subcommand)]
    command: Option<OrgsCommand>,
}

#[derive(Debug, Subcommand)]
enum OrgsCommand {
    /// List orgs in the order of their ids
    List(list::ListArgs),
    /// Show one org
    Show {
        /// Its product org id, exactly (case-sensitive)
        id: String,
    },
    /// Show what changed in one org: when, by which key and request, and what each field was before and after
    History(history::HistoryArgs),
    /// Write all orgs as an extract, which a job can have as its source
    Export(export::ExportArgs),
}

/// Runs the command.
///
/// # Errors
/// A state store that cannot be read, an id that no org has, or a file that cannot be written.
pub async fn run(context: &Context, args: OrgsArgs) -> anyhow::Result<Exit> {
    let opened = context.look_into_store().await?;
    let store = opened.as_deref().map(|store| store as &dyn OrgStore);
    match args.command.unwrap_or_else(|| OrgsCommand::List(list::ListArgs::default())) {
        OrgsCommand::List(args) => list::list(context, store, &args).await?,
        OrgsCommand::Show { id } => list::show(context, store, &id).await?,
        OrgsCommand::History(args) => history::run(context, store, &args).await?,
        OrgsCommand::Export(args) => export::run(context, store, &args).await?,
    }
    if let Some(store) = opened {
        store.close().await;
    }
    Ok(Exit::Done)
}

fn unknown(id: &str) -> anyhow::Error {
    anyhow!("there is no org {}; ids are case-sensitive, `nightmark orgs list` shows them", shown(id))
}

fn seconds(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
