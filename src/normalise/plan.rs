//! What each column of tonight's extract is to become.

use super::dictionary::Memory;
use super::drift::{self, Drift, DriftProblem};
use super::kinds::{kind_of, may_arrive_as};
use crate::row::{Column, Kind, Schema};
use crate::source::{KIND_JSON, KIND_KEY, Typing};
use arrow::datatypes::{DataType, Field, SchemaRef};
use std::sync::Arc;

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
    pub(super) fn is_required(self) -> bool {
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

/// The conversion of every column of an extract.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) schema: Schema,
    pub(super) roles: Vec<Role>,
    pub(super) pinned: Vec<bool>,
    pub(super) text_kept: Vec<bool>,
    /// Shared by clones: what is remembered depends on nothing but the arrays.
    pub(super) dictionaries: Arc<Memory>,
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
        let mut plan = Plan {
            schema: Schema::default(),
            roles: Vec::new(),
            pinned: Vec::new(),
            text_kept: Vec::new(),
            dictionaries: Arc::default(),
        };
        let mut problems = Vec::new();
        for field in extract.fields() {
            let (column, role) = (field.name().clone(), role(field.name()));
            let tonight = tonight_kind(field, typing)?;
            let pinned = pinned.and_then(|p| pinned_kind(p, &column));
            let kind = settled(field, typing, role, pinned, tonight).unwrap_or_else(|pinned| {
                problems.push(DriftProblem::Retyped { column: column.clone(), pinned, tonight });
                pinned
            });
            plan.schema.columns.push(Column { name: column, kind });
            plan.roles.push(role);
            plan.pinned.push(pinned.is_some());
            plan.text_kept.push(false);
        }
        let new = pinned.map(|pinned| drift::new_columns(pinned, &plan.schema)).unwrap_or_default();
        problems.extend(pinned.map(|pinned| drift::gone(&plan.schema, pinned, role)).unwrap_or_default());
        if problems.is_empty() { Ok(plan) } else { Err(Drift { problems, new }.into()) }
    }

    /// The kinds that tonight's extract has of its own, for [`accepted`](super::accepted). A column without a type of its
    /// own (NULL throughout) has its pinned one, or is left out. So does text that was pinned have, where tonight's types
    /// are a guess only or the column is an id.
    ///
    /// # Errors
    /// Types that cannot be sent.
    pub fn tonight(
        extract: &SchemaRef,
        typing: &Typing,
        pinned: &Schema,
        role: &dyn Fn(&str) -> Role,
    ) -> Result<Schema, PlanError> {
        let guess = matches!(typing, Typing::Guess(_));
        let mut columns = Vec::new();
        for field in extract.fields() {
            let (name, is_key) = (field.name().clone(), role(field.name()) == Role::Key);
            let own = tonight_kind(field, typing)?;
            let kind = match pinned_kind(pinned, &name) {
                pinned if *field.data_type() == DataType::Null => pinned,
                None if is_key && guess => Some(Kind::Text),
                Some(Kind::Text) if guess || (is_key && own == Kind::Int) => Some(Kind::Text),
                _ => Some(own),
            };
            columns.extend(kind.map(|kind| Column { name, kind }));
        }
        Ok(Schema { columns })
    }

    /// The schema of canonical batches: every column of the extract, in its order.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The columns that the pinned schema does not have; without one, all.
    pub fn new_columns(&self) -> impl Iterator<Item = &Column> {
        self.schema.columns.iter().zip(&self.pinned).filter(|(_, pinned)| !**pinned).map(|(column, _)| column)
    }
}

fn pinned_kind(pinned: &Schema, column: &str) -> Option<Kind> {
    pinned.index_of(column).map(|index| pinned.columns[index].kind)
}

/// The kind that a column is read as, or the pinned kind if tonight's cannot be read as that.
fn settled(field: &Field, typing: &Typing, role: Role, pinned: Option<Kind>, tonight: Kind) -> Result<Kind, Kind> {
    match pinned {
        None if role == Role::Key && matches!(typing, Typing::Guess(_)) => Ok(Kind::Text),
        None => Ok(tonight),
        // The declared type of a payload-only column may change; only a guess is bound by what it was.
        Some(pinned) if !role.is_required() && pinned != tonight && !untyped(field, typing) => Ok(tonight),
        Some(pinned) if untyped(field, typing) || may_arrive_as(pinned, tonight) => Ok(pinned),
        // CSV and Parquet of the same orgs: an id that was read as text may come as a number.
        Some(Kind::Text) if role == Role::Key && tonight == Kind::Int => Ok(Kind::Text),
        Some(pinned) => Err(pinned),
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
