//! What is past is forgotten: once a day, and when somebody asks.
//!
//! To forget again what is forgotten does no harm, so that each daemon of a fleet does it, without a word to the others.

use super::timetable::Known;
use crate::clock::Clock;
use crate::pipeline::Runner;
use crate::store::{AdminStore, FireStore, OrgStore, StateStore, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Between two pieces, for the updates that have come meanwhile.
const PAUSE: Duration = Duration::from_millis(20);
/// Fires are remembered for so long, …
const FIRES: TimeDelta = TimeDelta::days(400);
/// … and so long what was done.
const AUDIT: TimeDelta = TimeDelta::days(400);

/// What forgets.
pub struct Retention {
    /// What runs are forgotten by.
    pub runner: Runner,
    /// The jobs, as they change.
    pub known: watch::Receiver<Vec<Known>>,
    /// Where the rest is.
    pub store: Arc<dyn StateStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How long changes of received orgs are kept; 0: for ever.
    pub history_days: u32,
}

impl Retention {
    /// Forgets, now and each day, until told to stop.
    pub async fn daily(self, stopping: watch::Receiver<bool>) {
        each_day(stopping, async || self.pass().await).await;
    }

    /// Forgets what is past by now. What fails is tried again the next time.
    async fn pass(&self) {
        let (store, now) = (&*self.store, self.clock.now());
        let by_themselves = by_themselves(&self.known.borrow());
        if let Err(error) = self.runner.tidy(&by_themselves).await {
            tracing::warn!(event = "runs_not_forgotten", %error, "old runs are not forgotten now");
        }
        if let Err(error) = history(store, now, self.history_days).await {
            tracing::warn!(event = "history_not_forgotten", %error, "old changes of orgs are not forgotten now; it is tried again tomorrow");
        }
        if let Err(error) = fires(store, now).await {
            tracing::warn!(event = "fires_not_forgotten", %error, "old fires are not forgotten now; it is tried again tomorrow");
        }
        if let Err(error) = audit(store, now).await {
            tracing::warn!(event = "audit_not_forgotten", %error, "old entries of the audit log are not forgotten now; it is tried again tomorrow");
        }
    }
}

impl std::fmt::Debug for Retention {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Retention").field("history_days", &self.history_days).finish_non_exhaustive()
    }
}

/// Does it now and each day, until told to stop, which cuts it off.
async fn each_day(mut stopping: watch::Receiver<bool>, pass: impl AsyncFn()) {
    let forever = async {
        loop {
            pass().await;
            tokio::time::sleep(DAY).await;
        }
    };
    tokio::select! {
        biased;
        _ = stopping.wait_for(|stop| *stop) => {}
        () = forever => {}
    }
}

/// The jobs whose runs forget what is past, and must not find their job taken. Of a file with mistakes nobody knows.
fn by_themselves(known: &[Known]) -> Vec<String> {
    let has_runs = |one: &&Known| one.job.as_ref().is_none_or(|job| job.schedule.is_some());
    known.iter().filter(has_runs).map(|one| one.name.clone()).collect()
}

/// Forgets fires that are long past; what schedules need to know of them stays ([`FireStore::forget_fires`]).
///
/// # Errors
/// A store that fails.
pub async fn fires(store: &dyn FireStore, now: DateTime<Utc>) -> Result<(), StoreError> {
    store.forget_fires(now - FIRES).await
}

/// Forgets what was done long ago.
///
/// # Errors
/// A store that fails.
pub async fn audit(store: &dyn AdminStore, now: DateTime<Utc>) -> Result<(), StoreError> {
    store.forget_audit(now - AUDIT).await
}

/// Forgets the changes of received orgs that are older than so many days, piece by piece, so that updates do not wait.
///
/// # Errors
/// A store that fails.
pub async fn history(orgs: &dyn OrgStore, now: DateTime<Utc>, days: u32) -> Result<(), StoreError> {
    if days == 0 {
        return Ok(());
    }
    let before = now.checked_sub_signed(TimeDelta::days(i64::from(days))).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let mut from = Some(0);
    while let Some(number) = from {
        from = orgs.forget_history(before, number).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
