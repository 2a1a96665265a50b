//! `nightmark import hightouch MODEL SYNC`: a job file from a Hightouch model and sync.

use super::{Context, Exit};
use crate::import::{self, Imported, Wishes};
use crate::job;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Arguments of `nightmark import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(subcommand)]
    command: ImportCommand,
}

#[derive(Debug, Subcommand)]
enum ImportCommand {
    /// A model and a sync as Hightouch's Git Sync writes them
    Hightouch(HightouchArgs),
}

#[derive(Debug, Args)]
struct HightouchArgs {
    /// The model, such as models/workspaces.yaml
    model: PathBuf,
    /// The sync, such as syncs/workspaces-to-trailspark.yaml
    sync: PathBuf,
    /// The destination as the REST API answers it: base URL and headers, which Git Sync does not keep
    #[arg(long, value_name = "FILE")]
    destination: Option<PathBuf>,
    /// The destination's base URL, such as https://acme.trailspark.ai
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The file or glob that rows come from: an extract of the table that the model reads
    #[arg(long, value_name = "FILE|GLOB")]
    source: Option<String>,
    /// The extract is what the model's SQL yields: it is not run again
    #[arg(long)]
    result: bool,
    /// The destination has the present state: the first run takes it as known and sends nothing
    #[arg(long)]
    adopt: bool,
    /// The job file to write; `-`: standard output [default: jobs/SYNC.toml]
    #[arg(long, value_name = "FILE")]
    out: Option<String>,
    /// Write over a job file that is there
    #[arg(long)]
    force: bool,
}

/// Runs the command. What could not be carried over is told on stderr, and stands in the job file.
///
/// # Errors
/// Files that cannot be read or written, or of which no job can be made.
pub async fn run(context: &Context, args: ImportArgs) -> anyhow::Result<Exit> {
    let ImportCommand::Hightouch(args) = args.command;
    let (out, name) = target(context, &args);
    let wishes =
        Wishes { name, source: args.source, base_url: args.base_url, is_result: args.result, adopts: args.adopt };
    let model = import::parse("model", &read(&args.model)?)?;
    let sync = import::parse("sync", &read(&args.sync)?)?;
    let destination =
        args.destination.map(|file| anyhow::Ok(import::parse("destination", &read(&file)?)?)).transpose()?;
    let imported = import::hightouch(model, sync, destination, &wishes)?;
    let problems = problems(context, &imported.text, &out);
    match &out {
        Some(file) => write(file, &imported.text, args.force)?,
        None if context.json => {}
        None => crate::say!("{}", imported.text.trim_end()),
    }
    tell(&imported, &problems);
    match (context.json, &out) {
        (true, out) => print_json(&wishes.name, out.as_deref(), &imported, &problems),
        (false, Some(file)) => {
            crate::say!("wrote {}", file.display());
            crate::say!("Next: nightmark check {0}, then nightmark preview {0}", wishes.name);
        }
        (false, None) => {}
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::SomeFailed })
}

/// Where the job goes (`None`: to stdout), and its name: that of its file.
fn target(context: &Context, args: &HightouchArgs) -> (Option<PathBuf>, String) {
    let stem = |path: &Path| import::job_name(&path.file_stem().unwrap_or_default().to_string_lossy());
    match args.out.as_deref() {
        Some("-") => (None, stem(&args.sync)),
        Some(file) => (Some(PathBuf::from(file)), stem(Path::new(file))),
        None => {
            let name = stem(&args.sync);
            (Some(context.home.jobs().join(format!("{name}.toml"))), name)
        }
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

fn write(file: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let cannot = || format!("{} cannot be written", file.display());
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(cannot)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    match options.open(file) {
        Ok(mut opened) => opened.write_all(text.as_bytes()).with_context(cannot),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} is there already; give another with --out, or --force to write over it", file.display())
        }
        Err(error) => Err(error).with_context(cannot),
    }
}

/// What `check` would say about the file, without its extract.
fn problems(context: &Context, text: &str, out: &Option<PathBuf>) -> Vec<String> {
    let shown = out.as_deref().unwrap_or(Path::new("the job file"));
    let shown = shown.strip_prefix(context.home.dir()).unwrap_or(shown);
    let problems = job::parse(text, shown, context.home.dir()).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

fn tell(imported: &Imported, problems: &[String]) {
    for (heading, lines) in imported.notes.sections() {
        eprintln!("{heading}:");
        lines.iter().for_each(|line| eprintln!("  - {}", super::table::shown(line)));
    }
    if !problems.is_empty() {
        eprintln!("The job file is not valid yet:");
        problems.iter().for_each(|problem| eprintln!("  {problem}"));
    }
}

fn print_json(name: &str, out: Option<&Path>, imported: &Imported, problems: &[String]) {
    let environment = imported.notes.environment.iter().map(|(name, what)| json!({ "name": name, "what": what }));
    crate::say!(
        "{}",
        json!({
            "job": name,
            "file": out.map(|file| file.display().to_string()),
            "text": if out.is_none() { Value::from(imported.text.as_str()) } else { Value::Null },
            "environment": environment.collect::<Value>(),
            "todo": imported.notes.todo,
            "changed": imported.notes.changed,
            "lost": imported.notes.lost,
            "problems": problems,
        })
    );
}
