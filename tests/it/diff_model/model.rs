//! The naive side: a map of what the destination is known to have.

use super::cells::Cell;
use super::{Case, Night};
use nightmark::diff::Operation;
use nightmark::row::{equal, within};
use std::collections::BTreeMap;

/// What is expected of one org: the operation, the key as text, and the before-values as text.
pub type Op = (Operation, String, Option<Vec<String>>);

pub struct Model {
    known: BTreeMap<String, Vec<Cell>>,
}

impl Model {
    pub fn new(_: &Case) -> Self {
        Model { known: BTreeMap::new() }
    }

    fn tonight(case: &Case, night: &Night) -> BTreeMap<String, Vec<Vec<Cell>>> {
        let mut rows: BTreeMap<String, Vec<Vec<Cell>>> = BTreeMap::new();
        for (key, cells) in case.rows(night) {
            rows.entry(key.value().text()).or_default().push(cells);
        }
        rows
    }

    /// What is to be sent, by key.
    pub fn plan(&mut self, case: &Case, night: &Night) -> Vec<Op> {
        let tonight = Self::tonight(case, night);
        let texts = |cells: &Vec<Cell>| cells.iter().map(shown).collect::<Vec<_>>();
        let mut ops = Vec::new();
        for (key, rows) in &tonight {
            let [row] = rows.as_slice() else { continue };
            match self.known.get(key) {
                None => ops.push((Operation::Added, key.clone(), None)),
                Some(known) => {
                    let same = case.columns.iter().zip(known.iter().zip(row));
                    if !same.into_iter().all(|(c, (a, b))| within(a.value(), b.value(), &c.form)) {
                        ops.push((Operation::Changed, key.clone(), Some(texts(known))));
                    }
                }
            }
        }
        if case.removed {
            let gone = self.known.iter().filter(|(key, _)| !tonight.contains_key(*key));
            ops.extend(gone.map(|(key, known)| (Operation::Removed, key.clone(), Some(texts(known)))));
        }
        ops.sort_by(|a, b| a.1.cmp(&b.1));
        ops
    }

    /// The destination has taken a change.
    pub fn take(&mut self, case: &Case, night: &Night, operation: Operation, key: &str) {
        if operation == Operation::Removed {
            self.known.remove(key);
        } else if let Some([row]) = Self::tonight(case, night).get(key).map(Vec::as_slice) {
            self.known.insert(key.to_owned(), row.clone());
        }
    }
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Json(text) => serde_json::json!({ "json": text }).to_string(),
        other => other.value().text(),
    }
}

/// The same operations and keys, and before-values that are exactly what the destination has taken.
#[track_caller]
pub fn assert_same(got: &[Op], expected: &[Op], case: &Case, night: usize) {
    let keys = |ops: &[Op]| ops.iter().map(|(operation, key, _)| (*operation, key.clone())).collect::<Vec<_>>();
    assert_eq!(keys(got), keys(expected), "night {night}\n{case:?}");
    for ((_, key, got), (_, _, expected)) in got.iter().zip(expected) {
        let (Some(got), Some(expected)) = (got, expected) else {
            assert_eq!(got, expected, "{key}, night {night}\n{case:?}");
            continue;
        };
        for ((column, got), expected) in case.columns.iter().zip(got).zip(expected) {
            assert!(alike(got, expected), "{key}, night {night}, {column:?}: {got} is not {expected}\n{case:?}");
        }
    }
    // The definition itself is used above; a form that held nothing apart would make this test worthless.
    assert!(!equal(Cell::Int(0).value(), Cell::Null.value(), &case.columns[0].form));
}

/// Zero has one value and two spellings as a float.
fn alike(a: &str, b: &str) -> bool {
    a == b || (a.trim_start_matches('-') == "0" && b.trim_start_matches('-') == "0")
}
