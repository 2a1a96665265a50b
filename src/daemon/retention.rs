//! What is past is forgotten: once a day, and when somebody asks.

use crate::clock::Clock;
use crate::pipeline::Runner;
use crate::store::{OrgStore, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Between two pieces, for the updates that have come meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// Forgets, now and each day, until told to stop. `scheduled`: jobs whose runs do so themselves, and must not find their job taken. `history_days`: 0
/// for never.
pub async fn daily(
    runner: Runner,
    scheduled: Vec<String>,
    orgs: Arc<dyn OrgStore>,
    clock: Arc<dyn Clock>,
    history_days: u32,
    mut stopping: watch::Receiver<bool>,
) {
    while !*stopping.borrow() {
        let forgetting = async {
            if let Err(error) = runner.tidy(&scheduled).await {
                tracing::warn!(event = "runs_not_forgotten", %error, "old runs are not forgotten now");
            }
            if let Err(error) = history(orgs.as_ref(), clock.now(), history_days).await {
                tracing::warn!(event = "history_not_forgotten", %error, "old changes of orgs are not forgotten now; it is tried again tomorrow");
            }
            tokio::time::sleep(DAY).await;
        };
        tokio::select! {
            () = forgetting => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
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
