//! `nightmark demo`: the main job on embedded defaults. Needs nothing and sends nothing outside this machine.

mod extract;

use super::preview::changes_table;
use super::report::{self, grouped, plural};
use super::resources::ResourceArgs;
use super::run::exit;
use super::{Context, Exit};
use crate::config::Home;
use crate::deliver::Http;
use crate::diff::Operation;
use crate::job::{Secrets, load_job};
use crate::pipeline::{How, Planned, RunReport, Runner};
use crate::receiver::keys::{self, NewKey, Purpose};
use crate::receiver::{self, Options, PayloadTemplate, ReceiverState};
use crate::server;
use crate::store::OrgStore;
use crate::store::sqlite::SqliteStore;
use anyhow::Context as _;
use extract::Org;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// Arguments of `nightmark demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Where to put the extracts, the job file and the snapshot [default: a new folder among the temporary files]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

const JOB: &str = "workspaces";

/// The job file of the demo; the port is filled in.
const JOB_FILE: &str = r#"version = 1

[source]
kind = "files"
path = "extract/orgs.parquet"

[diff]
key = "workspace_id"
ignore = ["last_active_at"]              # changes every night and means nothing for scoring

[destination]
kind = "http"
url = "http://RECEIVER/api/product-orgs/webhook/${file:receiver.key}"

[payload]
preset = "flat"
"#;

/// The demo's home folder, its store and its receiver.
struct Stage {
    home: Home,
    store: Arc<SqliteStore>,
    address: SocketAddr,
    runner: Runner,
    // Dropped at the end, which stops the receiver.
    _shutdown: watch::Sender<bool>,
}

/// Runs the command.
///
/// # Errors
/// A folder that cannot be written, a loopback port that cannot be had.
pub async fn run(context: &Context, args: DemoArgs) -> anyhow::Result<Exit> {
    let stage = set_up(context, &args).await?;
    let say = |line: String| {
        if !context.json {
            crate::say!("{line}");
        }
    };
    say(format!(
        "Two nights of {} orgs. The receiver listens on {}; everything is in {}",
        grouped(extract::ORGS as u64),
        stage.address,
        stage.home.dir().display()
    ));
    let first = extract::night_one();
    let second = extract::night_two(&first);

    say("\nNIGHT ONE: the destination knows nothing yet, so every org is sent".to_owned());
    let one = stage.night(&first, "parquet").await?;
    say(run_lines(&one));

    say(format!(
        "\nNIGHT TWO: last_active_at has changed in all {} orgs and is ignored; {} orgs differ where it matters, {} are new",
        grouped(first.len() as u64),
        extract::CHANGED,
        extract::ADDED
    ));
    let two = stage.night(&second, "parquet").await?;
    say(run_lines(&two));
    if let Some(planned) = &two.report.planned {
        say(why(planned)?);
    }

    say("\nTHIRD RUN: the same orgs once more, this time exported as CSV".to_owned());
    let three = stage.night(&second, "csv").await?;
    say(run_lines(&three));
    let held = stage.store.orgs(None, u32::MAX).await?.len() as u64;
    say(format!("\nThe receiver holds {}. {}", plural(held, "org"), next_steps(&stage.home)));
    if context.json {
        crate::say!("{}", summary(&stage, held, [&one, &two, &three]));
    }
    Ok([one, two, three].iter().map(|night| exit(&night.report)).find(|e| *e != Exit::Done).unwrap_or(Exit::Done))
}

