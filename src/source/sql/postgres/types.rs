//! What becomes of each type of Postgres. docs/sources/postgres.md has the same as a table.

use crate::source::sql::{Refused, json};
use arrow::datatypes::{DataType, Field, TimeUnit};
use sqlx::TypeInfo;
use sqlx::postgres::{PgTypeInfo, PgTypeKind};

/// What a cell is decoded as, from its binary form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    Bool,
    Int16,
    Int32,
    Int64,
    /// 32 bits without a sign.
    Oid,
    Float32,
    Float64,
    /// At most 38 digits.
    Decimal {
        precision: u8,
        scale: i8,
    },
    /// At most 76 digits.
    WideDecimal {
        precision: u8,
        scale: i8,
    },
    /// A numeric without a scale that holds for all its values: a JSON number, which has any number of digits and is compared
    /// by value.
    Number,
    Text,
    /// Text that is JSON.
    Json,
    /// The same behind a byte that says the form's version.
    Jsonb,
    Uuid,
    Date,
    Time,
    Timestamp,
    TimestampTz,
}

/// A column of the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) cell: Cell,
    /// What the server makes of it before it is sent.
    pub(super) made: Made,
}

/// What the server makes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// It is sent as it is.
    Nothing,
    /// `column::text`
    Text,
    /// `to_json(column)`
    Json,
}

impl Column {
    /// The column in a query over `q`, as COPY sends it.
    pub(super) fn expression(&self) -> String {
        let name = quoted(&self.name);
        match self.made {
            Made::Nothing => format!("q.{name}"),
            Made::Text => format!("q.{name}::text AS {name}"),
            Made::Json => format!("to_json(q.{name}) AS {name}"),
        }
    }

    /// The same as text, in forms that every server has. Text stays as it is: Redshift's `text` cuts off after 256 bytes.
    pub(super) fn as_text(&self) -> String {
        let name = quoted(&self.name);
        match (self.made, self.cell) {
            (Made::Nothing, Cell::Text | Cell::Json) => format!("q.{name}"),
            // Redshift casts no boolean to text.
            (Made::Nothing, Cell::Bool) => {
                format!("CASE WHEN q.{name} THEN 't' WHEN NOT q.{name} THEN 'f' END AS {name}")
            }
            (Made::Json, _) => format!("to_json(q.{name})::text AS {name}"),
            _ => format!("q.{name}::text AS {name}"),
        }
    }

    /// As the pipeline sees it.
    pub(super) fn field(&self) -> Field {
        let data_type = match self.cell {
            Cell::Bool => DataType::Boolean,
            Cell::Int16 => DataType::Int16,
            Cell::Int32 => DataType::Int32,
            Cell::Int64 => DataType::Int64,
            Cell::Oid => DataType::UInt32,
            Cell::Float32 => DataType::Float32,
            Cell::Float64 => DataType::Float64,
            Cell::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            Cell::WideDecimal { precision, scale } => DataType::Decimal256(precision, scale),
            Cell::Number | Cell::Text | Cell::Json | Cell::Jsonb | Cell::Uuid => DataType::Utf8View,
            Cell::Date => DataType::Date32,
            Cell::Time => DataType::Time64(TimeUnit::Microsecond),
            Cell::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Cell::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        };
        let field = Field::new(&self.name, data_type, true);
        match self.cell {
            Cell::Number | Cell::Json | Cell::Jsonb => field.with_metadata(json()),
            _ => field,
        }
    }
}

