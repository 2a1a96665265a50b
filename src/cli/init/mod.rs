//! `nightmark init [NAME]`: a job file from a source, by questions.
//!
//! In: arguments, and answers on a terminal for those that are missing. Out: `jobs/NAME.toml`, which `nightmark check` has nothing against.
//! Always holds: nothing is written before all of it is known to be a valid job; no file is written over unasked; no secret is asked for, only where
//! it is. Deliberately absent: anything sent, schedules.

mod ask;
mod destination;
mod proposal;
mod source;
mod text;

use super::first_look::LookArgs;
use super::report::plural;
use super::table::shown;
use super::{Context, Exit, check};
use crate::job;
use crate::pipeline::{self, Asked, Observed, PipelineError, Survey};
use crate::source::Environment;
use anyhow::{Context as _, bail, ensure};
use ask::Asker;
use proposal::Proposal;
use serde_json::{Value, json};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

/// Arguments of `nightmark init`. What is missing is asked for on a terminal.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// The job's name, and that of its file in jobs/
    #[arg(default_value = "orgs")]
    name: String,
    #[command(flatten)]
    source: source::SourceArgs,
    /// The column that identifies an org; several times or with commas for a key of several columns [default: proposed]
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    key: Vec<String>,
    /// Columns that never trigger a webhook, with commas; '' for none [default: proposed]
    #[arg(long, value_name = "COLUMNS")]
    ignore: Option<String>,
    #[command(flatten)]
    look: LookArgs,
    #[command(flatten)]
    destination: destination::DestinationArgs,
    /// Write over a job file that is there
    #[arg(long)]
    force: bool,
}

/// Runs the command. Exit 1: the file is written, and `check` has something against it.
///
/// # Errors
/// Answers that are missing or make no job, a source that cannot be read, a file that is there already.
pub async fn run(context: &Context, args: InitArgs) -> anyhow::Result<Exit> {
    let file = context.home.jobs().join(format!("{}.toml", args.name));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    ensure!(
        (1..=64).contains(&args.name.len()) && args.name.chars().all(is_name),
        "`{}` is not a job name: 1 to 64 letters, digits, `-` and `_`",
        args.name
    );
    if file.exists() && !args.force {
        bail!("{} is there already; give another name, or --force to write over it", file.display());
    }
    let mut asker = Asker::new();
    let source = source::lines(&mut asker, &args.source)?;
    if asker.has_terminal() {
        // What is wrong with the source is told before more is asked.
        source::parse(&source, context.home.dir())?;
    }
    // With nobody to ask, everything that is missing is told at once.
    let destination =
        if asker.has_terminal() { None } else { Some(destination::sections(&mut asker, &args.destination)?) };
    asker.complete()?;
    let (survey, observed) = look(context, &args, &source).await?;
    let columns = columns(&mut asker, &args, &survey, observed.as_ref())?;
    let destination = match destination {
        Some(sections) => sections,
        None => destination::sections(&mut asker, &args.destination)?,
    };
    let parts = text::Parts {
        name: &args.name,
        source: &source,
        columns: &columns,
        destination: &destination,
        rows: survey.rows,
    };
    let text = text::job_file(&parts);
    let shown_file = file.strip_prefix(context.home.dir()).unwrap_or(&file);
    let job = job::parse(&text, shown_file, context.home.dir()).map_err(|problems| {
        let told: Vec<String> = problems.iter().map(|p| format!("  {}: {}{}", p.path, p.message, hint(p))).collect();
        anyhow::anyhow!("no job can be made of these answers; nothing was written:\n{}", told.join("\n"))
    })?;
    write(&file, &text, args.force)?;
    let problems = check::problems_besides_secrets(context, Arc::new(job)).await;
    tell(context, &args, &file, &columns, &text, &problems);
    Ok(if problems.is_empty() { Exit::Done } else { Exit::SomeFailed })
}

fn hint(problem: &job::Problem) -> String {
    problem.hint.as_ref().map(|hint| format!("\n    hint: {hint}")).unwrap_or_default()
}

/// The first rows of the source, once or twice.
async fn look(context: &Context, args: &InitArgs, lines: &[String]) -> anyhow::Result<(Survey, Option<Observed>)> {
    let source = source::parse(lines, context.home.dir())?;
    let environment = Arc::new(Environment::new(&context.home, context.clock.now()));
    let asked = Asked { shown: 0, ..Asked::default() };
    let look = async || {
        let looked = pipeline::survey(source.clone(), Arc::clone(&environment), asked).await;
        looked.map_err(|error| match error {
            PipelineError::Source { source, .. } => {
                let hint = source.hint.map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
                anyhow::anyhow!("the source cannot be read: {}{hint}", source.message)
            }
            other => other.into(),
        })
    };
    let survey = look().await?;
    ensure!(survey.rows > 0, "the source has no rows, so that nothing can be proposed; `nightmark init` needs a few");
    if !args.look.between().await {
        return Ok((survey, None));
    }
    let later = look().await?;
    let key =
        if args.key.is_empty() { proposal::keys(&survey).into_iter().take(1).collect() } else { args.key.clone() };
    let key: Vec<&str> = key.iter().map(String::as_str).collect();
    let observed = survey.until(&later, &key);
    Ok((survey, Some(observed)))
}

