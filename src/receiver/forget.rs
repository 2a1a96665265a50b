//! Repeats are known for a week; then what they would be answered is forgotten.

use crate::clock::Clock;
use crate::store::{OrgStore, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a repeat is known to be one.
pub const REMEMBERED: TimeDelta = TimeDelta::days(7);

/// Answers that are forgotten in one transaction: few, so that updates do not wait for it.
const PIECE: u32 = 250;
/// Between two of them, for the updates that have come meanwhile.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two looks for old ones.
const REST: Duration = Duration::from_secs(60);

/// Forgets, now and then, until told to stop.
pub async fn forget(store: Arc<dyn OrgStore>, clock: Arc<dyn Clock>, mut shutdown: watch::Receiver<bool>) {
    loop {
        // What could not be forgotten now is the next time.
        let rest = match forget_piece(store.as_ref(), clock.now()).await {
            Ok(true) => PAUSE,
            Ok(false) => REST,
            Err(error) => {
                tracing::warn!(event = "answers_not_forgotten", %error, "what old updates were answered could not be forgotten");
                REST
            }
        };
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// Forgets some of what is older than [`REMEMBERED`]. Whether there may be more.
///
/// # Errors
/// A store that fails.
pub async fn forget_piece(store: &dyn OrgStore, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let forgotten = store.forget_answers(now - REMEMBERED, PIECE).await?;
    Ok(forgotten >= u64::from(PIECE))
}
