//! Values of SQLite: packed with their storage class, and decoded into the column's type.

use crate::source::SourceError;
use crate::source::sql::tuples::{Garbled, Tuples};
use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, NullArray, RecordBatch, RecordBatchOptions,
    StringViewBuilder,
};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use std::sync::Arc;

/// A value and its class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'v> {
    Integer(i64),
    Real(f64),
    Text(&'v [u8]),
    Blob,
}

impl<'v> Value<'v> {
    /// Adds it to the row that was begun last.
    pub(super) fn pack(self, tuples: &mut Tuples, room: &mut Vec<u8>) {
        room.clear();
        match self {
            Value::Integer(value) => {
                room.push(b'i');
                room.extend_from_slice(&value.to_le_bytes());
            }
            Value::Real(value) => {
                room.push(b'r');
                room.extend_from_slice(&value.to_le_bytes());
            }
            Value::Text(text) => {
                room.push(b't');
                room.extend_from_slice(text);
            }
            Value::Blob => room.push(b'b'),
        }
        tuples.field(Some(room));
    }

    fn read(bytes: &'v [u8]) -> Option<Self> {
        let (class, rest) = bytes.split_first()?;
        Some(match class {
            b'i' => Value::Integer(i64::from_le_bytes(rest.try_into().ok()?)),
            b'r' => Value::Real(f64::from_le_bytes(rest.try_into().ok()?)),
            b't' => Value::Text(rest),
            b'b' => Value::Blob,
            _ => return None,
        })
    }

    fn class(self) -> &'static str {
        match self {
            Value::Integer(_) => "an integer",
            Value::Real(_) => "a real",
            Value::Text(_) => "text",
            Value::Blob => "a blob",
        }
    }
}

/// What makes batches of tuples.
pub(super) struct Decoder {
    schema: SchemaRef,
}

enum Misread {
    Garbled,
    /// Its position, and what it has.
    Class(usize, String),
    Arrow(ArrowError),
}

impl From<Garbled> for Misread {
    fn from(_: Garbled) -> Self {
        Misread::Garbled
    }
}

enum Building {
    Null(usize),
    Bool(BooleanBuilder),
    Integer(Int64Builder),
    Real(Float64Builder),
    Text(StringViewBuilder),
}

impl Decoder {
    /// For tuples that have these columns of the extract, by position.
    pub(super) fn new(schema: &SchemaRef, kept: &[usize]) -> Self {
        let fields: Vec<_> = kept.iter().map(|&index| Arc::clone(&schema.fields()[index])).collect();
        Decoder { schema: Arc::new(Schema::new(fields)) }
    }

    /// A piece as one batch.
    ///
    /// # Errors
    /// A value of another class than its column's.
    pub(super) fn batch(&self, tuples: &Tuples) -> Result<RecordBatch, SourceError> {
        self.decode(tuples).map_err(|misread| match misread {
            Misread::Garbled => SourceError::new("what SQLite gave are not rows of the query's columns"),
            Misread::Arrow(error) => SourceError::new(format!("the rows cannot be read: {error}")),
            Misread::Class(column, has) => {
                let field = self.schema.field(column);
                let (name, declared) = (field.name(), shown(field.data_type()));
                SourceError::new(format!("column `{name}` is declared as {declared}, and has a value that is {has}"))
                    .hint(format!(
                        "cast it in the query, such as CAST(\"{name}\" AS TEXT) AS \"{name}\", or mend the row"
                    ))
            }
        })
    }

    fn decode(&self, tuples: &Tuples) -> Result<RecordBatch, Misread> {
        let new = |field: &arrow::datatypes::FieldRef| match field.data_type() {
            DataType::Boolean => Building::Bool(BooleanBuilder::with_capacity(tuples.rows)),
            DataType::Int64 => Building::Integer(Int64Builder::with_capacity(tuples.rows)),
            DataType::Float64 => Building::Real(Float64Builder::with_capacity(tuples.rows)),
            DataType::Null => Building::Null(0),
            _ => Building::Text(StringViewBuilder::with_capacity(tuples.rows)),
        };
        let mut columns: Vec<Building> = self.schema.fields().iter().map(new).collect();
        tuples.each(columns.len(), |_, field, bytes| {
            let value = bytes.map(|bytes| Value::read(bytes).ok_or(Misread::Garbled)).transpose()?;
            columns[field].take(value).map_err(|has| Misread::Class(field, has))
        })?;
        let arrays = columns.into_iter().map(Building::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(tuples.rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options).map_err(Misread::Arrow)
    }
}

impl Building {
    /// `Err`: what the value is, where it should be something else.
    fn take(&mut self, value: Option<Value<'_>>) -> Result<(), String> {
        match (self, value) {
            (Building::Null(rows), None) => *rows += 1,
            (Building::Bool(builder), None) => builder.append_null(),
            (Building::Integer(builder), None) => builder.append_null(),
            (Building::Real(builder), None) => builder.append_null(),
            (Building::Text(builder), None) => builder.append_null(),
            (Building::Bool(builder), Some(Value::Integer(value @ (0 | 1)))) => builder.append_value(value == 1),
            (Building::Bool(_), Some(Value::Integer(value))) => return Err(value.to_string()),
            (Building::Integer(builder), Some(Value::Integer(value))) => builder.append_value(value),
            (Building::Real(builder), Some(Value::Real(value))) => builder.append_value(value),
            // Among reals, a whole number may be stored as an integer; beyond 2^53 it would be another number.
            (Building::Real(builder), Some(Value::Integer(value))) => match value.unsigned_abs() <= 1 << 53 {
                true => builder.append_value(value as f64),
                false => return Err(format!("{value}, which no real is")),
            },
            (Building::Text(builder), Some(Value::Text(text))) => {
                builder.append_value(std::str::from_utf8(text).map_err(|_| "not UTF-8 text".to_owned())?);
            }
            (_, Some(other)) => return Err(other.class().to_owned()),
        }
        Ok(())
    }

    fn finish(self) -> ArrayRef {
        match self {
            Building::Null(rows) => Arc::new(NullArray::new(rows)),
            Building::Bool(mut builder) => Arc::new(builder.finish()),
            Building::Integer(mut builder) => Arc::new(builder.finish()),
            Building::Real(mut builder) => Arc::new(builder.finish()),
            Building::Text(mut builder) => Arc::new(builder.finish()),
        }
    }
}

fn shown(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "BOOLEAN",
        DataType::Int64 => "INTEGER",
        DataType::Float64 => "REAL",
        DataType::Null => "nothing",
        _ => "TEXT",
    }
}
