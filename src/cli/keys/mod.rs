//! `nightmark keys`: the receiver's API keys.

mod change;
mod create;
mod list;
pub(in crate::cli) mod time;

use super::{Context, Exit};
use clap::{Args, Subcommand};

/// Arguments of `nightmark keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: Option<KeysCommand>,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make a key; its text is shown this once
    Create(create::CreateArgs),
    /// List the keys, without their texts
    List,
    /// Give a key another text; the one that it has stays valid for a while
    Rotate(change::RotateArgs),
    /// Revoke a key at once and for good
    Revoke(change::RevokeArgs),
}

impl KeysArgs {
    /// What of it goes into the audit log.
    pub(super) fn audited(&self) -> Option<(&'static str, Option<String>)> {
        match self.command.as_ref()? {
            KeysCommand::Create(args) => Some(("keys create", Some(args.name.clone()))),
            KeysCommand::Rotate(args) => Some(("keys rotate", Some(args.id.clone()))),
            KeysCommand::Revoke(args) => Some(("keys revoke", Some(args.id.clone()))),
            KeysCommand::List => None,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// A state store that fails, a key that cannot be made or changed as asked, or an id that no key has.
pub async fn run(context: &Context, args: KeysArgs) -> anyhow::Result<Exit> {
    match args.command.unwrap_or(KeysCommand::List) {
        KeysCommand::Create(args) => create::run(context, args).await?,
        KeysCommand::List => list::run(context).await?,
        KeysCommand::Rotate(args) => change::rotate(context, args).await?,
        KeysCommand::Revoke(args) => change::revoke(context, args).await?,
    }
    Ok(Exit::Done)
}
