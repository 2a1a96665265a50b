//! One org, explained: what is compared, what the destination is known to have, what the extract has, and what a run would
//! make of it. The extract is read to its end (a key may stand twice); of what is known, only the part with the key is.
//!
//! Deliberately absent: guards, which look at all orgs, and other orgs' bad keys, as far as they are not told in a note.

mod columns;
mod search;
mod words;

pub use columns::{ExplainedColumn, Position};

use super::compare::Side;
use super::extract::Extract;
use super::planned::PlanInput;
use super::{PipelineError, Reach};
use crate::clock::Clock;
use crate::config::Home;
use crate::diff::{Flags, NOWHERE, Operation, Pending, Rules};
use crate::job::spec::{Baseline, Job};
use crate::normalise;
use crate::receipt::Progress;
use crate::row::{HashSeed, KeyHash, RowRef, Value};
use crate::snapshot::{Manifest, Partition, Snapshot, Unknown, webhook_id};
use crate::store::RunStore;
use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use search::Search;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The key space is cut so fine that the known side of one key is small.
const BITS: u32 = 12;

/// What a run would make of an org.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is sent.
    Sent(Operation),
    /// It is not sent: the destination has it so, or nobody has it.
    NotSent,
    /// Nothing can be said of it tonight: its row is rejected, or its key stands twice and is left out.
    LeftOut,
    /// The whole run would fail.
    Fails,
}

/// An org, explained.
#[derive(Debug)]
pub struct Explained {
    /// The job.
    pub job: String,
    /// The key columns and the org's values in them.
    pub key: Vec<(String, serde_json::Value)>,
    /// The rows of tonight's extract that have the key, from 1.
    pub rows: Vec<u64>,
    /// Every column of the extract, in its order.
    pub columns: Vec<ExplainedColumn>,
    /// What would become of it.
    pub fate: Fate,
    /// Why, as a sentence without a full stop.
    pub why: String,
    /// The id of its change that is not acknowledged, if there is one.
    pub waiting: Option<String>,
    /// What else is to be said.
    pub notes: Vec<String>,
}

/// Explains one org. Changes nothing on disk.
///
/// # Errors
/// A key that cannot be one, and whatever would keep a run from being planned.
pub async fn explain(
    job: Arc<Job>,
    home: &Home,
    store: Option<&dyn RunStore>,
    clock: &Arc<dyn Clock>,
    threads: usize,
    key: Vec<String>,
) -> Result<Explained, PipelineError> {
    let input = PlanInput::to_look(job, home, store, clock, Reach::SinceLastSuccess).await?;
    let progress = match (Manifest::load(&input.dir)?, store) {
        (Some(manifest), Some(store)) => store.progress(&manifest.run).await?,
        _ => Progress::forgotten(),
    };
    let looking = tokio::task::spawn_blocking(move || look(&input, &progress, threads, &key));
    looking.await.map_err(|e| PipelineError::Internal(e.to_string()))?
}

fn look(input: &PlanInput, progress: &Progress, threads: usize, key: &[String]) -> Result<Explained, PipelineError> {
    let mut text = BTreeSet::new();
    loop {
        match attempt(input, progress, threads, key, &text) {
            Err(PipelineError::KeptAsText(column)) if text.insert(column.clone()) => {}
            other => return other,
        }
    }
}

