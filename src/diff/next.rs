//! The entries of the next sidecar, in the order of their key hashes.

use super::added::Added;
use super::{Entry, Flags, Matcher};
use crate::row::{KeyHash, Print};

/// Entries that are looked at together, since where positions are not in the order of keys each look waits for memory.
const AT_ONCE: usize = 512;

/// Walks the table and the added keys in one order. The rows of the entries count over tonight's extract, then over the kept
/// rows.
pub struct Next<'a> {
    matcher: &'a Matcher<'a>,
    /// Key and fingerprint of the table's entries in the order of keys, where the table has them in another one.
    by_key: Option<ByKey<'a>>,
    /// In the order of keys: the positions of the kept entries and their rows among the kept.
    kept: std::iter::Peekable<std::vec::IntoIter<(u32, u32)>>,
    renewed: std::iter::Peekable<std::slice::Iter<'a, (u32, Print)>>,
    added: std::iter::Peekable<std::slice::Iter<'a, Added>>,
    /// Entries of the table, in the order of keys, and which of the table's are still to come.
    ahead: std::vec::IntoIter<Looked>,
    rank: usize,
    /// Rows of tonight's extract: kept rows are counted after them.
    rows: u32,
}

/// Key and fingerprint of entries in the order of keys.
pub type ByKey<'a> = Box<dyn Iterator<Item = (KeyHash, Print)> + 'a>;

/// What the table has at a position, and the row of tonight.
#[derive(Clone, Copy)]
struct Looked {
    at: u32,
    key: KeyHash,
    print: Print,
    tonight: Option<u32>,
}

impl<'a> Next<'a> {
    /// `kept`: position and rank among the kept rows, in the order of keys. `rows`: of tonight's extract and of what was
    /// kept before (other partitions).
    pub(super) fn new(matcher: &'a Matcher<'a>, by_key: Option<ByKey<'a>>, kept: Vec<(u32, u32)>, rows: u32) -> Self {
        Next {
            kept: kept.into_iter().peekable(),
            renewed: matcher.renewed.iter().peekable(),
            added: matcher.added.iter().peekable(),
            ahead: Vec::new().into_iter(),
            rank: 0,
            rows,
            by_key,
            matcher,
        }
    }

    /// The next entry of the table, which is not gone past yet.
    fn look(&mut self) -> Option<Looked> {
        if self.ahead.as_slice().is_empty() {
            let (matcher, table) = (self.matcher, self.matcher.table);
            let end = (self.rank + AT_ONCE).min(table.len());
            matcher.touch((self.rank..end).map(|rank| table.at(rank)));
            let by_key = &mut self.by_key;
            let look = |rank| {
                let at = table.at(rank);
                let (key, print) = match by_key {
                    None => (table.key(at), table.print(at)),
                    Some(by_key) => by_key.next()?,
                };
                debug_assert_eq!((key, print), (table.key(at), table.print(at)), "both are the same entries");
                Some(Looked { at, key, print, tonight: matcher.tonight(at) })
            };
            self.ahead = (self.rank..end).map_while(look).collect::<Vec<_>>().into_iter();
            self.rank = end;
        }
        self.ahead.as_slice().first().copied()
    }

    /// The next entry for one of the table; `None` if the org is not in the next base.
    fn known(&mut self, known: Looked) -> Option<Entry> {
        let Looked { at, key, print, tonight } = known;
        let kept = self.kept.next_if(|(kept, _)| *kept == at);
        let renewed = self.renewed.next_if(|(renewed, _)| *renewed == at);
        if let Some((_, rank)) = kept {
            return Some(Entry { key, print, row: self.rows + rank, flags: self.matcher.kept_flags(at) });
        }
        let print = renewed.map_or(print, |(_, print)| *print);
        Some(Entry { key, print, row: tonight?, flags: Flags::default() })
    }
}

impl Iterator for Next<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let known = self.look();
            let added = self.added.peek().map(|a| a.key);
            match (known, added) {
                (None, None) => return None,
                (Some(known), Some(added)) if added < known.key => {}
                (Some(known), _) => {
                    self.ahead.next();
                    match self.known(known) {
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