/// Key and ignored columns: as given, or as proposed and, on a terminal, confirmed.
fn columns(
    asker: &mut Asker,
    args: &InitArgs,
    survey: &Survey,
    observed: Option<&Observed>,
) -> anyhow::Result<Proposal> {
    let mut key = args.key.clone();
    if key.is_empty() {
        let candidates = proposal::keys(survey);
        eprintln!("{} looked at; columns: {}", plural(survey.rows, "row"), shown(&described(survey)));
        if candidates.is_empty() && !asker.has_terminal() {
            bail!(
                "no column has another value in each of {}; give --key, several columns if need be",
                plural(survey.rows, "row")
            );
        }
        let question = "key: the column (or columns, with commas) that identifies an org";
        let answer = asker.text("--key", question, None, candidates.first().map(String::as_str))?;
        // A proposal is a name as it is, commas and all.
        key = match candidates.first() == Some(&answer) {
            true => vec![answer],
            false => answer.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect(),
        };
    }
    if let Some(wrong) = proposal::wrong_key(survey, &key) {
        bail!("--key {}: {}", key.join(","), shown(&wrong));
    }
    let mut proposal = proposal::propose(survey, &key, observed);
    let proposed: Vec<String> = proposal.ignore.iter().map(|(name, _)| name.clone()).collect();
    for (name, why) in &proposal.ignore {
        eprintln!("`{}` {why}", shown(name));
    }
    let question = "ignore: columns that never trigger a webhook, with commas (none: -)";
    let (given, default) = (args.ignore.as_deref(), proposed.join(","));
    let default = if default.is_empty() { "-".to_owned() } else { default };
    let answer = asker.text("--ignore", question, given, Some(&default))?;
    if answer != default {
        ignore(&mut proposal, survey, &answer)?;
    }
    Ok(proposal)
}

/// Takes what somebody has said in the place of what was proposed.
fn ignore(proposal: &mut Proposal, survey: &Survey, answer: &str) -> anyhow::Result<()> {
    let names: Vec<&str> = answer.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "-").collect();
    for name in &names {
        ensure!(survey.index_of(name).is_some(), "--ignore: there is no column `{name}`");
        ensure!(!proposal.key.iter().any(|key| key == name), "--ignore: `{name}` is the key, which is never compared");
    }
    let why = |name: &str| {
        let proposed = proposal.ignore.iter().find(|(known, _)| known == name);
        proposed.map_or_else(|| "as you said".to_owned(), |(_, why)| why.clone())
    };
    let ignored = names.iter().map(|name| ((*name).to_owned(), why(name))).collect();
    let others = survey.columns.iter().map(|column| &column.name);
    let others = others.filter(|name| !proposal.key.contains(name) && !names.contains(&name.as_str()));
    proposal.compared = others.cloned().collect();
    proposal.ignore = ignored;
    Ok(())
}

fn described(survey: &Survey) -> String {
    let columns = survey.columns.iter().map(|column| format!("{} ({})", column.name, column.kind));
    columns.collect::<Vec<_>>().join(", ")
}

fn write(file: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let cannot = || format!("{} cannot be written", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(cannot)?;
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Beside it, so that whoever reads the folder, or comes after a kill, never finds half a job. Hidden files are none.
    let mut draft = tempfile::Builder::new().prefix(".nightmark-init-").tempfile_in(folder).with_context(cannot)?;
    draft.write_all(text.as_bytes()).with_context(cannot)?;
    // It has no secrets in it, and a daemon under another user is to read it.
    draft.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).with_context(cannot)?;
    draft.as_file().sync_all().with_context(cannot)?;
    match force {
        true => draft.persist(file).map(drop).map_err(|failed| failed.error),
        // Somebody may have made it while questions were answered.
        false => draft.persist_noclobber(file).map(drop).map_err(|failed| failed.error),
    }
    .with_context(cannot)
}

fn tell(context: &Context, args: &InitArgs, file: &Path, columns: &Proposal, text: &str, problems: &[String]) {
    let variables: Vec<(String, bool)> =
        text::variables(text).into_iter().map(|name| (name.clone(), std::env::var_os(&name).is_some())).collect();
    if context.json {
        let ignore = columns.ignore.iter().map(|(column, why)| json!({ "column": column, "why": why }));
        crate::say!(
            "{}",
            json!({
                "job": args.name,
                "file": file.display().to_string(),
                "key": columns.key,
                "ignore": ignore.collect::<Value>(),
                "compared": columns.compared,
                "environment": variables.iter().map(|(name, set)| json!({ "name": name, "set": set })).collect::<Value>(),
                "problems": problems,
            })
        );
        return;
    }
    crate::say!("wrote {}", file.display());
    crate::say!("key: {}; compared: {}", shown(&columns.key.join(", ")), shown(&columns.compared.join(", ")));
    for (column, why) in &columns.ignore {
        crate::say!("ignored: {} ({why})", shown(column));
    }
    for (name, is_set) in &variables {
        crate::say!("{name}: {}", if *is_set { "is set" } else { "is to be set in the environment" });
    }
    problems.iter().for_each(|problem| crate::say!("not right yet: {problem}"));
    crate::say!("Next: nightmark check {0}, then nightmark preview {0}", args.name);
}
