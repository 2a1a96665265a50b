//! `nightmark orgs export`

use super::super::Context;
use super::super::report::plural;
use super::columns::{Columns, Named};
use crate::export::{Dialect, Export, ExportError, Format};
use crate::store::{OrgRecord, OrgStore};
use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Orgs that are held at a time.
const PAGE: u32 = 1000;

/// Arguments of `nightmark orgs export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// What to write [default: what the file's name ends in, or csv]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Choice>,
    /// The file, which appears whole or not at all, and which its owner alone may read [default: stdout]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Custom fields that have a column of their own besides `custom`, which has all of them as JSON; KIND is text, int, float, bool or
    /// json [default: text]
    #[arg(long, value_name = "NAME[:KIND]", value_delimiter = ',')]
    custom: Vec<Named>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Choice {
    Csv,
    Parquet,
    Ndjson,
}

impl From<Choice> for Format {
    fn from(choice: Choice) -> Format {
        match choice {
            Choice::Csv => Format::Csv,
            Choice::Parquet => Format::Parquet,
            Choice::Ndjson => Format::Ndjson,
        }
    }
}

pub(super) async fn run(context: &Context, store: Option<&dyn OrgStore>, args: &ExportArgs) -> anyhow::Result<()> {
    let format = format(args)?;
    if context.json && args.output.is_none() {
        bail!("--json tells what was done, so the orgs need a file: add --output FILE");
    }
    let (orgs, columns) = match all(store, format, args).await {
        // A reader that has seen enough (`| head`) is no fault of the command.
        Err(error) if args.output.is_none() && is_closed(&error) => return Ok(()),
        done => done?,
    };
    match (&args.output, context.json) {
        (Some(output), true) => crate::say!("{}", json!({ "orgs": orgs, "output": output, "columns": columns })),
        (Some(output), false) => crate::say!("{} written to {}", plural(orgs, "org"), output.display()),
        (None, _) => {}
    }
    Ok(())
}

fn is_closed(error: &anyhow::Error) -> bool {
    let export = error.downcast_ref::<ExportError>();
    matches!(export, Some(ExportError::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe)
}

/// Writes all orgs. How many, and under which columns.
async fn all(store: Option<&dyn OrgStore>, format: Format, args: &ExportArgs) -> anyhow::Result<(u64, Vec<String>)> {
    let (columns, dialect) = (Columns::new(&args.custom)?, Dialect::default());
    let mut export = match &args.output {
        Some(output) => Export::create_as(output, format, columns.schema(), &dialect)?,
        None => Export::on(std::io::stdout(), "stdout", format, columns.schema(), &dialect)?,
    };
    let (mut pages, mut written) = (Pages::of(store), 0);
    while let Some(orgs) = pages.next().await? {
        export.write(&columns.rows(&orgs)?)?;
        written += orgs.len() as u64;
    }
    export.finish()?;
    Ok((written, columns.schema().names()))
}

fn format(args: &ExportArgs) -> anyhow::Result<Format> {
    match (args.format, &args.output) {
        (Some(choice), _) => Ok(choice.into()),
        (None, None) => Ok(Format::Csv),
        (None, Some(output)) => Format::of(output)
            .ok_or_else(|| anyhow!("{}: end the name in .csv, .parquet or .ndjson, or say --format", output.display())),
    }
}

/// All orgs, some at a time.
struct Pages<'a> {
    store: Option<&'a dyn OrgStore>,
    after: Option<String>,
}

impl<'a> Pages<'a> {
    fn of(store: Option<&'a dyn OrgStore>) -> Self {
        Pages { store, after: None }
    }

    async fn next(&mut self) -> anyhow::Result<Option<Vec<OrgRecord>>> {
        let Some(store) = self.store else { return Ok(None) };
        let orgs = store.orgs(self.after.as_deref(), PAGE).await?;
        let Some(last) = orgs.last() else { return Ok(None) };
        self.after = Some(last.product_org_id.clone());
        Ok(Some(orgs))
    }
}
