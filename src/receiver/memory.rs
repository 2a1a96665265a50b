//! How much memory the bodies of all requests may take together.
//!
//! Without it, a thousand clients that each send 4 MB slowly would hold 4 GB.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in pieces of this size.
const PIECE: usize = 4096;

/// A budget for bodies. A clone shares it.
#[derive(Debug, Clone)]
pub(super) struct Memory(Arc<Semaphore>);

/// Part of it, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    memory: Memory,
    held: Option<OwnedSemaphorePermit>,
}

impl Memory {
    pub(super) fn new(bytes: usize) -> Memory {
        Memory(Arc::new(Semaphore::new((bytes / PIECE).min(Semaphore::MAX_PERMITS))))
    }

    /// Nothing yet.
    pub(super) fn share(&self) -> Share {
        Share { memory: self.clone(), held: None }
    }
}

impl Share {
    /// Bytes that are held.
    pub(super) fn bytes(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.num_permits() * PIECE)
    }

    /// Another share of the same memory, with nothing in it.
    pub(super) fn nothing(&self) -> Share {
        self.memory.share()
    }

    /// Makes it as large as `bytes`. `false`: there is no room.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(PIECE).saturating_sub(held);
        if more == 0 {
            return true;
        }
        let Ok(more) = u32::try_from(more) else { return false };
        let Ok(more) = Arc::clone(&self.memory.0).try_acquire_many_owned(more) else { return false };
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let memory = Memory::new(10 * PIECE);
        let (mut one, mut other) = (memory.share(), memory.share());
        assert!(one.grow_to(1) && one.grow_to(PIECE) && one.grow_to(6 * PIECE) && one.grow_to(5));
        assert!(other.grow_to(4 * PIECE));
        assert!(!other.grow_to(4 * PIECE + 1), "full");
        drop(one);
        assert!(other.grow_to(10 * PIECE) && !other.grow_to(11 * PIECE));
    }
}
