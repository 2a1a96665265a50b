//! Columns and their kinds.

use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a column holds, after normalisation. Each kind has one canonical Arrow type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `Boolean`
    Bool,
    /// `Int64`
    Int,
    /// `Decimal128(38, scale)`; also unsigned 64-bit integers, with scale 0.
    Decimal {
        /// Digits after the decimal point, 0–38.
        scale: i8,
    },
    /// `Float64`
    Float,
    /// `Utf8View`, compared byte for byte.
    Text,
    /// `Date32`
    Date,
    /// `Time64(microsecond)`
    Time,
    /// `Timestamp(microsecond, "UTC")`: an instant.
    Timestamp,
    /// `Timestamp(microsecond)` without a zone: what a clock on a wall showed.
    LocalTimestamp,
    /// `Utf8View` holding canonical JSON (keys sorted, numbers by value), so that text equality is structural equality.
    Json,
}

impl Kind {
    /// The one Arrow type that a canonical column of this kind has.
    pub fn arrow_type(self) -> DataType {
        match self {
            Kind::Bool => DataType::Boolean,
            Kind::Int => DataType::Int64,
            Kind::Decimal { scale } => DataType::Decimal128(38, scale),
            Kind::Float => DataType::Float64,
            Kind::Text | Kind::Json => DataType::Utf8View,
            Kind::Date => DataType::Date32,
            Kind::Time => DataType::Time64(TimeUnit::Microsecond),
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
            Kind::LocalTimestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Bool => f.write_str("bool"),
            Kind::Int => f.write_str("int"),
            Kind::Decimal { scale } => write!(f, "decimal({scale})"),
            Kind::Float => f.write_str("float"),
            Kind::Text => f.write_str("text"),
            Kind::Date => f.write_str("date"),
            Kind::Time => f.write_str("time"),
            Kind::Timestamp => f.write_str("timestamp"),
            Kind::LocalTimestamp => f.write_str("local timestamp"),
            Kind::Json => f.write_str("json"),
        }
    }
}

/// A named column of one kind. Names are case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The name as the extract has it.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

/// The columns of an extract, in the extract's order; names are unique.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Schema {
    /// The columns in order.
    pub columns: Vec<Column>,
}

/// A name that the schema lacks.
#[derive(Debug, thiserror::Error)]
#[error("column `{name}` is not in the extract, which has: {have}")]
pub struct SchemaError {
    /// The name asked for.
    pub name: String,
    /// The names there are, joined by commas.
    pub have: String,
}

impl Schema {
    /// The position of a column, if there is one of that name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// The positions of several columns.
    ///
    /// # Errors
    /// The first name that is missing.
    pub fn indices_of<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<usize>, SchemaError> {
        names
            .iter()
            .map(|name| {
                self.index_of(name.as_ref())
                    .ok_or_else(|| SchemaError { name: name.as_ref().to_owned(), have: self.names().join(", ") })
            })
            .collect()
    }

    /// All names in order.
    pub fn names(&self) -> Vec<String> {
        self.columns.iter().map(|c| c.name.clone()).collect()
    }

    /// The canonical Arrow schema, every field nullable.
    pub fn arrow(&self) -> SchemaRef {
        let fields: Vec<Field> = self.columns.iter().map(|c| Field::new(&c.name, c.kind.arrow_type(), true)).collect();
        Arc::new(arrow::datatypes::Schema::new(fields))
    }
}
