//! The command line: raw arguments in, one file per command.
//!
//! In: `std::env::args`. Out: an exit code; results on stdout, everything else on stderr.
//! Always holds: `--json` prints exactly one JSON value on stdout; 0 done, 1 some rows failed, 2 could not run, 3 held.
//! Deliberately absent: any rule of the product; a command reads arguments, calls the module that knows, prints.

pub mod adopt;
pub mod alerts;
pub mod audit;
pub mod backfill;
pub mod check;
pub mod columns;
mod confirm;
pub mod dead_letters;
pub mod decide;
pub mod demo;
pub mod destinations;
pub mod doctor;
pub mod explain;
pub mod first_look;
pub mod health;
pub mod import;
pub mod init;
pub mod keys;
pub mod leases;
pub mod orgs;
pub mod out;
pub mod preview;
pub mod program;
pub mod report;
pub mod resources;
pub mod retry;
pub mod rollback;
pub mod run;
pub mod runs;
pub mod schedule;
pub mod schema;
pub mod serve;
pub mod snapshot;
mod state;
pub mod table;
pub mod template;
pub mod tidy;
pub mod tokens;
pub mod transfer;
mod volatile;

use crate::clock::{Clock, SystemClock};
use crate::config::{Home, LogFormat, Settings};
use crate::telemetry;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::sync::Arc;

/// Nightly org sync without hooks: pull one row per org, compare it with what the destination is known to have, and
/// send one webhook for each org that differs.
#[derive(Debug, Parser)]
#[command(name = "nightmark", version, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    /// The folder with nightmark.toml (optional), jobs/, snapshots/ and, unless [store] says otherwise, nightmark.db
    #[arg(long, global = true, env = "NIGHTMARK_HOME", default_value = ".", value_name = "DIR")]
    pub home: PathBuf,
    /// Print one JSON value instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// What to log on stderr, such as `info`, `debug` or `nightmark::deliver=debug` [default: from nightmark.toml, or warn]
    #[arg(long, global = true, env = "NIGHTMARK_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How to log: for people or for machines [default: from nightmark.toml, or text]
    #[arg(long, global = true, env = "NIGHTMARK_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Asked,
}

#[derive(Debug, Subcommand)]
enum Asked {
    #[command(flatten)]
    OfHome(Command),
    #[command(flatten)]
    OfProgram(program::ProgramCommand),
}

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 some rows failed, 2 could not run, 3 held by a guard.
Start with `nightmark demo`, which needs nothing and sends nothing outside this machine.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Show two nights of a made-up extract against the embedded receiver
    Demo(demo::DemoArgs),
    /// Validate job files, read a sample of the extract, render one payload
    Check(check::CheckArgs),
    /// Show what a run would send; sends nothing, changes nothing
    Preview(preview::PreviewArgs),
    /// Run a job now: extract, compare, publish, send
    Run(run::RunArgs),
    /// Send what a held run has found, exactly as it can be looked at with `preview --held`
    Approve(decide::DecisionArgs),
    /// Give up a held run: nothing of it is sent, the next run compares anew
    Discard(decide::DecisionArgs),
    /// Take tonight's extract for what the destination has, without sending anything
    Adopt(adopt::AdoptArgs),
    /// Return to an earlier snapshot: what the destination was known to have then; sends nothing
    Rollback(rollback::RollbackArgs),
    /// Send orgs once more, all or some, at a rate of their own, while the nights go on
    Backfill(Box<backfill::BackfillArgs>),
    /// Send what the last run of a job has left, without a new extract
    Retry(retry::RetryArgs),
    /// List past runs, or show one
    Runs(runs::RunsArgs),
    /// Rows that the destination keeps refusing: list, show, send again, drop
    DeadLetters(dead_letters::DeadLettersArgs),
    /// Destinations that are paused or disabled: list, enable
    Destinations(destinations::DestinationsArgs),
    /// Look at everything around the jobs: disk, clock, database, drivers, secrets, destinations, rights; say what to mend
    Doctor(doctor::DoctorArgs),
    /// What is wrong with jobs, as people are told of it: list, or send a test to each channel
    Alerts(alerts::AlertsArgs),
    /// Explain one org: what is compared, what the destination has, and why it would or would not be sent
    Explain(explain::ExplainArgs),
    /// Show the pinned schema beside tonight's extract, or pin tonight's
    Schema(schema::SchemaArgs),
    /// Look at, verify, compare and export what the destination is known to have
    Snapshot(snapshot::SnapshotArgs),
    /// When jobs run next, and what became of their last fires
    Schedule(schedule::ScheduleArgs),
    /// Who has which job, where machines share the state store
    Leases(leases::LeasesArgs),
    /// Move the state to another store: write it to a file, take it from one
    State(transfer::StateArgs),
    /// Forget now what the daemon forgets each day: old runs, and old changes of received orgs
    Tidy,
    /// Start the daemon: schedules, the receiver, and the operator's address beside it
    Serve(serve::ServeArgs),
    /// Ask the daemon of this machine whether it can work: exit code 0 if so, else 1
    Health(health::HealthArgs),
    /// Create, list and revoke the receiver's API keys
    Keys(keys::KeysArgs),
    /// Create, list and revoke tokens of the operator's address: its pages, the admin API, metrics
    Tokens(tokens::TokensArgs),
    /// Who did what: by commands that decide, the admin API and its pages
    Audit(audit::AuditArgs),
    /// Show the orgs that the receiver holds
    Orgs(orgs::OrgsArgs),
    /// Make a job file by questions: where the orgs are, what identifies them, who takes the webhooks
    Init(Box<init::InitArgs>),
    /// Make a job file of another tool's files
    Import(import::ImportArgs),
    /// Try a payload template: what would a receiver take out of a body?
    Template(template::TemplateArgs),
}

