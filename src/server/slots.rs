//! How many connections there may be. Each has a slot for as long as it is open.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections, in all and by client.
#[derive(Debug)]
pub(super) struct Slots {
    total: usize,
    per_client: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    /// Those with none are forgotten, so this is no larger than `all`.
    by_client: HashMap<IpAddr, usize>,
}

/// One connection's place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    client: Option<IpAddr>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken.
    Total,
    /// This client has as many as it may.
    Client,
}

impl Slots {
    pub(super) fn new(total: usize, per_client: usize) -> Arc<Slots> {
        Arc::new(Slots { total, per_client, open: Mutex::default() })
    }

    /// `client`: see [`block`](super::client::block); `None` for one that is not counted by itself.
    pub(super) fn take(self: &Arc<Slots>, client: Option<IpAddr>) -> Result<Slot, Full> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.total {
            return Err(Full::Total);
        }
        if let Some(client) = client {
            let of_client = open.by_client.entry(client).or_default();
            if *of_client >= self.per_client {
                return Err(Full::Client);
            }
            *of_client += 1;
        }
        open.all += 1;
        Ok(Slot { slots: Arc::clone(self), client })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.slots.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(client) = self.client
            && let Some(of_client) = open.by_client.get_mut(&client)
        {
            *of_client -= 1;
            if *of_client == 0 {
                open.by_client.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_and_given_back() {
        let slots = Slots::new(3, 2);
        let (a, b) = ("10.0.0.1".parse().ok(), "10.0.0.2".parse().ok());
        let first = slots.take(a).expect("free");
        let _second = slots.take(a).expect("free");
        assert_eq!(slots.take(a).err(), Some(Full::Client));
        let third = slots.take(b).expect("another client");
        assert_eq!(slots.take(b).err(), Some(Full::Total));
        drop(third);
        let _uncounted = slots.take(None).expect("free");
        assert_eq!(slots.take(None).err(), Some(Full::Total));
        drop(first);
        let _again = slots.take(a).expect("given back");
        assert_eq!(slots.open.lock().expect("not poisoned").by_client.len(), 1, "what has none is forgotten");
    }
}
