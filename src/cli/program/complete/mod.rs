//! `nightmark completions`, and the answers that shells ask the program for while somebody types.
//!
//! What a shell is given is a few lines that call this very program, so that they know the jobs of the home folder and never lag behind an
//! upgrade. (clap_complete's way to do the same is not of its stable interface.)

mod candidates;

use crate::cli::{Cli, Exit};
use crate::config::Home;
use crate::job::load;
use candidates::Candidate;
use clap::{CommandFactory, ValueEnum};
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Names the shell that asks. Whoever types commands has no business with it.
const ASKED_BY: &str = "_NIGHTMARK_COMPLETE";

/// Arguments of `nightmark completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// Shells that are tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// `source <(nightmark completions bash)`
    Bash,
    /// `nightmark completions fish | source`
    Fish,
    /// `source <(nightmark completions zsh)`
    Zsh,
}

impl Shell {
    /// What the shell is to read.
    fn script(self) -> &'static str {
        match self {
            Shell::Bash => include_str!("nightmark.bash"),
            Shell::Fish => include_str!("nightmark.fish"),
            Shell::Zsh => include_str!("nightmark.zsh"),
        }
    }

    /// A candidate as the shell's script takes it, a line for each.
    fn line(self, candidate: &Candidate) -> String {
        let Candidate { value, about } = candidate;
        match self {
            Shell::Fish if !about.is_empty() => format!("{value}\t{about}"),
            Shell::Zsh => format!("{}:{about}", value.replace(':', "\\:")),
            _ => value.clone(),
        }
    }
}

/// Prints what the shell is to read. It calls `nightmark` of the `PATH`.
pub fn run(args: &CompletionsArgs) -> Exit {
    crate::say!("{}", args.shell.script().trim_end());
    Exit::Done
}

/// Answers a shell, if it is one that has started this process.
pub fn answered() -> bool {
    let by = std::env::var(ASKED_BY).unwrap_or_default();
    let Ok(shell) = Shell::from_str(&by, false) else { return false };
    // The line as it stands up to the cursor: the shell gives its words behind `--`.
    let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let mut command = Cli::command();
    command.build();
    let mut answer = String::new();
    for candidate in candidates::candidates(&command, &words, || jobs(&words)) {
        // A control character would be another line, or worse on a terminal.
        if !candidate.value.contains(char::is_control) {
            let _ = writeln!(answer, "{}", shell.line(&candidate));
        }
    }
    if !answer.is_empty() {
        crate::say!("{}", answer.trim_end());
    }
    true
}

/// The jobs of the home folder. One that cannot be read has none to choose from; the command itself says why.
fn jobs(words: &[OsString]) -> Vec<String> {
    let home = Home::new(&home(words));
    home.ok().and_then(|home| load::names(&home).ok()).unwrap_or_default()
}

/// `--home` of the line so far, else of the environment. Bash makes three words of `--home=DIR`.
fn home(words: &[OsString]) -> PathBuf {
    let at = words.iter().rposition(|word| word == "--home");
    let after = at.and_then(|at| words[at + 1..].iter().find(|word| *word != "="));
    let joined = words.iter().rev().find_map(|word| Some(OsString::from(word.to_str()?.strip_prefix("--home=")?)));
    let given = after.cloned().or(joined).filter(|dir| !dir.is_empty());
    let given = given.or_else(|| std::env::var_os("NIGHTMARK_HOME")).unwrap_or_else(|| ".".into());
    // The shell has not yet put the user's folder in its place.
    match (Path::new(&given).strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(user)) => Path::new(&user).join(rest),
        _ => given.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_folder_of_the_line_counts() {
        let home = |words: &[&str]| home(&words.iter().map(OsString::from).collect::<Vec<_>>());
        for line in [
            &["nightmark", "--home", "/a", "run", ""][..],
            &["nightmark", "run", "--home=/a", ""],
            &["nightmark", "--home", "=", "/a", "run", ""],
            &["nightmark", "--home", "/b", "run", "--home", "/a", ""],
        ] {
            assert_eq!(home(line), Path::new("/a"), "{line:?}");
        }
        let in_users = home(&["nightmark", "--home", "~/n", "run", ""]);
        assert!(in_users.ends_with("n") && !in_users.starts_with("~"), "{in_users:?}");
    }
}
