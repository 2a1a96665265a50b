//! A channel that is left alone for a while after it has failed: what is told is told late, and nothing waits for a channel that does not answer.

use super::channel::Channel;
use super::message::Message;
use crate::metrics::Metrics;
use crate::store::AlertRecord;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::{Mutex, PoisonError};

/// After the first failure; twice as long after each further one, …
const FIRST: TimeDelta = TimeDelta::seconds(30);
/// … and so long at most.
const LONGEST: TimeDelta = TimeDelta::minutes(10);

/// A channel, and how it has done.
pub struct Line {
    channel: Box<dyn Channel>,
    rest: Mutex<Rest>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Rest {
    failures: u32,
    until: Option<DateTime<Utc>>,
}

impl Line {
    /// Nothing was told yet.
    pub fn new(channel: Box<dyn Channel>) -> Self {
        Line { channel, rest: Mutex::default() }
    }

    /// What the channel is called.
    pub fn name(&self) -> &'static str {
        self.channel.name()
    }

    /// Whether the message was taken over. A channel that rests is not asked.
    pub async fn send(
        &self,
        alert: &AlertRecord,
        message: &Message,
        now: DateTime<Utc>,
        metrics: &dyn Metrics,
    ) -> bool {
        let rest = *self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was put back does not make it longer.
        if rest.until.is_some_and(|until| until > now && until - now <= LONGEST) {
            return false;
        }
        let sent = self.channel.send(message).await;
        metrics.told(self.name(), sent.is_ok());
        let rest = match &sent {
            Ok(()) => Rest::default(),
            Err(_) => rest.after(now),
        };
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = rest;
        if let Err(error) = &sent {
            tracing::error!(
                event = "alert_not_told",
                job = alert.job,
                kind = alert.kind,
                channel = self.name(),
                failures = rest.failures,
                error,
                "alerts: a message did not get through; it is tried again"
            );
        }
        sent.is_ok()
    }
}

impl Rest {
    fn after(self, now: DateTime<Utc>) -> Self {
        let length = FIRST * 2_i32.pow(self.failures.min(10));
        Rest { failures: self.failures.saturating_add(1), until: Some(now + length.min(LONGEST)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_fails_rests_longer_and_longer() {
        let now = DateTime::UNIX_EPOCH;
        let mut rest = Rest::default();
        let rests = [0; 8].map(|_| {
            rest = rest.after(now);
            rest.until.map_or(0, |until| (until - now).num_seconds())
        });
        assert_eq!(rests, [30, 60, 120, 240, 480, 600, 600, 600]);
    }
}
