//! How tonight's schema departs from the pinned one, and what to pin when the user takes it.

use super::kinds::{is_number, may_arrive_as};
use super::plan::Role;
use crate::row::{Column, Kind, Schema};

/// How tonight's extract departs from the schema that was pinned with the first base.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the extract's schema has drifted: {}; {}",
    .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    self.remedy()
)]
pub struct Drift {
    /// Every difference that matters.
    pub problems: Vec<DriftProblem>,
    /// Columns that the pinned schema does not have. They hold nothing.
    pub new: Vec<Column>,
}

/// One difference that holds the run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriftProblem {
    /// A key or compared column is gone.
    #[error("column `{column}` ({kind}) is gone{}", renamed(.candidates))]
    Gone {
        /// The column.
        column: String,
        /// Its pinned kind.
        kind: Kind,
        /// New columns that could be it by their kind, the likeliest first.
        candidates: Vec<String>,
    },
    /// A key or compared column has another type.
    #[error("column `{column}` was {pinned} and is {tonight} now")]
    Retyped {
        /// The column.
        column: String,
        /// Its pinned kind.
        pinned: Kind,
        /// What it is tonight.
        tonight: Kind,
    },
}

impl Drift {
    /// What to do about all the problems, as a sentence without a full stop.
    pub fn remedy(&self) -> String {
        let from_text = |p: &DriftProblem| matches!(p, DriftProblem::Retyped { pinned: Kind::Text, .. });
        let text = self.problems.iter().any(from_text);
        let accept = if text {
            "pin tonight's schema with `nightmark schema … accept`, if text was pinned only since the extract had no such type \
             then (CSV, NDJSON)"
        } else {
            "pin tonight's schema with `nightmark schema … accept`"
        };
        let restore = self.restore();
        let (first, second) = if text { (accept, restore.as_str()) } else { (restore.as_str(), accept) };
        format!("{first}; or {second}; or take what is not the key out of the comparison (diff.ignore)")
    }

    /// How to make the extract what it was.
    fn restore(&self) -> String {
        // A list of everything would bury the one command that mends it all.
        if self.problems.len() > 3 {
            return "give the columns their old names and types back, in the extract or its query".to_owned();
        }
        let way = |problem: &DriftProblem| match problem {
            DriftProblem::Gone { column, candidates, .. } => match candidates.first() {
                Some(new) => format!("give `{new}` its old name back (`{new} AS {column}` in a query)"),
                None => format!("bring `{column}` back"),
            },
            DriftProblem::Retyped { column, pinned, .. } => {
                format!("make `{column}` {pinned} again, in the extract or its query")
            }
        };
        self.problems.iter().map(way).collect::<Vec<_>>().join("; ")
    }
}

fn renamed(candidates: &[String]) -> String {
    match candidates {
        [] => String::new(),
        [only] => format!("; was it renamed to `{only}`?"),
        [first, others @ ..] => {
            let others: Vec<String> = others.iter().take(2).map(|other| format!("`{other}`")).collect();
            format!("; was it renamed to `{first}`? (or to {})", others.join(" or "))
        }
    }
}

/// Pinned columns that hold the run by being gone.
pub(super) fn gone(tonight: &Schema, pinned: &Schema, role: &dyn Fn(&str) -> Role) -> Vec<DriftProblem> {
    let missing = pinned.columns.iter().enumerate();
    missing
        .filter(|(_, column)| role(&column.name).is_required() && tonight.index_of(&column.name).is_none())
        .map(|(index, column)| DriftProblem::Gone {
            column: column.name.clone(),
            kind: column.kind,
            candidates: candidates(index, pinned, tonight),
        })
        .collect()
}

/// The columns of tonight that the pinned schema lacks.
pub(super) fn new_columns(pinned: &Schema, tonight: &Schema) -> Vec<Column> {
    tonight.columns.iter().filter(|c| pinned.index_of(&c.name).is_none()).cloned().collect()
}

/// New columns of a fitting kind, the likeliest new name of a pinned column first: by name, and by place.
fn candidates(index: usize, pinned: &Schema, tonight: &Schema) -> Vec<String> {
    let gone = &pinned.columns[index];
    let mut scored: Vec<(f64, &str)> = Vec::new();
    for (at, column) in tonight.columns.iter().enumerate() {
        if pinned.index_of(&column.name).is_some() || !may_arrive_as(gone.kind, column.kind) {
            continue;
        }
        let likeness = strsim::normalized_damerau_levenshtein(&gone.name.to_lowercase(), &column.name.to_lowercase());
        let before = |schema: &Schema, index: usize| index.checked_sub(1).map(|i| schema.columns[i].name.clone());
        let same_place = at == index || before(tonight, at) == before(pinned, index);
        let same_kind = gone.kind == column.kind;
        scored.push((likeness + place(same_place, 0.3) + place(same_kind, 0.2), &column.name));
    }
    // The sort is stable: of equals the first in the extract.
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored.into_iter().map(|(_, name)| name.to_owned()).collect()
}

fn place(given: bool, weight: f64) -> f64 {
    if given { weight } else { 0.0 }
}

/// The schema to pin when the user takes tonight's ([`Plan::tonight`](super::Plan::tonight)), and what that changes, in
/// words. Columns that are gone are dropped, new ones join at the end. A kind stays if tonight's values can be read as
/// it: an extract in a format without dates does not make text of a date. Of two number kinds that which holds both
/// counts.
pub fn accepted(pinned: &Schema, tonight: &Schema) -> (Schema, Vec<String>) {
    let mut columns = Vec::new();
    let mut words = Vec::new();
    for Column { name, kind } in &pinned.columns {
        let Some(now) = tonight.index_of(name).map(|index| tonight.columns[index].kind) else {
            words.push(format!("column `{name}` ({kind}) is dropped"));
            continue;
        };
        let both = merged(*kind, now);
        if both != *kind {
            words.push(format!("column `{name}` becomes {both} (it was {kind})"));
        }
        columns.push(Column { name: name.clone(), kind: both });
    }
    for column in new_columns(pinned, tonight) {
        words.push(format!("column `{}` ({}) is new", column.name, column.kind));
        columns.push(column);
    }
    (Schema { columns }, words)
}

fn merged(pinned: Kind, tonight: Kind) -> Kind {
    match (pinned, tonight) {
        (Kind::Decimal { scale: a }, Kind::Decimal { scale: b }) => Kind::Decimal { scale: a.max(b) },
        (wide, Kind::Int) if is_number(wide) => wide,
        _ if is_number(pinned) && is_number(tonight) => tonight,
        _ if may_arrive_as(pinned, tonight) => pinned,
        _ => tonight,
    }
}
