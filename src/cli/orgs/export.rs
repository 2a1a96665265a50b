//! `nightmark orgs export`

use super::super::Context;
use super::super::report::plural;
use super::columns::Custom;
use crate::export::{Dialect, Export, Format};
use crate::store::{OrgRecord, OrgStore};
use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::PathBuf;

/// Orgs that are held at a time.
const PAGE: u32 = 1000;

/// How often it is begun anew because what the orgs have changed meanwhile.
const ATTEMPTS: u32 = 5;

/// Arguments of `nightmark orgs export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// What to write [default: what the file's name ends in, or csv]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Choice>,
    /// The file, which appears whole or not at all [default: stdout]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
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
    let (mut custom, mut attempt) = (Custom::default(), 1);
    survey(store, &mut custom).await?;
    let orgs = loop {
        match write(store, &mut custom, format, args).await? {
            Some(orgs) => break orgs,
            None if attempt < ATTEMPTS => attempt += 1,
            None => {
                bail!("custom fields keep being added and changing their kind while they are exported; try again later")
            }
        }
    };
    match (&args.output, context.json) {
        (Some(output), true) => {
            let columns = custom.schema().names();
            crate::say!("{}", json!({ "orgs": orgs, "output": output, "columns": columns }));
        }
        (Some(output), false) => crate::say!("{} written to {}", plural(orgs, "org"), output.display()),
        (None, _) => {}
    }
    Ok(())
}

fn format(args: &ExportArgs) -> anyhow::Result<Format> {
    match (args.format, &args.output) {
        (Some(choice), _) => Ok(choice.into()),
        (None, None) => Ok(Format::Csv),
        (None, Some(output)) => Format::of(output)
            .ok_or_else(|| anyhow!("{}: end the name in .csv, .parquet or .ndjson, or say --format", output.display())),
    }
}

/// Which custom fields there are.
async fn survey(store: Option<&dyn OrgStore>, custom: &mut Custom) -> anyhow::Result<()> {
    let mut pages = Pages::of(store);
    while let Some(orgs) = pages.next().await? {
        for org in &orgs {
            custom.see(org);
        }
    }
    Ok(())
}

/// Writes all orgs. `None`: one that has changed since does not fit the columns, and nothing was written; `custom` now fits it.
async fn write(
    store: Option<&dyn OrgStore>,
    custom: &mut Custom,
    format: Format,
    args: &ExportArgs,
) -> anyhow::Result<Option<u64>> {
    let (schema, dialect) = (custom.schema(), Dialect::default());
    let mut export = match &args.output {
        Some(output) => Export::create_as(output, format, &schema, &dialect)?,
        None => Export::on(std::io::stdout(), "stdout", format, &schema, &dialect)?,
    };
    let (mut pages, mut written) = (Pages::of(store), 0);
    while let Some(orgs) = pages.next().await? {
        let mut changed = false;
        orgs.iter().for_each(|org| changed |= custom.see(org));
        if changed {
            // What was written to stdout cannot be taken back.
            return match args.output {
                Some(_) => Ok(None),
                None => bail!(
                    "a custom field was added or changed its kind while it was exported: export again, or to a file"
                ),
            };
        }
        export.write(&custom.rows(&orgs)?)?;
        written += orgs.len() as u64;
    }
    export.finish()?;
    Ok(Some(written))
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
