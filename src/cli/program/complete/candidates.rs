//! What may stand at the end of a line. Pure: the definition of the command line and the words so far in, candidates out.

use clap::{Arg, Command};
use std::ffi::OsString;

/// One word that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The word, whole.
    pub value: String,
    /// A few words on it, or none.
    pub about: String,
}

/// What fits for the last of `words`, the first of which is the program. None: what stands there is a file's path or free text.
pub fn candidates(command: &Command, words: &[OsString], jobs: impl Fn() -> Vec<String>) -> Vec<Candidate> {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let Some((current, before)) = words.split_last() else { return Vec::new() };
    let line = Line::read(command, before.get(1..).unwrap_or_default());
    let values = |arg: &Arg, start: &str| fitting(values(arg, &jobs), start);
    // Bash has a word of its own for the `=` between an option and its value.
    let current = if current == "=" { "" } else { current };
    if let Some(arg) = line.expects {
        return values(arg, current);
    }
    if let Some((name, start)) = current.split_once('=').filter(|_| current.starts_with("--") && !line.ended) {
        let found = option(line.command, name).map(|arg| values(arg, start)).unwrap_or_default();
        return found.into_iter().map(|of| Candidate { value: format!("{name}={}", of.value), ..of }).collect();
    }
    if current.starts_with('-') && !line.ended {
        return fitting(options(line.command), current);
    }
    let mut found = if line.positionals == 0 { fitting(commands(line.command), current) } else { Vec::new() };
    found.extend(line.positional().into_iter().flat_map(|arg| values(arg, current)));
    found
}

/// Where the words before the cursor lead.
struct Line<'a> {
    /// The command that they name.
    command: &'a Command,
    /// Its arguments without a name so far.
    positionals: usize,
    /// The option whose value comes next.
    expects: Option<&'a Arg>,
    /// After `--` there are no more options.
    ended: bool,
}

impl<'a> Line<'a> {
    fn read(command: &'a Command, words: &[String]) -> Self {
        let mut line = Line { command, positionals: 0, expects: None, ended: false };
        for word in words {
            line.take(word);
        }
        line
    }

    fn take(&mut self, word: &str) {
        if self.expects.is_some() {
            if word != "=" {
                self.expects = None;
            }
        } else if word == "--" {
            self.ended = true;
        } else if word.starts_with("--") && !self.ended {
            self.expects = option(self.command, word).filter(|arg| arg.get_action().takes_values());
        } else if word.len() > 1 && word.starts_with('-') && !self.ended {
            // Of several letters the last may want a value.
            let last = word.chars().next_back();
            let arg = self.command.get_opts().find(|arg| arg.get_short() == last);
            self.expects = arg.filter(|arg| arg.get_action().takes_values());
        } else if let Some(below) = self.command.find_subcommand(word).filter(|_| self.positionals == 0) {
            self.command = below;
        } else {
            self.positionals += 1;
        }
    }

    /// The argument without a name whose turn it is; of the last there may be many.
    fn positional(&self) -> Option<&'a Arg> {
        let mut all = self.command.get_positionals();
        let last = self.command.get_positionals().last();
        let takes_many = |arg: &&Arg| arg.get_num_args().is_some_and(|range| range.max_values() > 1);
        all.nth(self.positionals).or_else(|| last.filter(takes_many)).or_else(|| last.filter(is_repeated))
    }
}

fn is_repeated(arg: &&Arg) -> bool {
    matches!(arg.get_action(), clap::ArgAction::Append)
}

/// `--name` by its whole name.
fn option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let name = word.strip_prefix("--")?;
    command.get_opts().find(|arg| arg.get_long_and_visible_aliases().is_some_and(|names| names.contains(&name)))
}

fn commands(command: &Command) -> Vec<Candidate> {
    let shown = command.get_subcommands().filter(|below| !below.is_hide_set());
    shown.map(|below| candidate(below.get_name(), below.get_about().map(ToString::to_string))).collect()
}