/// A name so that nothing in it is SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What becomes of a column, or why it cannot be carried. `scale`: precision and scale of a numeric, where they are known.
pub(super) fn column(name: &str, info: &PgTypeInfo, scale: Option<(u16, i16)>) -> Result<Column, Refused> {
    use Cell::{
        Bool, Date, Float32, Float64, Int16, Int32, Int64, Json, Jsonb, Oid, Text, Time, Timestamp, TimestampTz, Uuid,
    };
    let (cell, made) = match info.oid().map_or(0, |oid| oid.0) {
        // The numbers of pg_type.dat, which never change.
        16 => (Bool, Made::Nothing),
        21 => (Int16, Made::Nothing),
        23 => (Int32, Made::Nothing),
        20 => (Int64, Made::Nothing),
        26 => (Oid, Made::Nothing),
        700 => (Float32, Made::Nothing),
        701 => (Float64, Made::Nothing),
        1700 => (numeric(scale), Made::Nothing),
        // "char", name, text, unknown, character(n), character varying
        18 | 19 | 25 | 705 | 1042 | 1043 => (Text, Made::Nothing),
        114 => (Json, Made::Nothing),
        3802 => (Jsonb, Made::Nothing),
        2950 => (Uuid, Made::Nothing),
        1082 => (Date, Made::Nothing),
        1083 => (Time, Made::Nothing),
        1114 => (Timestamp, Made::Nothing),
        1184 => (TimestampTz, Made::Nothing),
        // xml, cidr, macaddr8, macaddr, inet, bit, bit varying
        142 | 650 | 774 | 829 | 869 | 1560 | 1562 => (Text, Made::Text),
        _ => other(name, info)?,
    };
    Ok(Column { name: name.to_owned(), cell, made })
}

fn numeric(scale: Option<(u16, i16)>) -> Cell {
    let known = scale.and_then(|(precision, scale)| {
        let (precision, scale) = (u8::try_from(precision).ok()?, i8::try_from(scale).ok()?);
        (0..=38).contains(&scale).then_some((precision.max(scale.unsigned_abs()), scale))
    });
    match known {
        Some((precision @ 1..=38, scale)) => Cell::Decimal { precision, scale },
        Some((precision @ 39..=76, scale)) => Cell::WideDecimal { precision, scale },
        _ => Cell::Number,
    }
}

fn other(name: &str, info: &PgTypeInfo) -> Result<(Cell, Made), Refused> {
    let quoted = quoted(name);
    let simple = info.name().rsplit('.').next().unwrap_or_default().trim_matches('"').to_ascii_lowercase();
    match info.kind() {
        PgTypeKind::Enum(_) => return Ok((Cell::Text, Made::Nothing)),
        PgTypeKind::Array(item) if !holds_bytes(item) => return Ok((Cell::Json, Made::Json)),
        PgTypeKind::Composite(_) => return Ok((Cell::Json, Made::Json)),
        // The protocol says of a domain what it is over; this is one that it does not.
        PgTypeKind::Domain(of) => return column(name, of, None).map(|column| (column.cell, column.made)),
        PgTypeKind::Simple if simple == "citext" => return Ok((Cell::Text, Made::Nothing)),
        _ => {}
    }
    let cast = match (simple.as_str(), info.kind()) {
        ("record", _) => return Ok((Cell::Json, Made::Json)),
        ("bytea", _) => format!("encode({quoted}, 'hex')"),
        ("interval", _) => format!("extract(epoch FROM {quoted})"),
        ("timetz", _) => format!("({quoted} AT TIME ZONE 'UTC')::time"),
        ("money", _) => format!("{quoted}::numeric(19, 2)"),
        ("hstore", _) => format!("hstore_to_json({quoted})"),
        ("super", _) => format!("json_serialize({quoted})"),
        // Of two columns each has a name of its own.
        (_, PgTypeKind::Range(_)) => {
            let (from, to) = (self::quoted(&format!("{name}_from")), self::quoted(&format!("{name}_to")));
            let cast = format!("lower({quoted}) AS {from}, upper({quoted}) AS {to}");
            return Err(Refused { column: name.to_owned(), data_type: simple, cast });
        }
        (_, PgTypeKind::Array(_)) => format!("(SELECT array_agg(encode(item, 'hex')) FROM unnest({quoted}) AS item)"),
        _ => format!("{quoted}::text"),
    };
    Err(Refused { column: name.to_owned(), data_type: simple, cast: format!("{cast} AS {quoted}") })
}

/// Bytes would be sent as Postgres writes them, `\x…`, which nobody has asked for.
fn holds_bytes(info: &PgTypeInfo) -> bool {
    match info.kind() {
        PgTypeKind::Array(item) => holds_bytes(item),
        _ => info.oid().is_some_and(|oid| oid.0 == 17),
    }
}
