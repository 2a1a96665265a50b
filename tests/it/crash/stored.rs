//! What the state store has of the deliveries of the current snapshot's run, read through the library while no process
//! is at work. The only place of the harness that knows how receipts are kept.

use nightmark::receipt::{Outcome, Progress};
use nightmark::snapshot::{ChangeSet, Manifest};
use nightmark::store::RunStore;
use nightmark::store::sqlite::SqliteStore;
use std::collections::BTreeMap;
use std::path::Path;

fn outcome(progress: &Progress, seq: u64) -> Option<Outcome> {
    let seq = u32::try_from(seq).unwrap();
    // It was tried again, and the process was killed before it knew how that ended.
    if progress.attempting.contains(seq) && !progress.acknowledged.contains(seq) {
        return Some(Outcome::Unknown);
    }
    let sets = [
        (&progress.acknowledged, Outcome::Acknowledged),
        (&progress.refused, Outcome::Refused),
        (&progress.unknown, Outcome::Unknown),
    ];
    sets.into_iter().find(|(set, _)| set.contains(seq)).map(|(_, outcome)| outcome)
}

/// The run that is published.
pub fn published(home: &Path, job: &str) -> Option<String> {
    Manifest::load(&home.join("snapshots").join(job)).unwrap().map(|manifest| manifest.run)
}

/// What is recorded of each row, by `webhook-id`. Nothing before the first publication.
pub fn recorded(home: &Path, job: &str) -> BTreeMap<String, Outcome> {
    let dir = home.join("snapshots").join(job);
    let Some(manifest) = Manifest::load(&dir).unwrap() else { return BTreeMap::new() };
    let progress = progress(home, &manifest.run);
    let mut outcomes = BTreeMap::new();
    for batch in ChangeSet::published_in_full(&dir, &manifest).unwrap().batches().unwrap() {
        let batch = batch.unwrap();
        for at in 0..batch.len() {
            if let Some(outcome) = outcome(&progress, batch.first + at as u64) {
                outcomes.insert(batch.message_id(at), outcome);
            }
        }
    }
    outcomes
}

fn progress(home: &Path, run: &str) -> Progress {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open_existing_readonly(&home.join("nightmark.db")).await.unwrap();
        let store = store.expect("a published run has a state store");
        let progress = store.progress(run).await.unwrap();
        store.close().await;
        progress
    })
}
