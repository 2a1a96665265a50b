//! What daemons that stand by were asked for: their orders lie in the store.

use super::{LOOK, Scheduler};
use crate::store::{FireState, StoreError};
use std::time::Duration;

/// The longest that an order of another daemon lies there unheard.
const HEAR: Duration = Duration::from_secs(2);

impl Scheduler {
    /// Takes up what waits there.
    pub(super) async fn hear(&mut self) -> Result<(), StoreError> {
        if !self.seat.is_shared {
            return Ok(());
        }
        let open = self.store.open_fires().await?;
        for fire in open.into_iter().filter(|fire| fire.state == FireState::Waiting) {
            let name = fire.job.clone();
            self.watch(&name, |watched| {
                watched.waiting.get_or_insert(fire);
            });
        }
        Ok(())
    }

    /// The longest that nobody looks.
    pub(super) fn longest(&self) -> Duration {
        if self.seat.is_shared { HEAR } else { LOOK }
    }
}
