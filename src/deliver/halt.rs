//! One switch that ends a run's delivery in order, with the first reason that threw it.

use super::Stopped;
use std::future::Future;
use tokio::sync::watch;

pub(super) struct Halt {
    thrown: watch::Sender<Option<Stopped>>,
}

impl Halt {
    pub(super) fn new() -> Self {
        Halt { thrown: watch::Sender::new(None) }
    }

    /// From now on nothing new is sent. Returns whether this was the first reason; later ones are dropped.
    pub(super) fn throw(&self, stopped: Stopped) -> bool {
        self.thrown.send_if_modified(|held| {
            let first = held.is_none();
            if first {
                *held = Some(stopped);
            }
            first
        })
    }

    pub(super) fn is_thrown(&self) -> bool {
        self.thrown.borrow().is_some()
    }

    pub(super) fn reason(&self) -> Option<Stopped> {
        self.thrown.borrow().clone()
    }

    /// What `future` yields, or `None` if the switch is thrown first. The switch is looked at before the future.
    pub(super) async fn unless<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut thrown = self.thrown.subscribe();
        tokio::select! {
            biased;
            _ = thrown.wait_for(Option::is_some) => None,
            value = future => Some(value),
        }
    }
}
