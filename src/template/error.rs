//! What can be wrong with a payload, and where.

use crate::row::Schema;
use std::fmt;

/// Where in a payload a problem is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The payload as a whole.
    Payload,
    /// A field of a preset, by its dot path in the body.
    Field(String),
    /// A place in a Liquid template, both counted from 1, the column in characters.
    Template {
        /// The line within the template text.
        line: usize,
        /// The column within that line.
        column: usize,
    },
    /// A place in a template that stands in a field of its own, such as `destination.url`.
    Text {
        /// The field.
        field: String,
        /// The column within it, from 1, in characters.
        column: usize,
    },
}

impl Place {
    /// The same in a template of one line that is the text of this field.
    fn of(&self, field: &str) -> Place {
        let column = match self {
            Place::Template { column, .. } => *column,
            _ => 1,
        };
        Place::Text { field: field.to_owned(), column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Payload => f.write_str("payload"),
            Place::Field(path) => write!(f, "payload field `{path}`"),
            Place::Template { line, column } => write!(f, "payload template {line}:{column}"),
            Place::Text { field, column } => write!(f, "{field}, column {column}"),
        }
    }
}

/// A payload that cannot be compiled against a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct TemplateError {
    /// Where it is.
    pub place: Place,
    /// What is wrong, with the column's name where there is one.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A row that has no valid body. Holds at most 60 characters of the row's own text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct RenderError {
    /// Where it is.
    pub place: Place,
    /// What is wrong, with the column's name where there is one.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl TemplateError {
    /// The same of a template that is the text of this field.
    #[must_use]
    pub fn of(self, field: &str) -> Self {
        TemplateError { place: self.place.of(field), ..self }
    }

    pub(super) fn new(place: Place, message: impl Into<String>) -> Self {
        TemplateError { place, message: message.into(), hint: None }
    }

    pub(super) fn field(path: &str, message: impl Into<String>) -> Self {
        TemplateError::new(Place::Field(path.to_owned()), message)
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A column that the extract lacks.
    pub(super) fn no_column(place: Place, name: &str, schema: &Schema) -> Self {
        let names = schema.columns.iter().map(|c| c.name.as_str());
        let hint = match suggest(name, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the extract has: {}", names.collect::<Vec<_>>().join(", ")),
        };
        TemplateError::new(place, format!("column `{name}` is not in the extract")).hint(hint)
    }
}

impl RenderError {
    /// The same of a template that is the text of this field.
    #[must_use]
    pub fn of(self, field: &str) -> Self {
        RenderError { place: self.place.of(field), ..self }
    }

    pub(super) fn new(place: Place, message: impl Into<String>) -> Self {
        RenderError { place, message: message.into(), hint: None }
    }

    pub(super) fn field(path: &str, message: impl Into<String>) -> Self {
        RenderError::new(Place::Field(path.to_owned()), message)
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The candidate that `name` is most likely a misspelling of.
pub(super) fn suggest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    candidates
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
