//! Large arrays that are read at random places, on huge pages where the system has them.
//!
//! With pages of 4 KiB nearly every lookup in a table of hundreds of megabytes first waits for the page's address and then for
//! the row. Huge pages spare the first wait; on systems without them nothing is lost.

use memmap2::MmapMut;
use std::marker::PhantomData;

/// Below this an array fits a cache anyway.
const WORTH: usize = 4 << 20;

/// An array that grows at its end.
pub(super) struct Huge<T> {
    memory: Memory<T>,
    len: usize,
}

enum Memory<T> {
    Small(Vec<T>),
    Mapped(MmapMut, PhantomData<T>),
}

impl<T: bytemuck::Pod> Huge<T> {
    /// An array for about so many elements.
    pub(super) fn with_capacity(elements: usize) -> Self {
        let bytes = elements.saturating_mul(size_of::<T>());
        let mapped = (bytes >= WORTH).then(|| map(bytes)).flatten();
        let memory = match mapped {
            Some(mapped) => Memory::Mapped(mapped, PhantomData),
            None => Memory::Small(Vec::with_capacity(elements)),
        };
        Huge { memory, len: 0 }
    }

    pub(super) fn push(&mut self, element: T) {
        match &mut self.memory {
            Memory::Small(elements) => elements.push(element),
            Memory::Mapped(mapped, _) => {
                let all: &mut [T] = bytemuck::cast_slice_mut(whole::<T>(mapped));
                match all.get_mut(self.len) {
                    Some(slot) => *slot = element,
                    None => {
                        // There were more than was said: the rest of this array's life is an ordinary one.
                        let mut elements = all.to_vec();
                        elements.push(element);
                        self.memory = Memory::Small(elements);
                    }
                }
            }
        }
        self.len += 1;
    }

    /// An array of so many elements that are all zero.
    pub(super) fn zeroed(elements: usize) -> Self {
        let mut array = Huge::with_capacity(elements);
        match &mut array.memory {
            Memory::Small(vector) => vector.resize(elements, T::zeroed()),
            Memory::Mapped(..) => {}
        }
        array.len = elements;
        array
    }

    pub(super) fn as_slice(&self) -> &[T] {
        match &self.memory {
            Memory::Small(elements) => elements,
            Memory::Mapped(mapped, _) => {
                let bytes = self.len * size_of::<T>();
                bytemuck::cast_slice(&mapped[..bytes])
            }
        }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        match &mut self.memory {
            Memory::Small(elements) => elements,
            Memory::Mapped(mapped, _) => {
                let bytes = self.len * size_of::<T>();
                bytemuck::cast_slice_mut(&mut mapped[..bytes])
            }
        }
    }
}

/// The bytes of whole elements.
fn whole<T>(mapped: &mut MmapMut) -> &mut [u8] {
    let bytes = mapped.len() / size_of::<T>() * size_of::<T>();
    &mut mapped[..bytes]
}

/// `None` where the system refuses: an ordinary array will do.
fn map(bytes: usize) -> Option<MmapMut> {
    let mapped = MmapMut::map_anon(bytes).ok()?;
    #[cfg(target_os = "linux")]
    let _ = mapped.advise(memmap2::Advice::HugePage);
    Some(mapped)
}

impl<T: bytemuck::Pod> Default for Huge<T> {
    fn default() -> Self {
        Huge::with_capacity(0)
    }
}

impl<T: bytemuck::Pod> FromIterator<T> for Huge<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let elements = elements.into_iter();
        let mut out = Huge::with_capacity(elements.size_hint().0);
        elements.for_each(|element| out.push(element));
        out
    }
}

impl<T> std::fmt::Debug for Huge<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Huge({} elements)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_pushed_also_beyond_what_was_said() {
        for (said, pushed) in [(0, 5), (10, 5), (WORTH, WORTH / 2), (WORTH / 4, WORTH / 4 + 3)] {
            let mut array = Huge::with_capacity(said);
            (0..pushed as u32).for_each(|n| array.push(n));
            assert!(array.as_slice().iter().copied().eq(0..pushed as u32), "{said} {pushed}");
            array.as_mut_slice()[pushed - 1] = 7;
            assert_eq!((array.as_slice().len(), array.as_slice()[pushed - 1]), (pushed, 7));
        }
    }
}
