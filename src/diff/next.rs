//! The entries of the next sidecar, in the order of their key hashes.

use super::added::Added;
use super::{Entry, Flags, Matcher};
use crate::row::Print;

/// Walks the table and the added keys in one order. The rows of the entries count over tonight's extract, then over the kept
/// rows.
pub struct Next<'a> {
    matcher: &'a Matcher<'a>,
    /// By position in the table: the kept entries and their rows among the kept.
    kept: std::iter::Peekable<std::vec::IntoIter<(u32, u32)>>,
    renewed: std::iter::Peekable<std::slice::Iter<'a, (u32, Print)>>,
    added: std::iter::Peekable<std::slice::Iter<'a, Added>>,
    at: u32,
    /// Rows of tonight's extract: kept rows are counted after them.
    rows: u32,
}

impl<'a> Next<'a> {
    /// `kept`: position and rank among the kept rows, ascending by position. `rows`: of tonight's extract and of what was
    /// kept before (other partitions).
    pub(super) fn new(matcher: &'a Matcher<'a>, kept: Vec<(u32, u32)>, rows: u32) -> Self {
        Next {
            kept: kept.into_iter().peekable(),
            renewed: matcher.renewed.iter().peekable(),
            added: matcher.added.iter().peekable(),
            at: 0,
            rows,
            matcher,
        }
    }

    /// The entry at a position of the table; `None` if the org is not in the next base.
    fn known(&mut self, at: u32) -> Option<Entry> {
        let table = self.matcher.table;
        let (key, known) = (table.key(at), table.print(at));
        let kept = self.kept.next_if(|(kept, _)| *kept == at);
        let renewed = self.renewed.next_if(|(renewed, _)| *renewed == at);
        if let Some((_, rank)) = kept {
            return Some(Entry { key, print: known, row: self.rows + rank, flags: self.matcher.kept_flags(at) });
        }
        let row = self.matcher.tonight(at)?;
        Some(Entry { key, print: renewed.map_or(known, |(_, print)| *print), row, flags: Flags::default() })
    }
}

impl Iterator for Next<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let known = ((self.at as usize) < self.matcher.table.len()).then(|| self.matcher.table.key(self.at));
            let added = self.added.peek().map(|a| a.key);
            match (known, added) {
                (None, None) => return None,
                (Some(known), Some(added)) if added < known => {}
                (Some(_), _) => {
                    let at = self.at;
                    self.at += 1;
                    match self.known(at) {
                        Some(entry) => return Some(entry),
                        None => continue,
                    }
                }
                (None, Some(_)) => {}
            }
            let Some(added) = self.added.next() else { continue };
            if self.matcher.is_baseline(added) {
                let entry = Entry { key: added.key, print: added.print, row: added.row, flags: Flags::default() };
                return Some(entry);
            }
        }
    }
}
