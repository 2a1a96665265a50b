//! What becomes of each type of MySQL and MariaDB. docs/sources/mysql.md has the same as a table.

use crate::source::sql::{Refused, json};
use arrow::datatypes::{DataType, Field, TimeUnit};
use sqlx::mysql::MySqlTypeInfo;
use sqlx::{MySql, Type, TypeInfo};

/// What a cell is decoded as, from its binary form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    /// `TINYINT(1)`, which is what `BOOLEAN` is.
    Bool,
    Int8,
    UInt8,
    Int16,
    UInt16,
    Int32,
    UInt32,
    Int64,
    UInt64,
    Float32,
    Float64,
    /// At most 38 digits.
    Decimal {
        scale: i8,
    },
    /// A decimal whose scale could not be asked for: a JSON number.
    Number,
    Text,
    /// Text that is JSON.
    Json,
    Date,
    /// A time of day; out of range, a length of time.
    Time,
    /// `DATETIME`
    Local,
    /// `TIMESTAMP`, in the session's zone, which is UTC.
    Instant,
    /// Nothing but NULL.
    Null,
}

/// A column of the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) cell: Cell,
}

impl Column {
    /// As the pipeline sees it.
    pub(super) fn field(&self) -> Field {
        let data_type = match self.cell {
            Cell::Bool => DataType::Boolean,
            Cell::Int8 => DataType::Int8,
            Cell::UInt8 => DataType::UInt8,
            Cell::Int16 => DataType::Int16,
            Cell::UInt16 => DataType::UInt16,
            Cell::Int32 => DataType::Int32,
            Cell::UInt32 => DataType::UInt32,
            Cell::Int64 => DataType::Int64,
            Cell::UInt64 => DataType::UInt64,
            Cell::Float32 => DataType::Float32,
            Cell::Float64 => DataType::Float64,
            Cell::Decimal { scale } => DataType::Decimal128(38, scale),
            Cell::Number | Cell::Text | Cell::Json => DataType::Utf8View,
            Cell::Date => DataType::Date32,
            Cell::Time => DataType::Time64(TimeUnit::Microsecond),
            Cell::Local => DataType::Timestamp(TimeUnit::Microsecond, None),
            Cell::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Cell::Null => DataType::Null,
        };
        let field = Field::new(&self.name, data_type, true);
        match self.cell {
            Cell::Number | Cell::Json => field.with_metadata(json()),
            _ => field,
        }
    }
}

/// A name so that nothing in it is SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// What becomes of a column, or why it cannot be carried. A decimal is a [`Cell::Number`] until its scale is known.
pub(super) fn column(name: &str, info: &MySqlTypeInfo) -> Result<Column, Refused> {
    let quoted = quoted(name);
    let refused = |cast: String| {
        let data_type = info.name().to_ascii_lowercase();
        Err(Refused { column: name.to_owned(), data_type, cast: format!("{cast} AS {quoted}") })
    };
    let cell = match info.name() {
        "BOOLEAN" => Cell::Bool,
        "TINYINT" => Cell::Int8,
        "TINYINT UNSIGNED" => Cell::UInt8,
        "SMALLINT" => Cell::Int16,
        "SMALLINT UNSIGNED" | "YEAR" => Cell::UInt16,
        "MEDIUMINT" | "INT" => Cell::Int32,
        "MEDIUMINT UNSIGNED" | "INT UNSIGNED" => Cell::UInt32,
        "BIGINT" => Cell::Int64,
        "BIGINT UNSIGNED" => Cell::UInt64,
        "FLOAT" => Cell::Float32,
        "DOUBLE" => Cell::Float64,
        "DECIMAL" => Cell::Number,
        "JSON" => Cell::Json,
        "DATE" => Cell::Date,
        "TIME" => Cell::Time,
        "DATETIME" => Cell::Local,
        "TIMESTAMP" => Cell::Instant,
        "NULL" => Cell::Null,
        "ENUM" | "SET" => Cell::Text,
        "BIT" => return refused(format!("{quoted} + 0")),
        "GEOMETRY" => return refused(format!("ST_AsText({quoted})")),
        // Text of a collation that compares bytes is named as bytes; the collation tells the two apart.
        _ if <str as Type<MySql>>::compatible(info) => Cell::Text,
        _ => return refused(format!("HEX({quoted})")),
    };
    Ok(Column { name: name.to_owned(), cell })
}
