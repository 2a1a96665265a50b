//! What each column of tonight's extract is to become.

use super::kinds::{kind_of, may_arrive_as};
use crate::row::{Column, Kind, Schema};
use crate::source::{KIND_JSON, KIND_KEY, Typing};
use arrow::datatypes::{DataType, Field, SchemaRef};

/// What a column is for, which decides what happens when a value does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Part of the key: as [`Role::Strict`], and text unless the source declares a type. An id is a name: `007` and `7` are
    /// two orgs, and one day an id has a letter in it.
    Key,
    /// Compared: its pinned kind is law. Missing or of another type, it is drift; a value that does not fit is a reject.
    Strict,
    /// Payload-only: it never holds a run. A value that does not fit the pinned kind is a reject of its row, since the
    /// destination expects the kind that it was sent before.
    Payload,
    /// Ignored: it never rejects a row; values that do not fit make it text.
    Ignored,
}

impl Role {
    fn is_required(self) -> bool {
        matches!(self, Role::Key | Role::Strict)
    }
}

/// Why an extract cannot be normalised.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A column has a type that cannot be compared or sent.
    #[error("column `{column}` has the type {data_type}: {hint}")]
    Unsupported {
        /// The column.
        column: String,
        /// Its Arrow type.
        data_type: String,
        /// What to do.
        hint: &'static str,
    },
    /// The extract no longer fits the pinned schema.
    #[error(transparent)]
    Drift(#[from] Drift),
}

/// How tonight's extract departs from the schema that was pinned with the first base.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the extract's schema has drifted: {}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Drift {
    /// Every difference that matters.
    pub problems: Vec<DriftProblem>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriftProblem {
    /// A key or compared column is gone.
    #[error("column `{column}` ({kind}) is gone{}", .candidates.first().map(|c| format!("; was it renamed to `{c}`?")).unwrap_or_default())]
    Gone {
        /// The column.
        column: String,
        /// Its pinned kind.
        kind: Kind,
        /// New columns of the same kind.
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

/// The conversion of every column of an extract.
#[derive(Debug, Clone)]
pub struct Plan {
    schema: Schema,
    roles: Vec<Role>,
    text_kept: Vec<bool>,
}

impl Plan {
    /// Decides each column's kind: the pinned one where there is one, else what the source declares or what its text looks
    /// like. `role` says what a column is for.
    ///
    /// # Errors
    /// Types that cannot be sent, or drift from the pinned schema.
    pub fn new(
        extract: &SchemaRef,
        typing: &Typing,
        pinned: Option<&Schema>,
        role: &dyn Fn(&str) -> Role,
    ) -> Result<Self, PlanError> {
        let mut columns = Vec::new();
        let mut roles = Vec::new();
        let mut problems = Vec::new();
        for field in extract.fields() {
            let name = field.name().as_str();
            let column_role = role(name);
            let tonight = tonight_kind(field, typing)?;
            let kind = match pinned.and_then(|p| p.index_of(name).map(|i| p.columns[i].kind)) {
                None if column_role == Role::Key && matches!(typing, Typing::Guess(_)) => Kind::Text,
                None => tonight,
                // The declared type of a payload-only column may change; only a guess is bound by what it was.
                Some(pinned_kind)
                    if !column_role.is_required() && pinned_kind != tonight && !untyped(field, typing) =>
                {
                    tonight
                }
                Some(pinned_kind) if untyped(field, typing) || may_arrive_as(pinned_kind, tonight) => pinned_kind,
                // CSV and Parquet of the same orgs: an id that was read as text may come as a number.
                Some(Kind::Text) if column_role == Role::Key && tonight == Kind::Int => Kind::Text,
                Some(pinned_kind) => {
                    problems.push(DriftProblem::Retyped { column: name.to_owned(), pinned: pinned_kind, tonight });
                    pinned_kind
                }
            };
            columns.push(Column { name: name.to_owned(), kind });
            roles.push(column_role);
        }
        let schema = Schema { columns };
        problems.extend(gone(&schema, pinned, role));
        if !problems.is_empty() {
            return Err(Drift { problems }.into());
        }
        let text_kept = vec![false; roles.len()];
        Ok(Plan { schema, roles, text_kept })
    }

    /// The canonical schema that [`Plan::normalise`] yields.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What a column is for, by position in the schema.
    pub(super) fn role(&self, index: usize) -> Role {
        self.roles[index]
    }

    /// Whether a column is kept as text although its kind was another one.
    pub(super) fn is_text_kept(&self, index: usize) -> bool {
        self.text_kept[index]
    }

    /// An ignored column whose values do not fit is text from now on.
    pub fn keep_text(&mut self, column: &str) {
        if let Some(index) = self.schema.index_of(column) {
            self.schema.columns[index].kind = Kind::Text;
            self.text_kept[index] = true;
        }
    }
}

fn tonight_kind(field: &Field, typing: &Typing) -> Result<Kind, PlanError> {
    let (name, data_type) = (field.name().as_str(), field.data_type());
    if field.metadata().get(KIND_KEY).is_some_and(|kind| kind == KIND_JSON) {
        return Ok(Kind::Json);
    }
    if let Typing::Guess(guess) = typing
        && let Some(index) = guess.index_of(name)
    {
        return Ok(guess.columns[index].kind);
    }
    kind_of(data_type).map_err(|hint| PlanError::Unsupported {
        column: name.to_owned(),
        data_type: data_type.to_string(),
        hint,
    })
}

/// Text with a guess is parsed as the pinned kind, value by value; so is a column that is NULL throughout.
fn untyped(field: &Field, typing: &Typing) -> bool {
    matches!(typing, Typing::Guess(_)) || *field.data_type() == DataType::Null
}

fn gone(schema: &Schema, pinned: Option<&Schema>, role: &dyn Fn(&str) -> Role) -> Vec<DriftProblem> {
    let Some(pinned) = pinned else { return Vec::new() };
    let missing = pinned.columns.iter().filter(|c| role(&c.name).is_required() && schema.index_of(&c.name).is_none());
    missing
        .map(|column| DriftProblem::Gone {
            column: column.name.clone(),
            kind: column.kind,
            candidates: schema
                .columns
                .iter()
                .filter(|c| c.kind == column.kind && pinned.index_of(&c.name).is_none())
                .map(|c| c.name.clone())
                .collect(),
        })
        .collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
