//! Places among last night's rows from which tonight's may go on, and the rows there, read ahead.

use super::NOWHERE;
use super::ordered::Ordered;
use super::slot::Slot;
use crate::row::{KeyHash, Print};

/// Rows of last night that are looked at before a key is searched for: some may be missing tonight.
const AHEAD: usize = 8;

/// Rows that are read on at a time, where reading goes on.
pub(super) const WINDOW: usize = 1 << 11;

/// Rows that are read at a time where it is not known whether the next ones are wanted too.
const NEAR: usize = 1 << 6;

/// Two places from which tonight's rows may go on: the one where they did last, and the one before. So a row that has moved
/// costs no more than its search; and so do orgs that the next base keeps after all of its rows (rejected, within tolerance,
/// not sent by `on`), which are there in the order in which they come.
pub(super) struct Places<'a> {
    of: &'a Ordered,
    last: Window<'a>,
    other: Window<'a>,
}

impl<'a> Places<'a> {
    pub(super) fn new(of: &'a Ordered) -> Self {
        Places { of, last: Window::new(of), other: Window::new(of) }
    }

    /// A key at one of the places or a little after it, with the fingerprint there.
    #[inline]
    pub(super) fn find(&mut self, key: KeyHash) -> Option<(u32, Print)> {
        match self.last.find(key) {
            Some(found) if self.of.has_entry(found.0) => Some(found),
            // What is known of this row's org stands elsewhere, and the next row may still be the next one.
            Some(_) => self.other.find(key).filter(|(at, _)| self.of.has_entry(*at)),
            None => {
                let found = self.other.find(key)?;
                std::mem::swap(&mut self.last, &mut self.other);
                self.of.has_entry(found.0).then_some(found)
            }
        }
    }

    /// A key anywhere, which is not where [`Places::find`] looks.
    pub(super) fn search(&mut self, key: KeyHash) -> (u32, Print) {
        let at = self.of.find(key);
        if at == NOWHERE {
            return (at, 0);
        }
        if !self.last.has_passed(key) {
            std::mem::swap(&mut self.last, &mut self.other);
            self.last.next = at as usize + 1;
        } else {
            self.other.next = at as usize + 1;
        }
        (at, self.of.print(at))
    }
}

/// Rows that are at hand, and where to look next.
pub(super) struct Window<'a> {
    of: &'a Ordered,
    slots: Vec<Slot>,
    first: usize,
    next: usize,
}

impl<'a> Window<'a> {
    /// At no place yet.
    pub(super) fn new(of: &'a Ordered) -> Self {
        Window { of, slots: Vec::new(), first: 0, next: usize::MAX }
    }

    /// A key at the place or a little after it, with the fingerprint there. If it is there, what comes after it is next.
    #[inline]
    fn find(&mut self, key: KeyHash) -> Option<(u32, Print)> {
        let (wanted, next) = (Slot::new(key, 0), self.next);
        let ahead = self.ahead(next, AHEAD);
        let skipped = ahead.iter().position(|slot| slot.has_key_of(wanted))?;
        let print = ahead[skipped].print();
        self.next = next + skipped + 1;
        Some(((next + skipped) as u32, print))
    }

    /// Whether the row before the place has this key.
    fn has_passed(&self, key: KeyHash) -> bool {
        let before = self.next.checked_sub(self.first + 1).and_then(|at| self.slots.get(at));
        before.is_some_and(|slot| slot.has_key_of(Slot::new(key, 0)))
    }

    /// One row; zero where there is none.
    pub(super) fn at(&mut self, at: u32) -> Slot {
        self.ahead(at as usize, 1).first().copied().unwrap_or_default()
    }

    /// So many rows from a position on, fewer at the end.
    #[inline]
    fn ahead(&mut self, at: usize, wanted: usize) -> &[Slot] {
        let wanted = wanted.min(self.of.end.saturating_sub(at));
        if wanted == 0 {
            return &[];
        }
        if at < self.first || at + wanted > self.first + self.slots.len() {
            self.read(at);
        }
        &self.slots[at - self.first..at - self.first + wanted]
    }

    /// Reads from a position on: twice as much as before where that is where reading goes on.
    fn read(&mut self, at: usize) {
        let goes_on = (self.first..=self.first + self.slots.len()).contains(&at);
        let size = if goes_on { (self.slots.len() * 2).clamp(NEAR, WINDOW) } else { NEAR };
        self.slots.resize(size.min(self.of.end - at), Slot::default());
        self.of.rows.read(at as u32, &mut self.slots);
        self.first = at;
    }
}