fn options(command: &Command) -> Vec<Candidate> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let named = shown.filter_map(|arg| Some((arg.get_long()?, arg.get_help())));
    named.map(|(name, help)| candidate(&format!("--{name}"), help.map(ToString::to_string))).collect()
}

fn values(arg: &Arg, jobs: impl Fn() -> Vec<String>) -> Vec<Candidate> {
    if is_job(arg) {
        return jobs().iter().map(|job| candidate(job, None)).collect();
    }
    let possible = arg.get_possible_values();
    let shown = possible.iter().filter(|value| !value.is_hide_set());
    shown.map(|value| candidate(value.get_name(), value.get_help().map(ToString::to_string))).collect()
}

/// `JOB`, `JOB|RUN`, `RUN|JOB`: told by the name that people read in the help.
fn is_job(arg: &Arg) -> bool {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().any(|name| name.split('|').any(|word| matches!(word, "JOB" | "JOBS")))
}

fn candidate(value: &str, about: Option<String>) -> Candidate {
    let about = about.unwrap_or_default();
    Candidate { value: value.to_owned(), about: about.lines().next().unwrap_or_default().to_owned() }
}

fn fitting(all: Vec<Candidate>, start: &str) -> Vec<Candidate> {
    all.into_iter().filter(|candidate| candidate.value.starts_with(start)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    fn command() -> Command {
        let mut command = Cli::command();
        command.build();
        command
    }

    #[track_caller]
    fn check(line: &[&str], expected: &[&str]) {
        let words: Vec<OsString> = std::iter::once(&"nightmark").chain(line).map(OsString::from).collect();
        let found = candidates(&command(), &words, || vec!["orgs".to_owned(), "others".to_owned()]);
        let found: Vec<String> = found.into_iter().map(|candidate| candidate.value).collect();
        assert_eq!(found, expected, "{line:?}");
    }

    #[test]
    fn what_fits_is_found() {
        let jobs = ["orgs", "others"];
        check(&["appr"], &["approve"]);
        check(&["--home", "run", "appr"], &["approve"]);
        check(&["--home=x", "--json", "appr"], &["approve"]);
        check(&["run", "o"], &jobs);
        check(&["run", "--no-send", "or"], &["orgs"]);
        check(&["run", "orgs", "o"], &[]);
        check(&["run", "--", "--o"], &[]);
        check(&["run", "--", "o"], &jobs);
        check(&["check", "orgs", "ot"], &["others"]);
        check(&["runs", "s"], &["show"]);
        check(&["runs", "show", "o"], &jobs);
        check(&["dead-letters", "retry", "orgs", "o"], &[]);
        check(&["schedule", "-n", "o"], &[]);
        check(&["schedule", "-n", "3", "or"], &["orgs"]);
        check(&["--log-format", ""], &["text", "json"]);
        check(&["--log-format", "=", "j"], &["json"]);
        check(&["--log-format", "="], &["text", "json"]);
        check(&["--log-format=j"], &["--log-format=json"]);
        check(&["run", "--no-s"], &["--no-send"]);
        check(&["run", "--nothing=", ""], &jobs);
        check(&["serve", "--ready-file", ""], &[]);
        check(&["nonsense", "o"], &[]);
        assert_eq!(candidates(&command(), &[], Vec::new), []);
    }

    /// Each command's arguments by the names that the help shows.
    fn names(command: &Command, out: &mut Vec<(String, bool)>) {
        out.extend(command.get_positionals().map(|arg| (format!("{} {arg}", command.get_name()), is_job(arg))));
        command.get_subcommands().for_each(|command| names(command, out));
    }

    #[test]
    fn whatever_is_called_a_job_is_completed() {
        let mut found = Vec::new();
        names(&command(), &mut found);
        assert!(found.iter().filter(|(_, is_job)| *is_job).count() >= 15, "{found:?}");
        for (arg, is_job) in &found {
            assert_eq!(*is_job, arg.contains("JOB"), "{arg}");
        }
    }
}