fn attempt(
    input: &PlanInput,
    progress: &Progress,
    threads: usize,
    key: &[String],
    text: &BTreeSet<String>,
) -> Result<Explained, PipelineError> {
    let manifest = Manifest::load(&input.dir)?;
    let seed = manifest.as_ref().map_or(HashSeed([0; 16]), |m| m.hash_seed);
    let extract = Extract::open(input, manifest.as_ref(), seed, None, text, None)?;
    let snapshot = manifest.clone().map(|m| Snapshot::open(&input.dir, m, progress)).transpose()?;
    let asked = Asked::new(&extract, key)?;
    let part = Partition { number: Partition::of(asked.hash, BITS), bits: BITS };
    let side = Side::load(snapshot.as_ref(), &extract.basis, &Unknown::new(manifest.as_ref()), part)?;
    let adopt_added = manifest.is_none() && input.job.diff.first_run == Baseline::Adopt;
    let rules = Rules { on: input.job.diff.on, adopt_added, again: false };
    let tonight = Search { input, extract: &extract, side: &side, rules, hash: asked.hash }.run(threads)?;
    let known = Known::of(&side, asked.hash, &extract)?;
    Ok(words::explained(&words::Org {
        input,
        extract: &extract,
        manifest: manifest.as_ref(),
        side: &side,
        known,
        tonight,
        asked,
        progress,
    }))
}

/// The org that is asked for.
struct Asked {
    hash: KeyHash,
    key: Vec<(String, serde_json::Value)>,
}

impl Asked {
    /// Reads the key as the extract's key columns are.
    fn new(extract: &Extract, texts: &[String]) -> Result<Self, PipelineError> {
        let refused = |problem: String| PipelineError::Columns(vec![problem]);
        let columns = &extract.basis.schema.columns[..extract.basis.key];
        let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        if texts.len() != columns.len() {
            return Err(refused(format!(
                "the key has {} (diff.key = {}), and {} given: give one argument for each, in this order",
                if columns.len() == 1 { "1 column".to_owned() } else { format!("{} columns", columns.len()) },
                names.join(", "),
                if texts.len() == 1 { "1 was".to_owned() } else { format!("{} were", texts.len()) },
            )));
        }
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for (column, text) in columns.iter().zip(texts) {
            let array: ArrayRef = Arc::new(StringViewArray::from(vec![text.as_str()]));
            let (array, failures) =
                normalise::canonical(&array, column.kind).map_err(|e| PipelineError::Internal(e.to_string()))?;
            if !failures.is_empty() || text.is_empty() {
                return Err(refused(format!("`{text}` cannot be a key: `{}` is {}", column.name, column.kind)));
            }
            arrays.push(array);
        }
        let hash = extract.basis.keys().hashes(&arrays).first().copied().unwrap_or(KeyHash { hi: 0, lo: 0 });
        let schema = crate::row::Schema { columns: columns.to_vec() };
        let batch = RecordBatch::try_new(schema.arrow(), arrays).map_err(|e| PipelineError::Internal(e.to_string()))?;
        let row = RowRef { schema: &schema, batch: &batch, row: 0 };
        let key = columns.iter().enumerate().map(|(i, column)| (column.name.clone(), row.value(i).to_json()));
        Ok(Asked { hash, key: key.collect() })
    }
}

/// What the destination is known to have of the org.
struct Known {
    /// Nothing is said of the org without it.
    flags: Option<Flags>,
    /// Key and compared columns.
    values: Option<RecordBatch>,
    pending: Option<Pending>,
}

impl Known {
    fn of(side: &Side<'_>, hash: KeyHash, extract: &Extract) -> Result<Self, PipelineError> {
        let at = side.known.table.find(hash);
        let (Some(snapshot), true) = (side.snapshot, at != NOWHERE) else {
            return Ok(Known { flags: None, values: None, pending: None });
        };
        let flags = side.known.table.flags(at);
        let values = match side.known.is_there(at) {
            true => Some(snapshot.values(&extract.basis.schema, &[Some(side.known.origin(at))])?),
            false => None,
        };
        let pending = side.known.pending_of(at).copied();
        Ok(Known { flags: Some(flags), values, pending })
    }

    fn has(&self, flag: Flags) -> bool {
        self.flags.is_some_and(|flags| flags.has(flag))
    }

    fn webhook_id(&self) -> Option<String> {
        self.pending.map(|pending| webhook_id(pending.id))
    }
}

/// A value for people: `None` is NULL.
fn text(value: Value<'_>) -> Option<String> {
    if value == Value::Null { None } else { Some(value.text()) }
}
