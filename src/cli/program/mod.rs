//! Commands about the program itself: they need no home folder and no settings.

pub mod complete;
pub mod man;

use super::Exit;
use clap::Subcommand;

/// What can be asked of the program wherever it is.
#[derive(Debug, Subcommand)]
pub enum ProgramCommand {
    /// Print what a shell needs to complete commands, options and names of jobs
    Completions(complete::CompletionsArgs),
    /// Print the manual page, or write the pages of all commands
    Man(man::ManArgs),
}

/// Runs the command.
///
/// # Errors
/// A folder that cannot be written.
pub fn run(command: &ProgramCommand) -> anyhow::Result<Exit> {
    match command {
        ProgramCommand::Completions(args) => Ok(complete::run(args)),
        ProgramCommand::Man(args) => man::run(args),
    }
}
