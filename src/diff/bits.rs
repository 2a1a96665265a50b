//! A set of positions.

/// One bit for each position.
#[derive(Debug, Clone, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn new(positions: usize) -> Self {
        Bits(vec![0; positions.div_ceil(64)])
    }

    /// Adds a position; `false` if it was there already.
    pub(super) fn insert(&mut self, at: u32) -> bool {
        let (word, bit) = (&mut self.0[at as usize / 64], 1u64 << (at % 64));
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }

    pub(super) fn contains(&self, at: u32) -> bool {
        self.0[at as usize / 64] & (1u64 << (at % 64)) != 0
    }
}
