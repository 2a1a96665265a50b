//! Orgs as wrk.lua's updates name them, put in as the receiver would.

use anyhow::{Context as _, ensure};
use nightmark::cli::Context;
use nightmark::clock::{Clock, SystemClock};
use nightmark::config::{Home, Settings};
use nightmark::store::{KeyUse, OrgPatch, OrgUpsert, Patch, TrialStatus, UpsertOutcome};
use std::path::Path;
use std::sync::Arc;

/// Orgs in one transaction.
const BATCH: u64 = 5_000;

/// Puts in `ws_000000000` and so on, with the home's one key.
pub async fn run(home: &Path, count: u64) -> anyhow::Result<()> {
    let home = Home::new(home)?;
    let settings = Settings::load(&home)?;
    let context = Context { home, settings, json: false, clock: Arc::new(SystemClock) };
    let store = context.store().await?;
    let key = store.keys().await?.into_iter().next().context("the home has no key")?;
    let key = KeyUse { id: key.id, revision: key.revision };
    let at = SystemClock.now();
    for first in (0..count).step_by(BATCH as usize) {
        let upsert = |number| OrgUpsert {
            patch: org(number),
            key: key.clone(),
            request_id: format!("fill-{first}"),
            at,
            event_at: None,
            idempotency_id: Some(format!("fill-{number}")),
        };
        let batch: Vec<OrgUpsert> = (first..count.min(first + BATCH)).map(upsert).collect();
        let done = store.upsert_orgs(&batch).await?;
        ensure!(done.iter().all(|outcome| matches!(outcome, UpsertOutcome::Done(_))), "the key has changed");
    }
    store.close().await;
    Ok(())
}

fn org(number: u64) -> OrgPatch {
    let id = format!("ws_{number:09}");
    let plan = ["free", "pro", "team", "enterprise"][(number % 4) as usize];
    let trial = [TrialStatus::Active, TrialStatus::Expired, TrialStatus::Converted][(number % 3) as usize];
    OrgPatch {
        name: Patch::Set(format!("Workspace {id}")),
        plan_id: Patch::Set(plan.to_owned()),
        plan_name: Patch::Set(plan.to_owned()),
        user_count: Patch::Set((number % 5000) as i64),
        mrr: Patch::Set((number % 500_000) as i64),
        trial_status: Patch::Set(trial),
        product_org_id: id,
        ..OrgPatch::default()
    }
}
