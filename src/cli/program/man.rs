//! `nightmark man`: manual pages, made of the same definition as the help.

use crate::cli::{Cli, Exit};
use anyhow::Context as _;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::io;
use std::path::{Path, PathBuf};

/// Arguments of `nightmark man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write the pages of all commands into this folder, instead of printing nightmark(1)
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "The command ran, and some rows were refused, unknown, pending or rejected."),
    ("2", "Nothing could be done; why and what to do is on standard error."),
    ("3", "A guard holds the run: nothing was published or sent."),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("NIGHTMARK_HOME", "The home folder, if --home is not given."),
    ("NIGHTMARK_LOG", "What to log, if --log is not given."),
    ("NIGHTMARK_LOG_FORMAT", "How to log, if --log-format is not given."),
    ("TMPDIR", "Where comparisons that change nothing put aside what does not fit the memory."),
];

const FILES: &[(&str, &str)] = &[
    ("nightmark.toml", "Settings of the daemon. Without it every setting has its default."),
    ("jobs/*.toml", "One job in each file."),
    ("snapshots/JOB/", "What the destination is known to have. Not to be edited."),
    ("nightmark.db", "Runs, receipts, API keys and received orgs, unless [store] names a Postgres database."),
];

/// Prints or writes the pages.
///
/// # Errors
/// A folder that cannot be made or written.
pub fn run(args: &ManArgs) -> anyhow::Result<Exit> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    match &args.dir {
        None => crate::say!("{}", page(command)?.trim_end()),
        Some(dir) => {
            let cannot = || format!("--dir {} cannot be written", dir.display());
            std::fs::create_dir_all(dir).with_context(cannot)?;
            let pages = write_all(command, dir).with_context(cannot)?;
            crate::say!("{pages} pages in {}", dir.display());
        }
    }
    Ok(Exit::Done)
}

/// Writes the page of the command and those of the commands below it, and says how many there are.
fn write_all(command: Command, dir: &Path) -> io::Result<usize> {
    let mut pages = 1;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()).cloned() {
        pages += write_all(below, dir)?;
    }
    let name = Man::new(command.clone()).get_filename();
    std::fs::write(dir.join(name), page(command)?)?;
    Ok(pages)
}

fn page(command: Command) -> io::Result<String> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    // No date: the same program makes the same page on every day.
    let title = concat!("\"1\" \"\" \"nightmark ", env!("CARGO_PKG_VERSION"), "\" \"Nightmark\"");
    let mut text = format!(".TH \"{name}\" {title}\n").into_bytes();
    let has_commands = command.has_subcommands();
    let man = Man::new(command);
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if has_commands {
        man.render_subcommands_section(&mut text)?;
    }
    let mut roff = Roff::new();
    list(&mut roff, "EXIT STATUS", EXIT_STATUS);
    if name == "nightmark" {
        list(&mut roff, "ENVIRONMENT", ENVIRONMENT);
        list(&mut roff, "FILES", FILES);
    } else {
        roff.control("SH", ["SEE ALSO"]).text([bold("nightmark"), roman("(1)")]);
    }
    roff.to_writer(&mut text)?;
    Ok(tidied(&String::from_utf8_lossy(&text)))
}

/// Each section comes with the same two definitions before it, and an empty line as two ends of a line, which mandoc warns of.
fn tidied(text: &str) -> String {
    let is_definition = |line: &&str| line.starts_with(".ie \\n(.g") || line.starts_with(".el .ds Aq");
    let definitions: Vec<&str> = text.lines().filter(is_definition).take(2).collect();
    let rest: Vec<&str> = text.lines().filter(|line| !is_definition(line)).collect();
    let rest = rest.join("\n").replace("\n.br\n\n.br\n", "\n.sp\n");
    format!("{}\n{rest}\n", definitions.join("\n"))
}

fn list(roff: &mut Roff, heading: &str, of: &[(&str, &str)]) {
    roff.control("SH", [heading]);
    for (name, words) in of {
        roff.control("TP", []).text([bold(*name)]).text([roman(*words)]);
    }
}
