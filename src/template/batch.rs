//! One body for several rows: a Liquid template over `rows`.
//!
//! In: a template and a schema; then rows, each made ready once. Out: a JSON body for any of them, in any grouping: a batch
//! that is refused as too large is split and rendered again without its rows being read again.
//! Always holds: what holds for a body of one row (`liquid`).

use super::liquid::{About, Liquid, Makes, Subject, Words};
use super::{Meta, RenderError, TemplateError};
use crate::row::{RowRef, Schema, Value};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

/// A template over `rows`, compiled against one schema. Shared between threads.
///
/// Its variables: `rows` (each with its columns, and `op` and `message_id` where no column has the name), `job`, `run_at`.
#[derive(Debug)]
pub struct BatchTemplate {
    liquid: Liquid,
    schema: Schema,
}

/// A row with its values, ready to be rendered with others, as often as need be.
#[derive(Debug, Clone)]
pub struct PreparedRow {
    values: Vec<Cell>,
    operation: &'static str,
    webhook_id: Box<str>,
}

/// What a batch is part of.
#[derive(Debug, Clone, Copy)]
pub struct BatchMeta<'a> {
    /// The job's name.
    pub job: &'a str,
    /// When the run started.
    pub at: DateTime<Utc>,
}

impl BatchTemplate {
    /// Compiles a template for rows of `schema`.
    ///
    /// # Errors
    /// All problems, each with its line and column in the template.
    pub fn compile(template: &str, schema: &Schema) -> Result<BatchTemplate, Vec<TemplateError>> {
        let liquid = Liquid::compile(template, schema, About::Rows, Makes::Json)?;
        Ok(BatchTemplate { liquid, schema: schema.clone() })
    }

    /// Takes a row's values, whose schema is the one that the template was compiled for.
    pub fn prepare(row: RowRef<'_>, meta: &Meta<'_>) -> PreparedRow {
        PreparedRow {
            values: (0..row.schema.columns.len()).map(|column| Cell::of(row.value(column))).collect(),
            operation: meta.operation,
            webhook_id: meta.webhook_id.into(),
        }
    }

    /// The body for these rows, in their order.
    ///
    /// # Errors
    /// When their values cannot make a valid body. Rendered one by one, the rows that can are told from those that cannot.
    pub fn render(&self, rows: &[PreparedRow], meta: &BatchMeta<'_>) -> Result<String, RenderError> {
        let words = Words { job: meta.job, operation: "", webhook_id: "", at: meta.at };
        self.liquid.render(Subject::Rows(&self.schema, rows), words)
    }
}

impl PreparedRow {
    /// The value of a column by position in the schema; NULL for one that the row does not have.
    pub(super) fn value(&self, column: usize) -> Value<'_> {
        self.values.get(column).map_or(Value::Null, Cell::value)
    }

    /// What a row of a batch knows besides its columns.
    pub(super) fn about(&self, name: &str) -> Option<&str> {
        match name {
            "op" => Some(self.operation),
            "message_id" => Some(&self.webhook_id),
            _ => None,
        }
    }
}

/// A [`Value`] that owns its text.
#[derive(Debug, Clone)]
enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Decimal { unscaled: i128, scale: i8 },
    Float(f64),
    Text(Box<str>),
    Date(NaiveDate),
    Time(NaiveTime),
    Timestamp(DateTime<Utc>),
    LocalTimestamp(NaiveDateTime),
    Json(Box<str>),
}

impl Cell {
    fn of(value: Value<'_>) -> Cell {
        match value {
            Value::Null => Cell::Null,
            Value::Bool(v) => Cell::Bool(v),
            Value::Int(v) => Cell::Int(v),
            Value::Decimal { unscaled, scale } => Cell::Decimal { unscaled, scale },
            Value::Float(v) => Cell::Float(v),
            Value::Text(v) => Cell::Text(v.into()),
            Value::Date(v) => Cell::Date(v),
            Value::Time(v) => Cell::Time(v),
            Value::Timestamp(v) => Cell::Timestamp(v),
            Value::LocalTimestamp(v) => Cell::LocalTimestamp(v),
            Value::Json(v) => Cell::Json(v.into()),
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Cell::Null => Value::Null,
            Cell::Bool(v) => Value::Bool(*v),
            Cell::Int(v) => Value::Int(*v),
            Cell::Decimal { unscaled, scale } => Value::Decimal { unscaled: *unscaled, scale: *scale },
            Cell::Float(v) => Value::Float(*v),
            Cell::Text(v) => Value::Text(v),
            Cell::Date(v) => Value::Date(*v),
            Cell::Time(v) => Value::Time(*v),
            Cell::Timestamp(v) => Value::Timestamp(*v),
            Cell::LocalTimestamp(v) => Value::LocalTimestamp(*v),
            Cell::Json(v) => Value::Json(v),
        }
    }
}
