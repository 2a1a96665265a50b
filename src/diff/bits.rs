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

    /// The positions below `end` that are not in it, ascending.
    pub(super) fn missing(&self, end: usize) -> impl Iterator<Item = u32> + '_ {
        let words = self.0.iter().zip((0u32..).step_by(64)).filter(|(word, _)| **word != u64::MAX);
        let of = |(&word, first): (&u64, u32)| {
            (0..64u32).filter(move |bit| word & (1u64 << bit) == 0).map(move |bit| first + bit)
        };
        words.flat_map(of).take_while(move |at| (*at as usize) < end)
    }
}
