//! Lookups by key hash in slots that are sorted by it.

use super::NOWHERE;
use super::huge::Huge;
use super::slot::Slot;
use crate::row::{KeyHash, Print};

/// Lookups that wait for memory at the same time.
const CHUNK: usize = 512;

/// A lookup touches a bucket of about four rows of 20 bytes, which are two cache lines at most.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// The first position of each bucket, and the end.
    first: Huge<u32>,
    /// How many leading bits of a hash all keys of the table share (the partition).
    prefix: u32,
    /// How far a hash without its prefix is shifted to give its bucket.
    shift: u32,
}

impl Buckets {
    /// Of slots in the order of their keys. `prefix`: how many leading bits all keys share.
    pub(super) fn new(slots: &[Slot], prefix: u32) -> Self {
        let bits = (slots.len() / 4).next_power_of_two().trailing_zeros().max(1);
        let mut buckets = Buckets { first: Huge::default(), prefix, shift: 64 - bits };
        let count = (1usize << bits) + 1;
        let (mut first, mut bucket) = (Huge::with_capacity(count), 0);
        for (at, slot) in (0u32..).zip(slots) {
            let of = buckets.of(slot.key());
            while bucket <= of {
                first.push(at);
                bucket += 1;
            }
        }
        (bucket..count).for_each(|_| first.push(slots.len() as u32));
        buckets.first = first;
        buckets
    }

    fn of(&self, key: KeyHash) -> usize {
        ((key.hi << self.prefix) >> self.shift) as usize
    }

    pub(super) fn find(&self, slots: &[Slot], key: KeyHash) -> u32 {
        let bucket = self.of(key);
        let Some([start, end]) = self.first.as_slice().get(bucket..bucket + 2) else { return NOWHERE };
        let slots = slots.get(*start as usize..*end as usize).unwrap_or_default();
        let wanted = Slot::new(key, 0);
        slots.iter().position(|slot| slot.has_key_of(wanted)).map_or(NOWHERE, |at| start + at as u32)
    }

    /// The table is larger than any cache, so lookups wait for memory: those of a chunk are made to wait at the same time, and
    /// what they touched is still at hand when `each` gets the chunk's rows and positions.
    pub(super) fn find_all(&self, slots: &[Slot], keys: &[KeyHash], mut each: impl FnMut(usize, &[u32], &[Print])) {
        let first = self.first.as_slice();
        let (mut found, mut prints) = ([NOWHERE; CHUNK], [0; CHUNK]);
        for (chunk, keys) in keys.chunks(CHUNK).enumerate() {
            let mut bounds = [(0u32, 0u32); CHUNK];
            for (bound, key) in bounds.iter_mut().zip(keys) {
                let bucket = self.of(*key);
                *bound = first.get(bucket).zip(first.get(bucket + 1)).map_or((0, 0), |(a, b)| (*a, *b));
            }
            // Reads without a branch between them go to memory together.
            let mut touched = 0;
            for (start, end) in &bounds[..keys.len()] {
                let first = slots.get(*start as usize).map_or(0, |slot| slot.ends().0);
                let last = slots.get((*end as usize).wrapping_sub(1)).map_or(0, |slot| slot.ends().1);
                touched ^= first ^ last;
            }
            std::hint::black_box(touched);
            for (((found, print), key), (start, end)) in found.iter_mut().zip(&mut prints).zip(keys).zip(&bounds) {
                let slots = slots.get(*start as usize..*end as usize).unwrap_or_default();
                let wanted = Slot::new(*key, 0);
                let at = slots.iter().position(|slot| slot.has_key_of(wanted));
                (*found, *print) = at.map_or((NOWHERE, 0), |at| (start + at as u32, slots[at].print()));
            }
            each(chunk * CHUNK, &found[..keys.len()], &prints[..keys.len()]);
        }
    }
}
