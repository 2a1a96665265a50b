//! `nightmark keys`: the receiver's API keys.

mod change;
mod create;
mod list;
mod time;

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
