//! The source: which orgs there are, and with which values.

use super::history::{Turn, VALUES};
use std::collections::BTreeMap;
use std::path::Path;

/// An org by its number.
pub type Org = u8;
/// Its value.
pub type Value = u8;

/// The key of an org.
pub fn key(org: Org) -> String {
    format!("ws_{org}")
}

/// The reverse of [`key`].
pub fn org(key: &str) -> Option<Org> {
    key.strip_prefix("ws_")?.parse().ok()
}

/// A value as the extract has it.
pub fn text(value: Value) -> String {
    format!("p{value}")
}

/// The reverse of [`text`].
pub fn value(text: &str) -> Option<Value> {
    text.strip_prefix('p')?.parse().ok()
}

struct Row {
    is_here: bool,
    now: Value,
    before: Value,
}

/// The orgs tonight.
pub struct Source {
    rows: Vec<Row>,
}

impl Source {
    pub fn new(orgs: u8) -> Self {
        Source { rows: (0..orgs).map(|org| Row { is_here: true, now: org % VALUES, before: 0 }).collect() }
    }

    /// Returns what it came to, if anything.
    pub fn turn(&mut self, org: Org, turn: Turn) -> Option<Turn> {
        let org = usize::from(org) % self.rows.len();
        let is_first = org == 0;
        let row = &mut self.rows[org];
        match turn {
            Turn::Change => {
                (row.before, row.now, row.is_here) = (row.now, (row.now + 1) % VALUES, true);
            }
            Turn::Revert if row.is_here && row.now != row.before => std::mem::swap(&mut row.before, &mut row.now),
            Turn::Delete if row.is_here && !is_first => row.is_here = false,
            // So that those that go also come back.
            _ if !row.is_here => {
                row.is_here = true;
                return Some(Turn::Reappear);
            }
            Turn::Revert | Turn::Delete | Turn::Reappear => return None,
        }
        Some(turn)
    }

    pub fn tonight(&self) -> BTreeMap<Org, Value> {
        (0..).zip(&self.rows).filter(|(_, row)| row.is_here).map(|(org, row)| (org, row.now)).collect()
    }

    pub fn write(&self, path: &Path) {
        let rows = self.tonight().into_iter().map(|(org, now)| format!("{},{}\n", key(org), text(now)));
        let csv: String = std::iter::once("workspace_id,plan_id\n".to_owned()).chain(rows).collect();
        std::fs::write(path, csv).unwrap();
    }
}
