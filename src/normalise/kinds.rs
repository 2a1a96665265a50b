//! Which kind an Arrow type is.

use crate::row::Kind;
use arrow::datatypes::DataType;

/// The kind of a declared Arrow type, or what to write instead.
pub(super) fn kind_of(data_type: &DataType) -> Result<Kind, &'static str> {
    Ok(match data_type {
        DataType::Boolean => Kind::Bool,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Kind::Int,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Kind::Int,
        DataType::UInt64 => Kind::Decimal { scale: 0 },
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Kind::Float,
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => Kind::Decimal { scale: (*scale).max(0) },
        // A column that is NULL throughout has no type of its own; text fits whatever comes later best.
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        DataType::Date32 | DataType::Date64 => Kind::Date,
        DataType::Time32(_) | DataType::Time64(_) => Kind::Time,
        DataType::Timestamp(_, Some(_)) => Kind::Timestamp,
        DataType::Timestamp(_, None) => Kind::LocalTimestamp,
        DataType::Dictionary(_, value) => kind_of(value)?,
        DataType::Struct(_)
        | DataType::List(_)
        | DataType::LargeList(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::FixedSizeList(_, _)
        | DataType::Map(_, _) => Kind::Json,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            return Err(
                "bytes have no place in a webhook; leave the column out with a query, or encode it (hex, base64)",
            );
        }
        DataType::Duration(_) | DataType::Interval(_) => {
            return Err("a duration has no form in JSON; cast it to a number of seconds with a query");
        }
        _ => return Err("no rule compares this type; cast it to a number or text with a query"),
    })
}

/// Whether a column that was pinned as one kind may arrive, value by value, as another.
pub(super) fn may_arrive_as(pinned: Kind, tonight: Kind) -> bool {
    let number = |k| matches!(k, Kind::Int | Kind::Decimal { .. } | Kind::Float);
    pinned == tonight
        || (number(pinned) && number(tonight))
        // Formats without these types (NDJSON, CSV) write them as text.
        || (tonight == Kind::Text
            && matches!(
                pinned,
                Kind::Decimal { .. } | Kind::Date | Kind::Time | Kind::Timestamp | Kind::LocalTimestamp | Kind::Json
            ))
}
