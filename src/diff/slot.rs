//! What a lookup compares of a known row: the hash of its key and its fingerprint, in 20 bytes.

use crate::row::{KeyHash, Print};

/// Key hash and fingerprint, in halves, so that nothing is lost to alignment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(transparent)]
pub struct Slot([u32; 5]);

impl Slot {
    /// Bytes of one.
    pub const BYTES: usize = size_of::<Slot>();

    /// The slot of a row.
    pub fn new(key: KeyHash, print: Print) -> Self {
        Slot([(key.hi >> 32) as u32, key.hi as u32, key.lo, (print >> 32) as u32, print as u32])
    }

    /// The hash of the key.
    pub fn key(self) -> KeyHash {
        KeyHash { hi: u64::from(self.0[0]) << 32 | u64::from(self.0[1]), lo: self.0[2] }
    }

    /// The fingerprint.
    pub fn print(self) -> Print {
        u64::from(self.0[3]) << 32 | u64::from(self.0[4])
    }

    /// Whether both are of one key.
    pub fn has_key_of(self, other: Slot) -> bool {
        self.0[..3] == other.0[..3]
    }

    /// To and from the form in which it is stored: five numbers of 32 bits, the least byte first.
    #[must_use]
    pub fn stored(self) -> Self {
        Slot(self.0.map(u32::to_le))
    }

    /// A word of its first and one of its last cache line.
    pub(super) fn ends(self) -> (u32, u32) {
        (self.0[0], self.0[4])
    }
}