/// What every command is given.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where things are.
    pub home: Home,
    /// The daemon's settings.
    pub settings: Settings,
    /// Whether to print JSON.
    pub json: bool,
    /// Time, ids and randomness.
    pub clock: Arc<dyn Clock>,
}

impl Context {
    /// Where this process is among those that share a state store, for people.
    pub fn place_name(&self) -> String {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        format!("{}:{}", host.trim(), self.home.dir().display())
    }
}

/// How a command ended; the process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Done,
    /// 1: the command ran, and some rows were refused, unknown, pending or rejected.
    SomeFailed,
    /// 2: nothing could be done.
    CouldNotRun,
    /// 3: a guard holds the run.
    Held,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::SomeFailed => 1,
            Exit::CouldNotRun => 2,
            Exit::Held => 3,
        })
    }
}

/// Parses the arguments and runs the command.
///
/// # Errors
/// Whatever kept the command from being done; `main` prints the chain once and exits with 2. With `--json` it stands on
/// stdout as well, as `{"state": "failed", "error": …}`.
pub async fn main() -> anyhow::Result<Exit> {
    if program::complete::answered() {
        return Ok(Exit::Done);
    }
    let cli = Cli::parse();
    let json = cli.json;
    let outcome = asked(cli).await;
    if let Err(error) = &outcome
        && json
    {
        // Scripts get one value on stdout whatever happens.
        crate::say!("{}", serde_json::json!({ "state": "failed", "error": out::error_text(error) }));
    }
    outcome
}

async fn asked(cli: Cli) -> anyhow::Result<Exit> {
    let command = match cli.command {
        Asked::OfHome(command) => command,
        Asked::OfProgram(command) => return program::run(&command),
    };
    let home = Home::new(&cli.home)?;
    if !home.dir().is_dir() && !matches!(command, Command::Demo(_)) {
        anyhow::bail!("the home folder {} does not exist; make it, or give another with --home", home.dir().display());
    }
    let settings = Settings::load(&home)?;
    let traces = telemetry::init(cli.log.as_deref(), cli.log_format, &settings)?;
    let context = Context { home, settings, json: cli.json, clock: Arc::new(SystemClock) };
    let deed = audit::Deed::of(&command);
    let outcome = work(&context, command).await;
    if let Some(deed) = deed {
        deed.record(&context, &outcome).await;
    }
    if let Some(traces) = traces {
        let _ = tokio::task::spawn_blocking(|| traces.end()).await;
    }
    outcome
}

async fn work(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Demo(args) => demo::run(context, args).await,
        Command::Check(args) => check::run(context, args).await,
        Command::Preview(args) => preview::run(context, args).await,
        Command::Run(args) => run::run(context, args).await,
        Command::Approve(args) => decide::approve(context, args).await,
        Command::Discard(args) => decide::discard(context, args).await,
        Command::Adopt(args) => adopt::run(context, args).await,
        Command::Backfill(args) => backfill::run(context, *args).await,
        Command::Rollback(args) => rollback::run(context, args).await,
        Command::Retry(args) => retry::run(context, args).await,
        Command::Runs(args) => runs::run(context, args).await,
        Command::DeadLetters(args) => dead_letters::run(context, args).await,
        Command::Destinations(args) => destinations::run(context, args).await,
        Command::Doctor(args) => doctor::run(context, args).await,
        Command::Alerts(args) => alerts::run(context, args).await,
        Command::Explain(args) => explain::run(context, args).await,
        Command::Schema(args) => schema::run(context, args).await,
        Command::Snapshot(args) => snapshot::run(context, args).await,
        Command::Schedule(args) => schedule::run(context, args).await,
        Command::Leases(args) => leases::run(context, args).await,
        Command::State(args) => transfer::run(context, args).await,
        Command::Tidy => tidy::run(context).await,
        Command::Serve(args) => serve::run(context, args).await,
        Command::Health(args) => health::run(context, args).await,
        Command::Keys(args) => keys::run(context, args).await,
        Command::Tokens(args) => tokens::run(context, args).await,
        Command::Audit(args) => audit::run(context, args).await,
        Command::Orgs(args) => orgs::run(context, args).await,
        Command::Init(args) => init::run(context, *args).await,
        Command::Import(args) => import::run(context, args).await,
        Command::Template(args) => template::run(context, args).await,
    }
}