async fn set_up(context: &Context, args: &DemoArgs) -> anyhow::Result<Stage> {
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => std::env::temp_dir().join(format!("nightmark-demo-{}", context.clock.run_id().to_lowercase())),
    };
    let home = Home::new(&dir)?;
    for folder in [home.jobs(), dir.join("extract")] {
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    anyhow::ensure!(
        !home.snapshots(JOB).exists(),
        "{} holds an earlier demo; choose another folder with --dir",
        dir.display()
    );
    let store = Arc::new(SqliteStore::open(&home.database()).await?);
    let template = PayloadTemplate::preset("flat").context("the preset `flat` is missing")?;
    let new = NewKey::new("demo", Purpose::ProductOrgs(template));
    let created = keys::create(&*store, &*context.clock, new).await?;
    write_private(&dir.join("receiver.key"), created.key.expose_secret())?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("no free port on 127.0.0.1")?;
    let address = listener.local_addr()?;
    let job_file = home.jobs().join(format!("{JOB}.toml"));
    std::fs::write(job_file, JOB_FILE.replace("RECEIVER", &address.to_string()))?;
    let (shutdown, stop) = watch::channel(false);
    let state = ReceiverState::start(
        Arc::clone(&store),
        Arc::clone(&context.clock),
        Secrets::new(&home),
        Options::default().without_rates(),
    );
    tokio::spawn(receiver::serve(listener, state, server::Options::default(), None, stop.clone()));
    let runner = Runner {
        home: home.clone(),
        settings: context.settings.clone(),
        store: Arc::clone(&store) as _,
        clock: Arc::clone(&context.clock),
        connect: Arc::new(Http),
        progress: Arc::new(()),
        metrics: Arc::new(()),
        resources: ResourceArgs { memory: None }.resources(),
        stop,
        leases: None,
        tenures: Vec::new(),
        fences: Vec::new(),
        lock: std::sync::Weak::new(),
    };
    Ok(Stage { home, store, address, runner, _shutdown: shutdown })
}

struct Night {
    report: RunReport,
    millis: u64,
}

impl Stage {
    /// Puts tonight's extract in place and runs the job on it.
    async fn night(&self, orgs: &[Org], format: &str) -> anyhow::Result<Night> {
        let folder = self.home.dir().join("extract");
        extract::write_parquet(&folder.join("orgs.parquet"), orgs)?;
        extract::write_csv(&folder.join("orgs.csv"), orgs)?;
        let file = self.home.jobs().join(format!("{JOB}.toml"));
        let text = std::fs::read_to_string(&file)?;
        let path = format!("extract/orgs.{format}");
        std::fs::write(&file, text.replace("extract/orgs.parquet", &path))?;
        let started = Instant::now();
        let report = self.runner.run(Arc::new(load_job(&self.home, JOB)?), How::default()).await?;
        Ok(Night { report, millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX) })
    }
}

fn run_lines(night: &Night) -> String {
    let counts = &night.report.counts;
    let sent = match counts.planned() {
        0 => "nothing to send".to_owned(),
        planned => format!("{} sent, {} acknowledged", plural(planned, "webhook"), grouped(counts.acknowledged)),
    };
    format!("  {}\n  {sent} ({} ms)", report::found_line(JOB, counts), night.millis)
}

/// What was sent on night two and why: a few changes as a table, and one body.
fn why(planned: &Planned) -> anyhow::Result<String> {
    let first = report::first_changes(planned.batches()?, 4)?;
    let by_column: Vec<String> =
        planned.changes_by_column().into_iter().map(|(column, count)| format!("{column} {count}")).collect();
    let mut lines = vec![format!("  changed columns: {}; the first changes:", by_column.join(", "))];
    lines.extend(changes_table(&first).to_string().lines().map(|line| format!("    {line}")));
    for batch in planned.batches()? {
        let batch = batch?;
        if let Some(at) = (0..batch.len()).find(|at| batch.rows[*at].operation == Operation::Changed) {
            lines.push(format!("  the body of the first: {}", planned.body(&batch, at)?));
            break;
        }
    }
    Ok(lines.join("\n"))
}

fn next_steps(home: &Home) -> String {
    let dir = home.dir().display();
    // As it was called, so that the lines can be pasted.
    let nightmark = std::env::args().next().unwrap_or_else(|| "nightmark".to_owned());
    format!(
        "\
What to type next:
  cat {dir}/jobs/{JOB}.toml
  {nightmark} --home {dir} runs
  {nightmark} --home {dir} orgs list --limit 5
Then write jobs/NAME.toml in a folder of your own (examples: jobs/ in the source), and there:
  nightmark check            is the job right?
  nightmark preview NAME     what would be sent?
  nightmark run NAME         send it"
    )
}

fn summary(stage: &Stage, orgs: u64, nights: [&Night; 3]) -> Value {
    let nights = nights.map(|night| {
        Value::Object(report::counts_json(Some(&night.report.run), JOB, &night.report.counts, night.millis))
    });
    json!({ "dir": stage.home.dir(), "receiver": stage.address.to_string(), "orgs": orgs, "runs": nights })
}

/// The key is worth something only to the demo's receiver; it is still nobody else's.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = file.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(file.write_all(text.as_bytes())?)
}
