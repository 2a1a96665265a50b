//! `nightmark state export | import`: the state from one store into another.

use super::report::plural;
use super::{Context, Exit};
use crate::daemon::alone::Alone;
use crate::store::transfer::{Piece, Reading, Table, Writing};
use crate::store::{StateStore, StoreError};
use anyhow::{Context as _, anyhow};
use serde_json::json;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Pieces that wait between the store and the file.
const WAITING: usize = 4;

/// Arguments of `nightmark state`.
#[derive(Debug, clap::Args)]
pub struct StateArgs {
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Debug, clap::Subcommand)]
enum StateCommand {
    /// Write all of the state to a file: runs, receipts, keys (as hashes), orgs and their history
    Export {
        /// The file; it must not be there yet, and its owner alone may read it
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Take such a file into an empty state store: all of it, or nothing
    Import {
        /// The file
        file: PathBuf,
    },
}

impl StateArgs {
    /// What of it goes into the audit log: with the state come keys and tokens.
    pub(super) fn audited(&self) -> Option<(&'static str, Option<String>)> {
        match &self.command {
            StateCommand::Import { file } => Some(("state import", Some(file.display().to_string()))),
            StateCommand::Export { .. } => None,
        }
    }
}

/// How many rows of which table.
type Counts = Vec<(String, u64)>;

/// Runs the command.
///
/// # Errors
/// A daemon that serves this home folder; a store that is not there, not empty, or cannot be had; a file that cannot be written, or is damaged.
pub async fn run(context: &Context, args: StateArgs) -> anyhow::Result<Exit> {
    let holder = format!("process {}, `nightmark state`, since {}", std::process::id(), context.clock.now());
    let _alone = Alone::take(context.home.dir(), &holder).context("the state is moved while nothing changes it")?;
    let (file, counts, done) = match args.command {
        StateCommand::Export { output } => {
            let store = context.look_into_store().await?.ok_or_else(|| anyhow!("nothing has been stored yet"))?;
            let counts = export(context, &store, &output).await;
            store.close().await;
            (output, counts?, "written to")
        }
        StateCommand::Import { file } => {
            let store = context.store().await?;
            let counts = import(&store, &file).await;
            store.close().await;
            (file, counts?, "taken from")
        }
    };
    tell(context, &file, &counts, done);
    Ok(Exit::Done)
}

fn tell(context: &Context, file: &Path, counts: &Counts, done: &str) {
    let rows: u64 = counts.iter().map(|(_, rows)| rows).sum();
    if context.json {
        let tables: serde_json::Map<String, serde_json::Value> =
            counts.iter().map(|(table, rows)| (table.clone(), json!(rows))).collect();
        crate::say!("{}", json!({ "file": file, "rows": rows, "tables": tables }));
        return;
    }
    for (table, rows) in counts.iter().filter(|(_, rows)| *rows > 0) {
        crate::say!("{table}: {rows}");
    }
    crate::say!("{} {done} {}", plural(rows, "row"), file.display());
}

/// The file has its name once all of it is on the disk.
async fn export(context: &Context, store: &Arc<dyn StateStore>, output: &Path) -> anyhow::Result<Counts> {
    let cannot = || format!("--output {} cannot be written", output.display());
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if output.exists() {
        return Err(anyhow!("it is there already")).with_context(cannot);
    }
    let draft = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
    let tables = store.tables().await?;
    let (to, from) = mpsc::channel(WAITING);
    let (at, file) = (context.clock.now().to_rfc3339(), draft.reopen().with_context(cannot)?);
    let writing = tokio::task::spawn_blocking(move || write(file, &at, &tables, from));
    let read = store.export(to).await;
    // What the disk says comes first: it is why the store was left alone.
    let counts = writing.await?.with_context(cannot)?;
    read?;
    let counts = counts.ok_or_else(|| anyhow!("the state store broke off")).with_context(cannot)?;
    draft.persist_noclobber(output).map_err(|error| error.error).with_context(cannot)?;
    Ok(counts)
}

/// `None`: there was no end.
fn write(file: File, at: &str, tables: &[Table], mut from: mpsc::Receiver<Piece>) -> anyhow::Result<Option<Counts>> {
    let mut writing = Writing::begin(BufWriter::new(file), env!("CARGO_PKG_VERSION"), at, tables)?;
    while let Some(piece) = from.blocking_recv() {
        match piece {
            Piece::Rows { table, rows } => writing.rows(table, &rows)?,
            Piece::End => {
                let (out, counts) = writing.end()?;
                out.into_inner().map_err(|error| error.into_error())?.sync_all()?;
                return Ok(Some(counts));
            }
        }
    }
    Ok(None)
}

/// The whole file is looked at before a row of it is taken.
async fn import(store: &Arc<dyn StateStore>, path: &Path) -> anyhow::Result<Counts> {
    let cannot = || path.display().to_string();
    let tables = store.tables().await?;
    let (file, for_tables) = (path.to_owned(), tables.clone());
    let counts = tokio::task::spawn_blocking(move || look(&file, &for_tables)).await?.with_context(cannot)?;
    let (to, from) = mpsc::channel(WAITING);
    let file = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || read(&file, &tables, &to));
    let stored = store.import(from).await;
    let read = reading.await?.with_context(cannot);
    match (stored, read) {
        (Ok(()), Ok(())) => Ok(counts),
        // A file that has changed since it was looked at.
        (Err(StoreError::Database(_)), Err(error)) => Err(error),
        (Err(error), _) => Err(error.into()),
        (Ok(()), Err(error)) => Err(error),
    }
}

fn open(path: &Path, tables: &[Table]) -> anyhow::Result<Reading<BufReader<File>>> {
    Ok(Reading::begin(BufReader::new(File::open(path)?), tables)?)
}

fn look(path: &Path, tables: &[Table]) -> anyhow::Result<Counts> {
    let mut reading = open(path, tables)?;
    while reading.piece()? != Piece::End {}
    Ok(reading.counts())
}

fn read(path: &Path, tables: &[Table], to: &mpsc::Sender<Piece>) -> anyhow::Result<()> {
    let mut reading = open(path, tables)?;
    loop {
        let piece = reading.piece()?;
        let is_last = piece == Piece::End;
        // Nobody takes it any more: the store says why.
        if to.blocking_send(piece).is_err() || is_last {
            return Ok(());
        }
    }
}
